"""``[openid]`` of site.toml: the provider that signs people in."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from domain.site import OpenId
from store.site_folder.fields import TomlTables

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def read_openid(tables: TomlTables, folder: Path) -> OpenId | None:
    """The provider; None where the site names none, or (noted) where something is wrong."""
    if "openid" not in tables.file.document:
        return None
    table = tables.table(tables.file.document, "openid")
    values = tables.values(OpenId, table, "openid.")
    if values is None:
        return None
    mistakes = len(tables.mistakes)
    for key in ("issuer", "page"):
        if not _is_secure(values[key]):
            tables.wrong(f"openid.{key}", values[key], "an https address without user, query or #; http only on this machine itself")
    if not values["client_id"]:
        tables.wrong("openid.client_id", None, "the name under which the provider knows this site")
    if values.get("client_secret"):
        values["client_secret"] = tables.secret(table, "client_secret", "openid.", folder)
    if values.get("ca_file"):
        values["ca_file"] = str((folder / values["ca_file"]).absolute())
        if not Path(values["ca_file"]).is_file():
            tables.wrong("openid.ca_file", table["ca_file"], "no such file")
    return OpenId(**values) if len(tables.mistakes) == mistakes else None


def _is_secure(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = "@" not in parts.netloc and not parts.query and not parts.fragment
    return known and plain and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK))
