"""The outbox: rows of messages to channels. Written before anything is sent; claimed by one sender at a time; completed with the result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Table, insert, select, update

from compliance.delivery.messages import Message, Warned, escalation_message, notice_message, warning_message
from domain.errors import DeliveryError
from domain.site import Channel, Site
from store.records import reading, tables

DELIVERIES = tables.deliveries
CLAIMED_MS: Final = 120_000  # longer than any channel takes; a sender that died is taken for dead then
BACKOFF_MS: Final = (5_000, 15_000, 60_000, 300_000, 900_000, 1_800_000)
MOST_AT_ONCE: Final = 500
# What makes messages, and which of its rows have none in the outbox yet.
SOURCES: Final = (
    (tables.notice_transitions, tables.notice_transitions.c.queued.is_(False)),
    (tables.events, tables.events.c.queued.is_(False) & (tables.events.c.event == "notice.warning")),
    (tables.escalations, tables.escalations.c.queued.is_(False)),
)


@dataclass(frozen=True)
class Due:
    """A delivery that its claimer must try now. ``attempts`` counts this one."""

    id: int
    key: str
    channel: str
    title: str
    text: str
    attempts: int


def plan(engine: Engine, site: Site) -> int:
    """Writes rows for what was decided and is not in the outbox yet, one transaction with the mark that it is; returns how many.

    A channel that is new gets what is decided from now on, not the past: without channels, too, all is marked.
    """
    with reading(engine).connect() as connection:
        if not any(connection.execute(select(table.c.id).where(new).limit(1)).first() for table, new in SOURCES):
            return 0
    with engine.begin() as connection:
        steps, events, escalated = (_taken(connection, table, new) for table, new in SOURCES)
        notices = [message for step in steps if (message := notice_message(site, step)) is not None]
        warnings = [warning_message(site, one) for one in _still_of_use(connection, events)]
        written = _write(connection, site.channels, "notices", notices) + _write(connection, site.channels, "warnings", warnings)
        return written + sum(_write(connection, site.channels, row["told"], [escalation_message(site, row)]) for row in escalated)


def _still_of_use(connection: Connection, events: Sequence[dict[str, Any]]) -> list[Warned]:
    """The warnings that still warn of something (R5): not of an outage learned of after its end, nor one that a later one has overtaken."""
    newest: dict[tuple[str, int], Warned] = {}
    columns = tables.outages.c
    known = (columns.id, columns.state, columns.opened_at, columns.started_earliest)
    for row in events:
        of_it = (columns.subject == row["subject"]) & (columns.opened_at <= row["at"])
        outage = connection.execute(select(*known).where(of_it).order_by(columns.opened_at.desc()).limit(1)).first()
        if outage is not None and outage.state != "open":
            continue
        facts = (None, None) if outage is None else (outage.opened_at, outage.started_earliest)
        one = Warned(row["id"], row["at"], row["subject"], float(row["body"].get("hours", 0)), *facts)
        key = (one.subject, -one.event_id if outage is None else int(outage.id))
        if key not in newest or newest[key].hours <= one.hours:
            newest[key] = one
    return sorted(newest.values(), key=lambda one: one.at_ms)


def claim(engine: Engine, channels: Sequence[str], wall_ms: int) -> Due | None:
    """The next delivery that is due, now this caller's for two minutes; None where there is none. ``wall_ms`` is life's time.

    A channel gets the messages of one notice in their order: nobody reads of an end before the beginning.
    """
    columns, before = DELIVERIES.c, DELIVERIES.alias("before")
    same = (before.c.channel == columns.channel) & (before.c.notice_id == columns.notice_id) & (before.c.id < columns.id)
    earlier = select(before.c.id).where(same, before.c.state == "waiting").exists()
    ready = (columns.state == "waiting") & (columns.next_at <= wall_ms) & columns.channel.in_(channels) & ~earlier
    with engine.begin() as connection:
        row = connection.execute(select(DELIVERIES).where(ready).order_by(columns.next_at, columns.id).limit(1)).first()
        if row is None:
            return None
        values = {"attempts": row.attempts + 1, "next_at": wall_ms + CLAIMED_MS, "first_tried_at": row.first_tried_at or wall_ms}
        mine = (columns.id == row.id) & (columns.attempts == row.attempts) & (columns.state == "waiting")
        if connection.execute(update(DELIVERIES).where(mine).values(values)).rowcount != 1:
            return None  # another sender was faster
    return Due(row.id, row.key, row.channel, row.title, row.text, row.attempts + 1)


def delivered(engine: Engine, due: Due, wall_ms: int, result: str = "") -> None:
    """The channel took it."""
    _complete(engine, due, {"state": "sent", "done_at": wall_ms, "result": result})


def failed(engine: Engine, due: Due, wall_ms: int, error: DeliveryError) -> str:
    """The channel did not take it: refused for good, or to be tried again, however long that takes (R5). Returns the state.

    A channel that asks to be left alone for longer than we would wait is left alone so long.
    """
    if error.permanent:
        _complete(engine, due, {"state": "refused", "done_at": wall_ms, "result": str(error)})
        return "refused"
    wait_ms = max(BACKOFF_MS[min(due.attempts, len(BACKOFF_MS)) - 1], round(1_000 * (error.retry_after_s or 0.0)))
    _complete(engine, due, {"next_at": wall_ms + wait_ms, "result": str(error)})
    return "waiting"


def _complete(engine: Engine, due: Due, values: dict[str, object]) -> None:
    """Only where it is still this attempt's: a sender that was taken for dead changes nothing any more but what it sent."""
    mine = (DELIVERIES.c.id == due.id) & (DELIVERIES.c.attempts == due.attempts)
    with engine.begin() as connection:
        connection.execute(update(DELIVERIES).where(mine).values(values))


def _taken(connection: Connection, table: Table, new: ColumnElement[bool]) -> list[dict[str, Any]]:
    """What has no messages in the outbox yet, in order; marked, so that no other process makes them too."""
    found = connection.execute(select(table).where(new).order_by(table.c.id).limit(MOST_AT_ONCE)).mappings().all()
    mine = []
    for row in found:
        taking = update(table).where(table.c.id == row["id"], table.c.queued.is_(False)).values(queued=True)
        if connection.execute(taking).rowcount == 1:
            mine.append({str(name): value for name, value in row.items()})
    return mine


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
