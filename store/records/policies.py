"""The policies a site was judged by: each version of the file as it was, from when on, and by whom it was put in force (R1)."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from domain.policy import Policy
from store.records.tables import policies as table


@dataclass(frozen=True)
class PolicyUsed:
    """One content of a policy file. ``first_used_at`` is the instant (UTC ms) from which on something was judged by it."""

    sha256: str
    name: str
    first_used_at: int
    who: str


def use_policy(connection: Connection, policy: Policy, at_ms: int, who: str) -> bool:
    """Notes that from now on a site is judged by this policy; False where it was the last one already."""
    newest = connection.execute(select(table.c.sha256).order_by(table.c.id.desc()).limit(1)).scalar()
    if newest == policy.sha256:
        return False
    row = {
        "sha256": policy.sha256,
        "name": policy.name,
        "content": policy.content.decode(errors="replace"),
        "first_used_at": at_ms,
        "who": who,
    }
    connection.execute(insert(table).values(row))
    return True


def policies_used(connection: Connection) -> list[PolicyUsed]:
    """Every change of policy, in order."""
    rows = connection.execute(select(table.c.sha256, table.c.name, table.c.first_used_at, table.c.who).order_by(table.c.id))
    return [PolicyUsed(*row) for row in rows]
