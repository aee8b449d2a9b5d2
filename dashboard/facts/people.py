"""The people whom work can be given to: accounts that are not shut."""

from sqlalchemy import select

from dashboard.facts.town import Town
from store.records.tables import accounts

HANDS = ("dispatcher", "service", "engineer", "admin")


def people(town: Town) -> list[str]:
    """The names of accounts that may have a complaint in hand, in order."""
    query = select(accounts.c.name).where(accounts.c.role.in_(HANDS), accounts.c.disabled.is_(False)).order_by(accounts.c.name)
    return town.shared.of("people", lambda: [name for (name,) in town.rows(query)], life_s=10.0)
