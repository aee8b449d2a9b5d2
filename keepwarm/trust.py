"""``keepwarm trust SITE``: the certificates of OPC UA servers that wait for a person to accept them, and our own."""

from datetime import UTC, datetime
from pathlib import Path

import click

from domain.errors import ConfigError, Mistake
from keepwarm.processes import site_argument


@click.command()
@site_argument
@click.argument("fingerprints", metavar="[FINGERPRINT]...", nargs=-1)
def trust(folder: Path, fingerprints: tuple[str, ...]) -> None:
    """Lists certificates that servers have shown SITE and that are not trusted yet; accepts those whose FINGERPRINT is given.

    The beginning of a fingerprint is enough where it is the only one that begins so. Compare it with what the server itself shows
    before you accept it. The last line names our own certificate, which the server has to accept in turn.
    """
    from collector.sources.opcua.pki import accept, described, fingerprint, own_identity, refused, trusted
    from store.site_folder import load_site

    site = load_site(folder)
    known = trusted(site.folder)  # some may have been put there by hand
    unknown = {path: content for path, content in refused(site.data) if fingerprint(content) not in known}
    waiting = {path: described(content) for path, content in unknown.items()}
    if fingerprints:
        chosen = [_one(waiting, fingerprint) for fingerprint in fingerprints]
        for path in dict.fromkeys(chosen):
            click.echo(f"trusted: {waiting[path]}  ({accept(path, unknown[path], site.folder)})")
        return
    for words in waiting.values():
        click.echo(f"not trusted yet: {words}")
    if not waiting:
        click.echo("no certificate waits to be accepted; keepwarm check SITE --connect fetches those of the servers")
    own = own_identity(site.data, datetime.now(UTC))
    click.echo(f"our own: {described(own.certificate.read_bytes())}  ({own.certificate})")


def _one(waiting: dict[Path, str], fingerprint: str) -> Path:
    """The certificate whose fingerprint begins like this.

    Raises ConfigError when none does, or several do.
    """
    start = fingerprint.replace(":", "").upper()
    found = [path for path, words in waiting.items() if start and words.replace(":", "").upper().startswith(start)]
    if len(found) == 1:
        return found[0]
    if not waiting:
        remedy = "no certificate waits to be accepted; keepwarm check SITE --connect fetches those of the servers"
    elif found:
        remedy = "several certificates begin so; give more of it"
    else:
        remedy = "the beginning of a fingerprint that keepwarm trust SITE lists"
    raise ConfigError(Mistake("FINGERPRINT", remedy, value=fingerprint))
