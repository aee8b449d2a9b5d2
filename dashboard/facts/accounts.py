"""Accounts and what was done, for administrators. Instants of accounts are wall time; of the audit as each act had them."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select

from dashboard.facts.town import Town
from store.records.tables import accounts, audit, sessions

AUDIT_PAGE: Final = 60


@dataclass(frozen=True)
class AccountRow:
    """One account. ``districts``: those it is limited to, none for the whole site; ``seen_at``: when it was last here, ``open``: in how
    many sessions that are not over.
    """

    name: str
    role: str
    districts: list[str]
    disabled: bool
    has_password: bool
    connected: bool
    created_at: int
    seen_at: int | None
    open: int


@dataclass(frozen=True)
class AuditRow:
    """One act: when, who, what, of what, what was there before and after; refused ones too."""

    id: int
    at: int
    who: str
    action: str
    subject: str
    before: Any
    after: Any
    refused: bool


def account_rows(town: Town) -> list[AccountRow]:
    """Every account, in order of its name."""
    here = (
        select(sessions.c.account, func.max(sessions.c.seen_at).label("seen_at"), func.count().label("open"))
        .group_by(sessions.c.account)
        .subquery()
    )
    query = (
        select(
            accounts.c.name, accounts.c.role, accounts.c.districts, accounts.c.disabled, accounts.c.password_hash.is_not(None),
            accounts.c.identity.is_not(None),
            accounts.c.created_at, func.coalesce(here.c.seen_at, accounts.c.used_at), func.coalesce(here.c.open, 0),
        )
        .outerjoin(here, here.c.account == accounts.c.name)
        .order_by(accounts.c.name)
    )  # fmt: skip
    return [AccountRow(*row) for row in town.rows(query)]


@dataclass(frozen=True)
class AuditWanted:
    """Which acts: of somebody, with a text in what was done or of what, or only those refused.

    ``named`` are acts that the text means as well: those whose name in the reader's language holds it.
    """

    who: str = ""
    text: str = ""
    named: tuple[str, ...] = ()
    refused_only: bool = False


def audit_rows(town: Town, wanted: AuditWanted = AuditWanted(), page: int = 1) -> list[AuditRow]:
    """One page of the acts wanted, the newest first."""
    columns = audit.c
    query = select(*(columns[name] for name in ("id", "at", "who", "action", "subject", "before", "after", "refused")))
    query = query.where(*_conditions(wanted)).order_by(columns.id.desc())
    return [AuditRow(*row) for row in town.rows(query.limit(AUDIT_PAGE).offset((max(1, page) - 1) * AUDIT_PAGE))]


def audit_found(town: Town, wanted: AuditWanted) -> int:
    """How many acts are wanted, on all pages together."""
    query = select(func.count()).select_from(audit).where(*_conditions(wanted))
    return int(town.shared.of(("audit_found", wanted), lambda: town.rows(query))[0][0])


def _conditions(wanted: AuditWanted) -> list[ColumnElement[bool]]:
    columns, text = audit.c, wanted.text.strip()
    found: list[ColumnElement[bool]] = [columns.who == wanted.who] if wanted.who else []
    if text:
        there = columns.action.contains(text, autoescape=True) | columns.subject.contains(text, autoescape=True)
        found.append(there | columns.action.in_(wanted.named))
    if wanted.refused_only:
        found.append(columns.refused.is_(True))
    return found


def audited_people(town: Town) -> list[str]:
    """Everybody who ever did something, in order."""
    return [name for (name,) in town.rows(select(audit.c.who).distinct().order_by(audit.c.who))]
