"""Keys of other systems: shown once, stored as a hash, each with its scopes."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from dashboard.accounts import fingerprint, record
from dashboard.roles import Account
from store.records import reading
from store.records.tables import api_keys

Scope = Literal["read", "complaints", "curves", "notices", "alarms", "stops", "metrics"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
# What a key acts as: the narrowest role that may do what its scope is for.
ROLE_OF: Final = {"complaints": "service", "curves": "engineer", "notices": "dispatcher", "alarms": "dispatcher", "stops": "dispatcher"}
PREFIX: Final = "kw_"
SEEN_EVERY_MS: Final = 60_000


@dataclass(frozen=True)
class Key:
    """A key in force, or one that was. Instants are wall time (UTC ms). ``districts``: those it is limited to, none for the whole site."""

    id: int
    name: str
    scopes: tuple[str, ...]
    districts: tuple[str, ...]
    created_at: int
    created_by: str
    used_at: int | None
    revoked_at: int | None

    def actor(self, scope: Scope) -> Account:
        """Who the audit says it was, with the role that the scope stands for."""
        return Account(f"api:{self.name}", ROLE_OF[scope], frozenset(self.districts))


def make_key(engine: Engine, name: str, scopes: Sequence[str], who: str, now_ms: int, districts: Sequence[str] = ()) -> str:
    """A new key's token, shown this once: only its SHA-256 is stored.

    ``now_ms`` is wall time. Raises ValueError for an empty or known name, without scopes or for an unknown one.
    """
    if not name.strip() or len(name) > 100:
        raise ValueError("a key needs a name of at most 100 characters, that of the system it is for")
    if not scopes or set(scopes) - set(SCOPES):
        raise ValueError(f"scopes are {', '.join(SCOPES)}; a key has at least one")
    token = PREFIX + secrets.token_urlsafe(32)
    may = {"scopes": sorted(set(scopes)), "districts": sorted(set(districts))}
    row = {"name": name, "token_hash": fingerprint(token), **may, "created_at": now_ms, "created_by": who}
    try:
        with engine.begin() as connection:
            connection.execute(insert(api_keys).values(row))
    except IntegrityError as error:
        raise ValueError(f"there is a key named {name!r} already; revoked ones keep their names") from error
    record(engine, now_ms, who, "make_key", f"key/{name}", after=may)
    return token


def revoke_key(engine: Engine, name: str, who: str, now_ms: int) -> bool:
    """Ends a key; False where no key of this name is in force."""
    mine = (api_keys.c.name == name) & api_keys.c.revoked_at.is_(None)
    with engine.begin() as connection:
        ended = connection.execute(update(api_keys).where(mine).values(revoked_at=now_ms)).rowcount == 1
    if ended:
        record(engine, now_ms, who, "revoke_key", f"key/{name}")
    return ended


def list_keys(engine: Engine) -> list[Key]:
    """All keys that ever were, by name."""
    columns = [api_keys.c[name] for name in Key.__dataclass_fields__]
    with reading(engine).connect() as connection:
        return [_key(row) for row in connection.execute(select(*columns).order_by(api_keys.c.name))]


def find_key(engine: Engine, token: str, now_ms: int) -> Key | None:
    """The key in force that this token belongs to; its use is noted about once a minute."""
    columns = [api_keys.c[name] for name in Key.__dataclass_fields__]
    with reading(engine).connect() as connection:
        mine = (api_keys.c.token_hash == fingerprint(token)) & api_keys.c.revoked_at.is_(None)
        row = connection.execute(select(*columns).where(mine)).first()
    if row is None:
        return None
    key = _key(row)
    if key.used_at is None or now_ms - key.used_at > SEEN_EVERY_MS:
        with engine.begin() as connection:
            connection.execute(update(api_keys).where(api_keys.c.id == key.id).values(used_at=now_ms))
    return key


def _key(row: object) -> Key:
    found = Key(*row)  # type: ignore[misc]
    return replace(found, scopes=tuple(found.scopes), districts=tuple(found.districts))
