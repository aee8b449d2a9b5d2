"""The life of a notice in the records (R5): each step is one row with the words that the notice had from then on.

none ─▶ due ─▶ published ─▶ amended … ─▶ closed        due ─▶ due, amended ─▶ amended: other words
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from store.records.tables import notice_transitions, notices

WORDS: Final = ("title_zh", "title_en", "text_zh", "text_en", "closing", "closing_zh", "closing_en")
OPEN_AGAIN: Final = {"closed_at": None, "closed_by": None, "closing": "", "closing_zh": "", "closing_en": ""}


def first_step(connection: Connection, values: Mapping[str, Any], at: int, who: str = "keepwarm", why: str = "") -> int:
    """Stores a notice that is due, with its first transition; returns its id. ``at`` is UTC ms."""
    key = connection.execute(insert(notices).values(**values, state="due", version=1, changed_at=at)).inserted_primary_key
    assert key is not None
    _store(connection, int(key[0]), "none", at, who, why)
    return int(key[0])


def next_step(
    connection: Connection, notice_id: int, seen_version: int, to_state: str, at: int, values: Mapping[str, Any], who: str = "keepwarm",
    why: str = "",
) -> bool:  # fmt: skip
    """Takes a notice a step on, if it is still of the version that was seen (compare and set); False where it is not.

    ``values`` are the columns that change with it, words among them; what users were told before stays in the earlier transitions.
    """
    from_state = connection.execute(select(notices.c.state).where(notices.c.id == notice_id, notices.c.version == seen_version)).scalar()
    seen = (notices.c.id == notice_id) & (notices.c.version == seen_version)
    changed = update(notices).where(seen).values(**values, state=to_state, version=seen_version + 1, changed_at=at)
    if from_state is None or connection.execute(changed).rowcount != 1:
        return False
    _store(connection, notice_id, from_state, at, who, why)
    return True


def notice_of(connection: Connection, **which: int | str) -> Row[tuple[Any, ...]] | None:
    """The notice with this ``id``, ``outage_id`` or ``planned_stop``, held until the transaction ends; None where there is none."""
    ((name, value),) = which.items()
    return connection.execute(select(notices).where(notices.c[name] == value).with_for_update()).first()


def _store(connection: Connection, notice_id: int, from_state: str, at: int, who: str, why: str) -> None:
    columns = [notices.c[name] for name in ("state", "version", *WORDS)]
    now = connection.execute(select(*columns).where(notices.c.id == notice_id)).one()
    row = {"notice_id": notice_id, "from_state": from_state, "to_state": now.state, "at": at, "who": who, "why": why}
    words = {name: getattr(now, name) for name in ("version", *WORDS)}
    connection.execute(insert(notice_transitions).values(row | words))
