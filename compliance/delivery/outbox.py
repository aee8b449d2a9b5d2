"""The outbox: rows of messages to channels. Written before anything is sent; claimed by one sender at a time; completed with the result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, insert, select, update

from compliance.delivery.messages import Message, escalation_message, notice_message, warning_message
from domain.site import Channel, Site
from store.records import tables

DELIVERIES = tables.deliveries
CLAIMED_MS: Final = 120_000  # longer than any channel takes; a sender that died is taken for dead then
GIVE_UP_MS: Final = 24 * 3_600_000
BACKOFF_MS: Final = (5_000, 15_000, 60_000, 300_000, 900_000, 1_800_000)
CURSORS: Final = ("delivery.notices", "delivery.warnings", "delivery.escalations")


@dataclass(frozen=True)
class Due:
    """A delivery that its claimer must try now. ``attempts`` counts this one."""

    id: int
    key: str
    channel: str
    title: str
    text: str
    attempts: int
    first_tried_at: int


def plan(engine: Engine, site: Site) -> int:
    """Writes rows for what was decided since the last call, one transaction with how far it went; returns how many.

    A channel that is new gets what is decided from now on, not the past.
    """
    with engine.begin() as connection:
        notices, warnings = _new_notices(connection, site), _new_warnings(connection, site)
        written = _write(connection, site.channels, "notices", notices) + _write(connection, site.channels, "warnings", warnings)
        return written + sum(_write(connection, site.channels, told, [message]) for told, message in _new_escalations(connection, site))


def claim(engine: Engine, channels: Sequence[str], wall_ms: int) -> Due | None:
    """The next delivery that is due, now this caller's for two minutes; None where there is none. ``wall_ms`` is life's time."""
    columns = DELIVERIES.c
    ready = (columns.state == "waiting") & (columns.next_at <= wall_ms) & columns.channel.in_(channels)
    with engine.begin() as connection:
        row = connection.execute(select(DELIVERIES).where(ready).order_by(columns.next_at, columns.id).limit(1)).first()
        if row is None:
            return None
        first = row.first_tried_at or wall_ms
        values = {"attempts": row.attempts + 1, "next_at": wall_ms + CLAIMED_MS, "first_tried_at": first}
        mine = (columns.id == row.id) & (columns.attempts == row.attempts) & (columns.state == "waiting")
        if connection.execute(update(DELIVERIES).where(mine).values(values)).rowcount != 1:
            return None  # another sender was faster
    return Due(row.id, row.key, row.channel, row.title, row.text, row.attempts + 1, first)


def delivered(engine: Engine, due: Due, wall_ms: int, result: str = "") -> None:
    """The channel took it."""
    _complete(engine, due, {"state": "sent", "done_at": wall_ms, "result": result})


def failed(engine: Engine, due: Due, wall_ms: int, reason: str, *, permanent: bool) -> str:
    """The channel did not take it: refused for good, to be tried again, or given up after a day. Returns the state."""
    if permanent:
        state = "refused"
    elif wall_ms - due.first_tried_at >= GIVE_UP_MS:
        state = "given_up"
    else:
        wait_ms = BACKOFF_MS[min(due.attempts, len(BACKOFF_MS)) - 1]
        _complete(engine, due, {"next_at": wall_ms + wait_ms, "result": reason})
        return "waiting"
    _complete(engine, due, {"state": state, "done_at": wall_ms, "result": reason})
    return state


def _complete(engine: Engine, due: Due, values: dict[str, object]) -> None:
    """Only where it is still this attempt's: a sender that was taken for dead changes nothing any more but what it sent."""
    mine = (DELIVERIES.c.id == due.id) & (DELIVERIES.c.attempts == due.attempts)
    with engine.begin() as connection:
        connection.execute(update(DELIVERIES).where(mine).values(values))


def _new_notices(connection: Connection, site: Site) -> list[Message]:
    steps, notices = tables.notice_transitions, tables.notices
    found = []
    rows = (
        connection.execute(
            select(steps.c.id.label("step_id"), steps.c.to_state, steps.c.at, notices)
            .join(notices, notices.c.id == steps.c.notice_id)
            .where(steps.c.id > _cursor(connection, CURSORS[0]))
            .order_by(steps.c.id)
        )
        .mappings()
        .all()
    )
    for row in rows:
        message = notice_message(site, row["step_id"], row["to_state"], row["at"], {str(name): value for name, value in row.items()})
        if message is not None:
            found.append(message)
        _advance(connection, CURSORS[0], row["step_id"])
    return found


def _new_warnings(connection: Connection, site: Site) -> list[Message]:
    events = tables.events.c
    wanted = (events.id > _cursor(connection, CURSORS[1])) & (events.event == "notice.warning")
    rows = connection.execute(select(events.id, events.at, events.subject, events.body).where(wanted).order_by(events.id)).all()
    if rows:
        _advance(connection, CURSORS[1], rows[-1].id)
    return [warning_message(site, row.id, row.at, row.subject, float(row.body.get("hours", 0))) for row in rows]


def _new_escalations(connection: Connection, site: Site) -> list[tuple[str, Message]]:
    """Overdue duties by who is told of them."""
    table = tables.escalations
    rows = connection.execute(select(table).where(table.c.id > _cursor(connection, CURSORS[2])).order_by(table.c.id)).mappings().all()
    if rows:
        _advance(connection, CURSORS[2], rows[-1]["id"])
    return [(row["told"], escalation_message(site, {str(name): value for name, value in row.items()})) for row in rows]


def _write(connection: Connection, channels: Sequence[Channel], what: str, messages: Sequence[Message]) -> int:
    rows = []
    for channel in channels:
        if what in channel.sends:
            for message in messages:
                title, text = message.said(channel)
                row = {"key": f"{message.key}@{channel.name}", "channel": channel.name, "notice_id": message.notice_id}
                rows.append(row | {"title": title, "text": text, "made_at": message.made_at, "state": "waiting", "next_at": 0})
    if rows:
        connection.execute(insert(DELIVERIES), rows)
    return len(rows)


def _cursor(connection: Connection, name: str) -> int:
    value = connection.execute(select(tables.kept.c.value).where(tables.kept.c.name == name)).scalar()
    return int(value) if value is not None else 0


def _advance(connection: Connection, name: str, to: int) -> None:
    values = {"value": str(to).encode(), "at": to}
    if connection.execute(update(tables.kept).where(tables.kept.c.name == name).values(values)).rowcount == 0:
        connection.execute(insert(tables.kept).values(name=name, **values))
