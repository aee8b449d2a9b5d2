"""What an administrator does with accounts: lets somebody in by a one-time link, changes a role, shuts out, signs out everywhere.

Instants are wall time: accounts are about people.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from dashboard.accounts import change_account, make_invitation
from dashboard.actions.acting import RefusedError, demand
from dashboard.roles import ROLES, Account
from dashboard.session import end_sessions
from dashboard.text import N_
from store.records import reading
from store.records.tables import accounts, audit

NAME_MOST: Final = 64
_REFUSALS: Final = {
    "last administrator": N_("This is the last administrator: name another one first."),
    "no district": N_("An administrator sees the whole site."),
}


def invite(engine: Engine, who: Account, name: str, role: str, wall_ms: int) -> str:
    """The token of a link that signs ``name`` in once; an account that is not there yet is made, with this role.

    Raises RefusedError without the right, for an empty or long name, an unknown role, or an account that is shut out.
    """
    name = name.strip()
    demand(engine, who, "keep_accounts", "invite", f"account/{name}", wall_ms)
    if not name or len(name) > NAME_MOST or not name.isprintable():
        raise RefusedError(N_("An account has a name of at most 64 characters."))
    if role not in ROLES:
        raise RefusedError(N_("There is no such role."))
    with reading(engine).connect() as connection:
        known = connection.execute(select(accounts.c.role, accounts.c.disabled).where(accounts.c.name == name)).one_or_none()
    if known is not None and known.disabled:
        raise RefusedError(N_("This account is shut out: let it in again first."))
    role = role if known is None else known.role
    try:
        token = make_invitation(engine, name, role, wall_ms)
    except IntegrityError as error:
        raise RefusedError(N_("Somebody else has done this meanwhile.")) from error
    with engine.begin() as connection:
        row = {"at": wall_ms, "who": who.name, "action": "invite", "subject": f"account/{name}", "after": {"role": role}}
        connection.execute(insert(audit).values(row))
    return token


def set_role(engine: Engine, who: Account, name: str, role: str, wall_ms: int) -> None:
    """Gives an account another role, from its next request on. Raises RefusedError; the last administrator stays one."""
    demand(engine, who, "keep_accounts", "change_account", f"account/{name}", wall_ms)
    if role not in ROLES:
        raise RefusedError(N_("There is no such role."))
    _change(engine, who, name, {"role": role}, wall_ms)


def set_districts(engine: Engine, who: Account, name: str, districts: Collection[str], wall_ms: int) -> None:
    """Limits an account to some districts, from its next request on; to none for the whole site. Raises RefusedError."""
    demand(engine, who, "keep_accounts", "change_account", f"account/{name}", wall_ms)
    _change(engine, who, name, {"districts": sorted(districts)}, wall_ms)


def shut_out(engine: Engine, who: Account, name: str, wall_ms: int) -> None:
    """Ends every session of an account and lets it in no more. Raises RefusedError; the last administrator is not shut out."""
    demand(engine, who, "keep_accounts", "change_account", f"account/{name}", wall_ms)
    _change(engine, who, name, {"disabled": True}, wall_ms)


def let_in_again(engine: Engine, who: Account, name: str, wall_ms: int) -> None:
    """Lets an account in that was shut out. Raises RefusedError."""
    demand(engine, who, "keep_accounts", "change_account", f"account/{name}", wall_ms)
    _change(engine, who, name, {"disabled": False}, wall_ms)


def sign_out_everywhere(engine: Engine, who: Account, name: str, wall_ms: int) -> None:
    """Ends every session of an account, on every device. Raises RefusedError without the right."""
    demand(engine, who, "keep_accounts", "sign_out_everywhere", f"account/{name}", wall_ms)
    end_sessions(engine, name)
    with engine.begin() as connection:
        connection.execute(
            insert(audit).values({"at": wall_ms, "who": who.name, "action": "sign_out_everywhere", "subject": f"account/{name}"})
        )


def _change(engine: Engine, who: Account, name: str, values: dict[str, object], wall_ms: int) -> None:
    try:
        change_account(engine, name, values, who.name, wall_ms)
    except ValueError as error:
        raise RefusedError(next((why for word, why in _REFUSALS.items() if word in str(error)), N_("There is no such account."))) from error
