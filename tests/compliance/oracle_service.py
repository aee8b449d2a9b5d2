"""A second implementation of R7 and the desk's indicators, written from rules.md and docs alone, naive on purpose.

It reads the stored rows by plain SQL and goes through them one by one; no code of ours is used. Instants are UTC ms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from json import loads
from sqlite3 import Connection, Row
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
REPAIRS = ("low_temperature", "leak", "pipe_burst", "heat_stopped")
STATES = ("new", "accepted", "dispatched", "on_site", "resolved", "called_back", "closed")
FOREVER = 1 << 62

# R7: profile → duty → which categories (none: all), clock starts, what ends it, within.
Length = int | str
TABLE: dict[str, dict[str, tuple[tuple[str, ...], str, str, Length]]] = {
    "A": {
        "low_temperature_on_site": (("low_temperature",), "reported", "on_site", 30 * MINUTE),
        "low_temperature_cured": (("low_temperature",), "reported", "resolved", 48 * HOUR),
        "leak_on_site": (("leak",), "reported", "on_site", 30 * MINUTE),
        "slip_handed_over": ((), "reported", "handed_over", 10 * MINUTE),
        "complaint_verified": ((), "reported", "verified", 2 * DAY),
        "slip_filed": ((), "reported", "filed", 5 * DAY),
        "call_back_complaint": ((), "closed", "call_back", 3 * DAY),
        "call_back_repair": (REPAIRS, "resolved", "call_back", 7 * DAY),
    },
    "B": {
        "low_temperature_contact": (("low_temperature",), "reported", "contacted", 30 * MINUTE),
        "low_temperature_on_site": (("low_temperature",), "reported", "on_site", 2 * HOUR),
        "low_temperature_cured": (("low_temperature",), "reported", "resolved", 24 * HOUR),
        "leak_on_site": (("leak",), "reported", "on_site", 30 * MINUTE),
        "burst_repaired": (("pipe_burst",), "reported", "resolved", 24 * HOUR),
        "opinion_answered": ((), "reported", "answered", HOUR),
        "complaint_verified": ((), "reported", "verified", "5 working days"),
        "call_back_complaint": ((), "closed", "call_back", 48 * HOUR),
        "call_back_repair": (REPAIRS, "resolved", "call_back", 48 * HOUR),
    },
    "C": {
        "low_temperature_contact": (("low_temperature",), "reported", "contacted", HOUR),
        "leak_contact": (("leak",), "reported", "contacted", 15 * MINUTE),
        "leak_on_site": (("leak",), "reported", "on_site", 40 * MINUTE),
        "burst_repaired": (("pipe_burst", "ordinary"), "reported", "resolved", 6 * HOUR),
        "burst_repaired_major": (("pipe_burst", "major"), "reported", "resolved", 20 * HOUR),
        "heat_stopped_on_site": (("heat_stopped",), "reported", "on_site", HOUR),
        "heat_stopped_answered": (("heat_stopped",), "reported", "answered", 3 * HOUR),
        "opinion_answered": ((), "reported", "answered", HOUR),
        "complaint_verified": ((), "reported", "verified", HOUR),
    },
}
# What ends a clock: the state in which it is done (or any later one), deeds, and whether an answered call-back does as well.
ENDS: dict[str, tuple[str, str, bool]] = {
    "on_site": ("on_site", "", False),
    "resolved": ("resolved", "", False),
    "contacted": ("", "contacted", False),
    "answered": ("", "answered", False),
    "handed_over": ("dispatched", "handed_over", False),
    "verified": ("", "verified", True),
    "filed": ("closed", "filed", False),
    "call_back": ("", "", True),
}

# The State Council's arrangement for the winter of 2025/26.
FREE = [(date(2025, 10, 1), 8), (date(2026, 1, 1), 3), (date(2026, 2, 15), 9), (date(2026, 4, 4), 3)]
MADE_UP = {date(2025, 10, 11), date(2026, 1, 4), date(2026, 2, 14), date(2026, 2, 28)}


@dataclass
class Life:
    """One complaint as its rows tell it: steps (to, at), deeds (kind, at, reached, satisfied), and the lives merged into it (at)."""

    id: int
    origin: str
    kind: str
    category: str
    severity: str
    opened_at: int
    state: str
    steps: list[tuple[str, int]] = field(default_factory=list)
    deeds: list[tuple[str, int, bool, bool | None]] = field(default_factory=list)
    merged: list[tuple[int, "Life"]] = field(default_factory=list)
    merged_into: int | None = None


@dataclass(frozen=True)
class Clock:
    """One duty of one round: by when, whether it was done and when, and when it was called off."""

    duty: str
    started_at: int
    due_at: int
    done_at: int | None
    off_at: int | None
    span: int

    def standing(self, now: int) -> str:
        """kept, late (done too late, or ended too late), void (ended in time), overdue, open."""
        if self.done_at is not None:
            return "kept" if self.done_at <= self.due_at else "late"
        if self.off_at is not None:
            return "void" if self.off_at <= self.due_at else "late"
        return "overdue" if now > self.due_at else "open"


def lives(records: Connection) -> dict[int, Life]:
    """Every complaint of the records."""
    records.row_factory = Row
    found = {}
    for row in records.execute("SELECT * FROM complaints"):
        names = ("id", "origin", "kind", "category", "severity", "opened_at", "state", "merged_into")
        found[row["id"]] = Life(**{name: row[name] for name in names})
    for row in records.execute("SELECT * FROM complaint_transitions ORDER BY at, id"):
        if row["to_state"] != "new":
            found[row["complaint_id"]].steps.append((row["to_state"], row["at"]))
    for row in records.execute("SELECT * FROM complaint_deeds ORDER BY at, id"):
        body = loads(row["body"])
        kind = row["kind"] if body.get("cause") != "user_side" else "users_own"
        found[row["complaint_id"]].deeds.append((kind, row["at"], body.get("reached", True), body.get("satisfied")))
    for one in found.values():
        if one.merged_into is not None:
            (at,) = [at for state, at in one.steps if state == "merged"]
            found[one.merged_into].merged.append((at, one))
    return found


def is_working_day(day: date) -> bool:
    """Whether this day of the winter 2025/26 is a working day in China."""
    if day in MADE_UP:
        return True
    return day.weekday() < 5 and not any(first <= day < first + timedelta(days) for first, days in FREE)


def end_of_working_days(start: int, count: int) -> int:
    """24:00 of the last of so many working days after the day of ``start``."""
    day = datetime.fromtimestamp(start / 1000, ZONE).date()
    while count:
        day += timedelta(1)
        count -= is_working_day(day)
    return round(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp() * 1000) + DAY


def due(start: int, within: Length) -> int:
    """When a clock that starts has run out."""
    return start + within if isinstance(within, int) else end_of_working_days(start, 5)


def as_of(life: Life, now: int) -> Life:
    """The life as it was known then."""
    steps, deeds = [one for one in life.steps if one[1] <= now], [one for one in life.deeds if one[1] <= now]
    merged = [(at, as_of(one, at)) for at, one in life.merged if at <= now]
    return Life(life.id, life.origin, life.kind, life.category, life.severity, life.opened_at, life.state, steps, deeds, merged)


@dataclass
class Turn:
    """One round of a life: from its report (or reopening) to the next reopening, with the last rounds of all that was merged into it."""

    began: int
    after: int
    origins: set[str]
    steps: list[tuple[str, int]]
    deeds: list[tuple[str, int, bool, bool | None]]
    held: list[tuple[int, int]]


def turns(life: Life) -> list[Turn]:
    """The rounds of a life, the first first."""
    reopened = [at for state, at in life.steps if state == "reopened"]
    edges = [life.opened_at, *reopened, FOREVER]
    found = []
    for number, (began, after) in enumerate(pairwise(edges)):
        behind, steps = 0, []
        for state, at in life.steps:
            behind += state == "reopened"
            if behind == number and state != "reopened":
                steps.append((state, at))
        deeds = [deed for deed in life.deeds if began <= deed[1] < after]
        turn = Turn(began, after, {life.origin}, steps, deeds, waits(steps, deeds))
        for at, other in life.merged:
            if began <= at < after:
                last = turns(other)[-1]
                turn.began = min(turn.began, last.began)
                turn.origins |= last.origins
                turn.steps = turn.steps + [step for step in last.steps if step[0] != "merged"]
                turn.deeds = turn.deeds + last.deeds
                turn.held = turn.held + last.held
        found.append(turn)
    return found


def waits(steps: Sequence[tuple[str, int]], deeds: Sequence[tuple[str, int, bool, bool | None]]) -> list[tuple[int, int]]:
    """When it was held: from a hold to its end, which is a resumption or any next step."""
    found = []
    for kind, since, *_ in deeds:
        if kind == "held":
            ends = [at for one, at, *_ in deeds if one == "resumed" and at > since] + [at for _, at in steps if at >= since]
            found.append((since, min(ends, default=FOREVER)))
    return found


def clocks(whole: Life, profile: str, now: int) -> list[Clock]:
    """Every duty of every round, as somebody sees it at ``now``."""
    life = as_of(whole, now)
    found = []
    for turn in turns(life) if life.kind != "maintenance" else ():
        for duty, (what, starts, ends, within) in TABLE[profile].items():
            start = turn.began if starts == "reported" else _reached(turn.steps, starts)
            if start is not None and _owes(life, turn.origins, duty, what):
                found.append(_clock(turn, duty, start, within, _done(turn, starts, ends, start), now))
    return found


def _owes(life: Life, origins: set[str], duty: str, what: tuple[str, ...]) -> bool:
    if what and (life.category not in what or (what[-1] in ("ordinary", "major") and what[-1] != life.severity)):
        return False
    if "resident" in origins:
        return True
    if life.origin == "sensor":
        return duty in ("low_temperature_on_site", "low_temperature_cured")
    return duty == "low_temperature_cured"  # a visit has been there


def _reached(steps: Sequence[tuple[str, int]], state: str) -> int | None:
    """When it was first in this state or past it."""
    past = STATES[STATES.index(state) :]
    return min((at for to, at in steps if to in past), default=None)


def _done(turn: Turn, starts: str, ends: str, start: int) -> int | None:
    state, deed, call = ENDS[ends]
    instants = [at for kind, at, reached, _ in turn.deeds if kind == deed or (call and kind == "call_back" and reached)]
    if state and (at := _reached(turn.steps, state)) is not None:
        instants.append(at)
    return max(start, min(instants)) if instants else None


def _clock(turn: Turn, duty: str, start: int, within: Length, done: int | None, now: int) -> Clock:
    at = due(start, within)
    span = within if isinstance(within, int) else 5 * DAY
    rejected = [when for state, when in turn.steps if state in ("rejected", "merged")]
    off = min([*rejected, *([turn.after] if turn.after != FOREVER else [])], default=None)
    if done is not None and off is not None and done > off:
        done = None
    upto = min(one for one in (now, done, off) if one is not None)
    counted = start  # a moment in which two waited is one moment
    for since, until in sorted(turn.held):
        first, last = max(since, counted), min(until, upto)
        if (since <= at or since < counted) and last > first:  # a wait begun after the deadline excuses nothing
            at += last - first
            counted = last
    theirs = any(state == "rejected" for state, _ in turn.steps) or any(kind == "users_own" for kind, *_ in turn.deeds)
    if duty == "low_temperature_cured" and theirs:  # it was not the company's to cure
        return Clock(duty, start, at, None, start, span)
    return Clock(duty, start, at, done, off, span)


def told(life: Life, profile: str, now: int) -> list[tuple[int, str, int, int]]:
    """Who must have been told by ``now``: step 1 the department head at the deadline, step 2 the manager after as long again."""
    late = [clock for clock in clocks(life, profile, now) if clock.standing(now) == "overdue"]
    return [(life.id, one.duty, one.started_at, step) for one in late for step in (1, 2) if now > one.due_at + (step - 1) * one.span]


def origin_of(life: Life) -> str:
    """A resident's where a resident's was merged into it: it does not vanish from the residents' figures."""
    return "resident" if "resident" in {life.origin, *(origin_of(one) for _, one in life.merged)} else life.origin


def indicators(found: Sequence[Life], profile: str, now: int) -> dict[str, tuple[int, int, float | None]]:
    """The desk's four indicators of complaints opened in a period, as known at ``now``: numerator, denominator, coverage."""
    own = [as_of(one, now) for one in found if one.kind != "maintenance"]
    own = [one for one in own if origin_of(one) == "resident" and standing(one) != "merged"]
    repairs = [one for one in own if one.category in REPAIRS and standing(one) != "rejected"]
    timely = [in_time(one, profile, now) for one in repairs]
    cured = [one for one in own if standing(one) in ("resolved", "called_back", "closed")]
    calls = [[satisfied for kind, _, reached, satisfied in turns(one)[-1].deeds if kind == "call_back" and reached] for one in cured]
    called = [one for one in calls if one]
    said = [one[-1] for one in called if one[-1] is not None]
    over = [one for one in own if standing(one) in ("closed", "rejected")]
    decided = len(timely) - timely.count(None)
    return {
        "handled_in_time": (timely.count(True), decided, share(decided, len(timely))),
        "closed": (len(over), len(own), share(len(own), len(own))),
        "called_back": (len(called), len(cured), share(len(cured), len(own))),
        "satisfied": (said.count(True), len(said), share(len(said), len(cured))),
    }


def standing(life: Life) -> str:
    """The state it was in."""
    return life.steps[-1][0] if life.steps else "new"


def in_time(life: Life, profile: str, now: int) -> bool | None:
    """Whether a repair came and was done in time in every round; None while nobody knows."""
    duties = {duty for duty, (_, starts, ends, _) in TABLE[profile].items() if starts == "reported" and ends in ("on_site", "resolved")}
    found = [clock.standing(now) for clock in clocks(life, profile, now) if clock.duty in duties]
    if "late" in found or "overdue" in found:
        return False
    if "open" in found or (not found and standing(life) not in ("resolved", "called_back", "closed")):
        return None
    return True


def share(part: float, whole: float) -> float | None:
    """A part of a whole as it is written down."""
    return round(part / whole, 6) if whole else None
