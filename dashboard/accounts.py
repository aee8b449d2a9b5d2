"""Accounts, their passwords and one-time links.

Passwords and links are about people, so their instants are wall time (``wall_ms``), also where the site's clock runs
faster than life. Of tokens only the SHA-256 is stored.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from dashboard.roles import ROLES, Account
from store.records import reading
from store.records.tables import accounts, audit, invitations, sessions

KEY_BYTES = 32
INVITATION_MS = 7 * 86_400_000
PASSWORD_LEAST = 12
PASSWORD_MOST = 256

_HASHER = PasswordHasher()
_STATE = ("role", "districts", "disabled")
_ACCOUNT = (accounts.c.name, accounts.c.role, accounts.c.districts)


@lru_cache(maxsize=1)
def _nobody() -> str:
    """Compared with where there is no account or no password, so that the answer takes the same time."""
    return _HASHER.hash(secrets.token_urlsafe(16))


def wall_ms() -> int:
    """Life's own time in UTC milliseconds."""
    return time.time_ns() // 1_000_000


def fingerprint(token: str) -> str:
    """What is stored of a token: its SHA-256 in hex."""
    return sha256(token.encode()).hexdigest()


def signing_key(path: Path) -> bytes:
    """The site's key for cookies and forms, made on first use and readable by its owner only.

    Also made anew where a loss of power left less than a whole one: with an empty key anybody could sign.
    """
    with suppress(FileNotFoundError):
        if len(key := path.read_bytes()) >= KEY_BYTES:
            return key
    with path.with_name(f"{path.name}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists() or path.stat().st_size < KEY_BYTES:
            part = path.with_suffix(".tmp")
            part.unlink(missing_ok=True)  # of a process that was killed
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(handle)
            part.replace(path)
        return path.read_bytes()


def make_invitation(engine: Engine, account: str, role: str, now_ms: int, districts: Collection[str] = ()) -> str:
    """A one-time link's token for ``account``, shown this once: only its SHA-256 is stored. The page is ``/enter?token=…``.

    ``now_ms`` is wall time; the link works once, for seven days. An account that does not exist yet gets ``role`` and
    ``districts`` when it is used.
    Raises ValueError for an unknown role or an empty name.
    """
    if role not in ROLES:
        raise ValueError(f"{role!r} is no role: {', '.join(ROLES)}")
    if not account.strip():
        raise ValueError("an account needs a name")
    if role == "admin" and districts:
        raise ValueError("an administrator is limited to no district")
    token = secrets.token_urlsafe(32)
    with engine.begin() as connection:
        row = {"token_hash": fingerprint(token), "account": account, "role": role, "districts": sorted(districts), "created_at": now_ms}
        connection.execute(insert(invitations).values(row))
    return token


def redeem_invitation(engine: Engine, token: str, now_ms: int) -> Account | None:
    """The account that a link signs in, once; None for a link that is unknown, used, too old, or of a disabled account."""
    mine = invitations.c.token_hash == fingerprint(token)
    fresh = invitations.c.used_at.is_(None) & (invitations.c.created_at > now_ms - INVITATION_MS)
    with engine.begin() as connection:
        used = connection.execute(update(invitations).where(mine & fresh).values(used_at=now_ms))
        if used.rowcount != 1:
            return None
        columns = (invitations.c.account, invitations.c.role, invitations.c.districts)
        name, role, districts = connection.execute(select(*columns).where(mine)).one()
        account = select(*_ACCOUNT, accounts.c.disabled).where(accounts.c.name == name)
        known = connection.execute(account).one_or_none()
        if known is None:
            row = {"name": name, "role": role, "districts": districts, "created_at": now_ms}
            try:
                with connection.begin_nested():
                    connection.execute(insert(accounts).values(row))
            except IntegrityError:  # by another link, on PostgreSQL, at this very moment
                known = connection.execute(account).one()
            else:
                return Account(name, role, frozenset(districts))
        return None if known.disabled else account_of(known)


def add_account(engine: Engine, name: str, role: str, password: str, now_ms: int) -> Account:
    """A new account with a password.

    Raises ValueError for an unknown role or a password of the wrong length. Takes 0.4 s: not for the event loop.
    """
    if role not in ROLES:
        raise ValueError(f"{role!r} is no role: {', '.join(ROLES)}")
    with engine.begin() as connection:
        connection.execute(
            insert(accounts).values(name=name, role=role, password_hash=hash_password(password), created_at=now_ms, disabled=False)
        )
    return Account(name, role)


def hash_password(password: str) -> str:
    """The argon2id hash of a password. Raises ValueError when its length is not 12 to 256."""
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise ValueError(f"a password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters")
    return _HASHER.hash(password)


class Proved(NamedTuple):
    """An account whose password somebody knows, and the hash that it was held against."""

    account: Account
    password_hash: str


def check_password(engine: Engine, name: str, password: str) -> Proved | None:
    """The account when the password is right. Takes 0.4 s, whatever the answer: not for the event loop."""
    columns = (*_ACCOUNT, accounts.c.password_hash, accounts.c.disabled)
    with reading(engine).connect() as connection:
        known = connection.execute(select(*columns).where(accounts.c.name == name)).one_or_none()
    usable = known is not None and known.password_hash is not None and not known.disabled
    try:
        _HASHER.verify(known.password_hash if usable and known is not None else _nobody(), password[:PASSWORD_MOST])
    except (VerificationError, InvalidHashError):
        return None
    return Proved(account_of(known), known.password_hash) if usable and known is not None else None


def account_by_identity(engine: Engine, identity: str) -> Account | None:
    """The account that is connected with this identity of a provider (``issuer subject``); none that is shut out."""
    mine = (accounts.c.identity == identity) & accounts.c.disabled.is_(False)
    with reading(engine).connect() as connection:
        known = connection.execute(select(*_ACCOUNT).where(mine)).one_or_none()
    return None if known is None else account_of(known)


def connect_identity(engine: Engine, name: str, identity: str | None, who: str, at_ms: int) -> None:
    """Connects an account with an identity of a provider (``issuer subject``), with none by None; audited.

    Raises ValueError for an unknown account, and for an identity that another account is connected with.
    """
    try:
        change_account(engine, name, {"identity": identity}, who, at_ms)
    except IntegrityError as error:
        raise ValueError("another account is connected with this identity") from error


def account_of(row: Any) -> Account:
    """The account of a row with its name, role and districts."""
    return Account(row.name, row.role, frozenset(row.districts))


def has_password(engine: Engine, name: str) -> bool:
    """Whether this account can sign in by password."""
    with reading(engine).connect() as connection:
        return connection.execute(select(accounts.c.password_hash).where(accounts.c.name == name)).scalar() is not None


def identity_is_kept(engine: Engine, name: str, issuer: str) -> bool:
    """Whether this account is connected with somebody of this provider."""
    with reading(engine).connect() as connection:
        identity = connection.execute(select(accounts.c.identity).where(accounts.c.name == name)).scalar()
    return identity is not None and str(identity).startswith(f"{issuer} ")


def set_password(engine: Engine, name: str, password: str, at_ms: int) -> None:
    """Gives an account a new password and ends all its sessions.

    Raises ValueError when the password's length is not 12 to 256.
    """
    hashed = hash_password(password)
    with engine.begin() as connection:
        connection.execute(update(accounts).where(accounts.c.name == name).values(password_hash=hashed))
        connection.execute(delete(sessions).where(sessions.c.account == name))
        connection.execute(insert(audit).values(at=at_ms, who=name, action="set_password", subject=f"account/{name}"))


def change_account(engine: Engine, name: str, values: Mapping[str, object], who: str, at_ms: int) -> None:
    """Sets ``role``, ``districts``, ``disabled`` or ``identity`` of an account, audited with what was there before.

    A disabled account's sessions end at once.

    Raises ValueError for an unknown account or role, and rather than leave a site without an administrator.
    """
    wanted = {key: values[key] for key in (*_STATE, "identity") if key in values}
    if wanted.get("role", "viewer") not in ROLES:
        raise ValueError(f"{wanted['role']!r} is no role: {', '.join(ROLES)}")
    with engine.begin() as connection:
        before = connection.execute(
            select(*(accounts.c[key] for key in dict.fromkeys((*_STATE, *wanted)))).where(accounts.c.name == name)
        ).one_or_none()
        if before is None:
            raise ValueError("there is no such account")
        connection.execute(update(accounts).where(accounts.c.name == name).values(wanted))
        admins = (accounts.c.role == "admin") & accounts.c.disabled.is_(False)
        if before.role == "admin" and not connection.execute(select(accounts.c.name).where(admins).limit(1)).first():
            raise ValueError("this is the last administrator: name another one first")
        after = {**before._asdict(), **wanted}
        if after["role"] == "admin" and after["districts"]:
            raise ValueError("an administrator is limited to no district")
        if wanted.get("disabled"):
            connection.execute(delete(sessions).where(sessions.c.account == name))
        row = {
            "at": at_ms,
            "who": who,
            "action": "change_account",
            "subject": f"account/{name}",
            "before": before._asdict(),
            "after": wanted,
        }
        connection.execute(insert(audit).values(row))


def record(engine: Engine, at_ms: int, who: str, action: str, subject: str = "", *, refused: bool = False, after: object = None) -> None:
    """Writes one audit row."""
    with engine.begin() as connection:
        row = {"at": at_ms, "who": who[:128], "action": action, "subject": subject[:160], "refused": refused, "after": after}
        connection.execute(insert(audit).values(row))
