"""One message to one channel, now. Apprise knows the services; a gateway with a template is posted to by ourselves, with the key."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import urllib3

from compliance.delivery.answers import asked_wait_s, listening, refused_for_good
from domain.errors import ConfigError, DeliveryError
from domain.site import Channel
from store.secrets import secret
from store.site_folder.channels import filled

TIMEOUT_S: Final = 30.0
WITH_HEADERS: Final = ("json://", "jsons://", "xml://", "xmls://", "form://", "forms://")


def send(channel: Channel, key: str, title: str, text: str) -> str:
    """Sends; returns what the channel answered, in a word. ``key`` is the same however often this message is sent.

    Raises DeliveryError, permanent where trying again can't help. No secret is in its message.
    """
    try:
        address = secret(channel.url)
    except ConfigError as error:
        raise DeliveryError(str(error), permanent=False) from error
    if channel.template:
        return _post(address, Path(channel.template), {"title": title, "text": text, "key": key})
    return _apprise(address, key, title, text)


def _apprise(address: str, key: str, title: str, text: str) -> str:
    import apprise  # half a second that a site without such channels need not wait for

    if address.startswith(WITH_HEADERS):
        address += f"{'&' if '?' in address else '?'}+Idempotency-Key={quote(key, safe='')}"
    with listening() as answers:  # before anything is said: what apprise writes of a faulty address is heard by nobody either
        service: Any = apprise.Apprise.instantiate(address, asset=apprise.AppriseAsset(async_mode=False), suppress_exceptions=True)
        if service is None:
            raise DeliveryError("this is no address that apprise knows", permanent=True)
        service.redirects = False
        taken = service.notify(title=title, body=text)
    name = str(service.secure_protocol)
    faults = [answer for answer in answers if answer.fault(name)]
    if faults:
        permanent = all(answer.permanent(name) for answer in faults)
        waits = [wait_s for answer in faults if (wait_s := answer.retry_after_s(name)) is not None]
        said = "; ".join(dict.fromkeys(answer.fault(name) for answer in faults))
        raise DeliveryError(said, permanent=permanent, retry_after_s=max(waits, default=None))
    if not taken:
        raise DeliveryError("the service did not take it, or can't be reached", permanent=False)
    return f"HTTP {answers[-1].status}" if answers else "taken"


def _post(address: str, template: Path, values: dict[str, str]) -> str:
    try:
        body = filled(template.read_text(encoding="utf-8"), values)
    except (OSError, UnicodeDecodeError, KeyError) as error:
        raise DeliveryError(f"the template can't be filled in: {type(error).__name__}", permanent=True) from error
    headers = {"content-type": "application/json", "idempotency-key": values["key"]}
    try:
        with urllib3.PoolManager(timeout=TIMEOUT_S, retries=False) as pool:
            answer = pool.request("POST", address, body=body.encode(), headers=headers, redirect=False)
    except (urllib3.exceptions.LocationValueError, urllib3.exceptions.URLSchemeUnknown) as error:
        raise DeliveryError("this is no http or https address", permanent=True) from error
    except urllib3.exceptions.HTTPError as error:
        raise DeliveryError(f"the gateway can't be reached: {type(error).__name__}", permanent=False) from error
    if 200 <= answer.status < 300:
        return f"HTTP {answer.status}"
    wait_s = asked_wait_s(answer.headers)
    raise DeliveryError(f"HTTP {answer.status}", permanent=refused_for_good(answer.status), retry_after_s=wait_s)
