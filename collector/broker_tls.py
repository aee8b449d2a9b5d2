"""The TLS of a broker: whose certificate is trusted, and our own where it wants one."""

import ssl

from domain.errors import ConfigError, Mistake
from domain.site import Broker


def context_of(broker: Broker) -> ssl.SSLContext:
    """The context of its connections.

    Raises ConfigError when a certificate or key can't be read.
    """
    try:
        context = ssl.create_default_context(cafile=broker.ca_file or None)
        if broker.certificate:
            # Without this a key with a password has OpenSSL ask at the terminal, for ever where there is none.
            context.load_cert_chain(broker.certificate, broker.private_key or None, password="")
    except OSError as error:
        files = ", ".join(name for name in (broker.ca_file, broker.certificate, broker.private_key) if name)
        remedy = f"certificates in PEM that can be read, and a key without a password: {error}"
        raise ConfigError(Mistake("site.toml", remedy, key=f"mqtt.{broker.name}", value=files)) from error
    return context
