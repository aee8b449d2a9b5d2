"""Hundreds of random complaint lives, lived through the product's own acts: opened, moved, held, called back, merged, reopened."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import Engine, insert, select

from compliance.complaint_life import CATEGORIES, DEEDS, SOURCES, following
from dashboard.actions.acting import RefusedError
from dashboard.actions.complaints import (
    ResidentReport,
    merge_complaint,
    move_complaint,
    open_resident_complaint,
    record_call_back,
    record_deed,
)
from dashboard.roles import Account
from domain.site import Site
from store.records import tables

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
DESK = Account("客服李", "service")
# Until the next thing happens to a complaint: R7's own spans, to the millisecond, and what lies between.
DELAYS = (
    1,
    7 * MINUTE,
    10 * MINUTE,
    10 * MINUTE + 1,
    30 * MINUTE,
    HOUR,
    HOUR + 1,
    2 * HOUR,
    5 * HOUR,
    DAY,
    2 * DAY,
    2 * DAY + 1,
    3 * DAY,
    6 * DAY,
)


@dataclass
class Desk:
    """A desk at work over a season."""

    engine: Engine
    site: Site
    chance: Random
    meanwhile: Callable[[int, int], None]  # somebody looks: the instant, and the complaint that something is about to happen to
    done: dict[str, int] = field(default_factory=dict)

    def work(self, first: int, last: int, count: int) -> None:
        """Opens ``count`` complaints between two instants and goes on with each until it is left alone; acts come in order of time."""
        waiting = [(self.chance.randrange(first, last), number, 0) for number in range(count)]
        heapq.heapify(waiting)
        while waiting:
            now, number, complaint_id = heapq.heappop(waiting)
            self.meanwhile(now, complaint_id)
            if not complaint_id:
                complaint_id = self.open(now)
            else:
                self.act(complaint_id, now)
            if self.chance.random() < 0.93:
                heapq.heappush(waiting, (now + self.chance.choice(DELAYS), number, complaint_id))

    def open(self, now: int) -> int:
        """A resident's, reported now or a while ago; or a sensor's, a visit's, a ticket as the watch writes them."""
        origin = self.chance.choice(("resident",) * 4 + ("sensor", "sensor", "visit", "maintenance"))
        if origin == "resident":
            category = self.chance.choice(("low_temperature", *CATEGORIES))
            severity = self.chance.choice(("ordinary", "major")) if category == "pipe_burst" else "ordinary"
            said = self.chance.choice((None, now - 5 * MINUTE, now - 3 * HOUR))
            report = ResidentReport("room/R1", category, self.chance.choice(SOURCES), severity=severity, reported_at=said)
            return open_resident_complaint(self.engine, DESK, self.site, report, {}, now)
        kind = "maintenance" if origin == "maintenance" else "room"
        row = {"kind": kind, "origin": "visit" if origin == "visit" else "sensor", "subject": "room/R1", "station_id": "S1"}
        with self.engine.begin() as connection:
            key = connection.execute(insert(tables.complaints).values(row | {"opened_at": now, "state": "new"})).inserted_primary_key
            assert key is not None
            step = {"complaint_id": key[0], "from_state": "none", "to_state": "new", "at": now, "who": "watch"}
            connection.execute(insert(tables.complaint_transitions).values(step))
        return int(key[0])

    def act(self, complaint_id: int, now: int) -> None:
        """Something that somebody does; what the product refuses is not done."""
        columns = tables.complaints.c
        with self.engine.connect() as connection:
            row = connection.execute(select(tables.complaints).where(columns.id == complaint_id)).one()
            others = connection.scalars(select(columns.id).where(columns.state.not_in(("closed", "rejected", "merged"))))
            other = self.chance.choice([*others, complaint_id])
        kind = self.chance.choices(("move", "deed", "call_back", "merge"), (60, 25, 10, 5))[0]
        try:
            if kind == "deed":
                record_deed(self.engine, DESK, complaint_id, self.chance.choice((*DEEDS, "held", "resumed")), "无人在家", now)
            elif kind == "merge":
                merge_complaint(self.engine, DESK, complaint_id, row.state, other, "", now)
            elif kind == "call_back" or row.state == "resolved":
                satisfied = self.chance.choice((True, True, False, None))
                record_call_back(self.engine, DESK, complaint_id, row.state, satisfied, "", now)
            else:
                rare = self.chance.random() < 0.8
                after = [one for one in following(row.state, row.origin) if not (rare and one in ("reopened", "rejected"))]
                if not after:
                    return
                to_state = self.chance.choice(after)
                cause = self.chance.choice(("", "air_lock", "user_side")) if to_state in ("resolved", "rejected") else ""
                move_complaint(self.engine, DESK, complaint_id, row.state, to_state, "查明", now, cause=cause)
        except RefusedError:
            kind = "refused"
        self.done[kind] = self.done.get(kind, 0) + 1
