"""Service deadlines (R7), computed from a complaint's stored rows on reading: nothing here runs as a clock.

reported, reopened ─┬─▶ on site, resolved, answered, verified, filed …   due = start + within + time held
resolved, closed  ──┴─▶ called back                                      kept, late, overdue, or no longer owed
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal
from zoneinfo import ZoneInfo

from compliance.complaint_life import OVER, Deed, Round, Step, holds, rounds
from compliance.working_days import after_working_days

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

Start = Literal["reported", "resolved", "closed"]
Standing = Literal["open", "held", "overdue", "kept", "late", "void"]


@dataclass(frozen=True)
class Within:
    """A span: ``ms`` of time, or ``working_days``."""

    ms: int = 0
    working_days: int = 0


@dataclass(frozen=True)
class Duty:
    """One row of R7's table: from ``starts`` to ``ends`` (a state, a deed, or ``call_back``) ``within`` a span.

    ``categories`` and ``severity`` say which complaints owe it (empty: all); ``residents`` that only a resident is owed it.
    """

    name: str
    starts: Start
    ends: str
    within: Within
    categories: tuple[str, ...] = ()
    severity: str = ""
    residents: bool = False


def _min(amount: float) -> Within:
    return Within(ms=round(amount * MINUTE_MS))


def _h(amount: float) -> Within:
    return Within(ms=round(amount * HOUR_MS))


def _d(amount: float) -> Within:
    return Within(ms=round(amount * DAY_MS))


LOW, LEAK, BURST, STOPPED = ("low_temperature",), ("leak",), ("pipe_burst",), ("heat_stopped",)
REPAIRED = ("low_temperature", "leak", "pipe_burst", "heat_stopped")

# The companies' published standards (R7). A column without a duty owes none.
TABLES: Final[Mapping[str, tuple[Duty, ...]]] = {
    "A": (
        Duty("on_site", "reported", "on_site", _min(30), LOW + LEAK),
        Duty("cured", "reported", "resolved", _h(48), LOW),
        Duty("handed_over", "reported", "handed_over", _min(10), residents=True),
        Duty("verified", "reported", "verified", _d(2), residents=True),
        Duty("filed", "reported", "filed", _d(5), residents=True),
        Duty("call_back_complaint", "closed", "call_back", _d(3), residents=True),
        Duty("call_back_repair", "resolved", "call_back", _d(7), REPAIRED, residents=True),
    ),
    "B": (
        Duty("contacted", "reported", "contacted", _min(30), LOW, residents=True),
        Duty("on_site", "reported", "on_site", _h(2), LOW),
        Duty("on_site", "reported", "on_site", _min(30), LEAK),
        Duty("cured", "reported", "resolved", _h(24), LOW),
        Duty("repaired", "reported", "resolved", _h(24), BURST),
        Duty("answered", "reported", "answered", _h(1), residents=True),
        Duty("verified", "reported", "verified", Within(working_days=5), residents=True),
        Duty("call_back_complaint", "closed", "call_back", _h(48), residents=True),
        Duty("call_back_repair", "resolved", "call_back", _h(48), REPAIRED, residents=True),
    ),
    "C": (
        Duty("contacted", "reported", "contacted", _h(1), LOW, residents=True),
        Duty("contacted", "reported", "contacted", _min(15), LEAK, residents=True),
        Duty("on_site", "reported", "on_site", _min(40), LEAK),
        Duty("on_site", "reported", "on_site", _h(1), STOPPED),
        Duty("repaired", "reported", "resolved", _h(6), BURST, severity="ordinary"),
        Duty("repaired", "reported", "resolved", _h(20), BURST, severity="major"),
        Duty("cause_answered", "reported", "answered", _h(3), STOPPED, residents=True),
        Duty("answered", "reported", "answered", _h(1), LOW + LEAK + BURST + ("other",), residents=True),
        Duty("verified", "reported", "verified", _h(1), residents=True),
    ),
}
WATER_HANDLED: Final = Duty("water_handled", "reported", "handled", _h(6))  # the same in every table

# A state says that those before it were passed as well: who has resolved it was on site.
ORDER: Final = ("new", "accepted", "dispatched", "on_site", "resolved", "called_back", "closed")


@dataclass(frozen=True)
class Case:
    """What a complaint's duties depend on. ``merged`` are those merged into it, whose reports and deeds it inherits."""

    category: str
    severity: str
    origin: str
    kind: str
    reported_at: int
    steps: tuple[Step, ...]
    deeds: tuple[Deed, ...] = ()
    merged: tuple["Case", ...] = ()


@dataclass(frozen=True)
class DutyState:
    """One duty of one round. ``due_at`` counts the time held so far; ``done_at`` is None while it is not done (UTC ms)."""

    duty: Duty
    started_at: int
    due_at: int
    done_at: int | None
    held_ms: int
    standing: Standing


@dataclass(frozen=True)
class Calendar:
    """Where working days are counted."""

    zone: ZoneInfo
    site_days: Mapping[date, bool] = field(default_factory=dict)


def duty_states(case: Case, table: Sequence[Duty], calendar: Calendar, now_ms: int) -> list[DutyState]:
    """Every duty of every round, as it stands at ``now_ms``; what happened later is not known yet.

    Each clock is its own: one that is met or shorter never moves another. A reopening starts a new round. A merged complaint owes
    nothing more, and the one it was merged into is held to the earliest report among them. A rejection ends what was owed before it.
    """
    whole = _with_merged(_known(case, now_ms))
    waiting = holds(whole.deeds, whole.steps)
    found = []
    for one in rounds(whole.reported_at, whole.steps):
        for duty in table:
            if _owes(whole, duty):
                state = _state(duty, one, whole.deeds, waiting, calendar, now_ms)
                if state is not None:
                    found.append(state)
    return found


def next_due(states: Sequence[DutyState]) -> DutyState | None:
    """The duty that presses most: not done yet, the earliest deadline first; held ones only where nothing else is open."""
    left = [state for state in states if state.standing in ("open", "overdue", "held")]
    return min(left, key=lambda state: (state.standing == "held", state.due_at), default=None)


def _owes(case: Case, duty: Duty) -> bool:
    if case.kind == "maintenance":
        return False
    return (
        (not duty.categories or case.category in duty.categories)
        and (not duty.severity or case.severity == duty.severity)
        and (not duty.residents or case.origin == "resident")
    )


def _known(case: Case, now_ms: int) -> Case:
    steps = tuple(step for step in case.steps if step.at <= now_ms)
    deeds = tuple(deed for deed in case.deeds if deed.at <= now_ms)
    merged = tuple(_known(one, now_ms) for one in case.merged if any(step.to_state == "merged" and step.at <= now_ms for step in one.steps))
    return Case(case.category, case.severity, case.origin, case.kind, case.reported_at, steps, deeds, merged)


def _with_merged(case: Case) -> Case:
    if not case.merged:
        return case
    parts = [_with_merged(one) for one in case.merged]
    reported_at = min(case.reported_at, *(_last_report(part) for part in parts))
    own = [step for part in parts for step in rounds(part.reported_at, part.steps)[-1].steps if step.to_state != "merged"]
    steps = sorted([*case.steps, *own], key=lambda step: step.at)
    deeds = sorted([*case.deeds, *(deed for part in parts for deed in part.deeds)], key=lambda deed: deed.at)
    origin = "resident" if "resident" in (case.origin, *(part.origin for part in parts)) else case.origin
    return Case(case.category, case.severity, origin, case.kind, reported_at, tuple(steps), tuple(deeds))


def _last_report(case: Case) -> int:
    return rounds(case.reported_at, case.steps)[-1].reported_at


def _state(
    duty: Duty, one: Round, deeds: Sequence[Deed], waiting: Sequence[tuple[int, int | None]], calendar: Calendar, now_ms: int
) -> DutyState | None:
    """How the duty stands in this round; None where its clock has not started."""
    started_at = _started(duty, one)
    if started_at is None:
        return None
    done_at = _done(duty, one, deeds, started_at)
    ended_at = next((step.at for step in one.steps if step.to_state in ("rejected", "merged")), one.until)
    if duty.starts != "reported":
        ended_at = one.until  # a call-back is owed to whoever was told that it is over
    upto = min(at for at in (done_at, ended_at, now_ms) if at is not None)
    first_due = _due(duty, started_at, calendar)
    held_ms, held_now = _held(waiting, started_at, min(upto, _FAR), first_due)
    due_at = first_due + held_ms
    standing: Standing
    if done_at is not None and (ended_at is None or done_at <= ended_at):
        standing = "kept" if done_at <= due_at else "late"
    elif ended_at is not None:
        done_at = None
        standing = "void" if ended_at <= due_at else "late"
    elif now_ms > due_at:
        standing, done_at = "overdue", None
    else:
        standing = "held" if held_now else "open"
    return DutyState(duty, started_at, due_at, done_at, held_ms, standing)


_FAR = 1 << 60


def _started(duty: Duty, one: Round) -> int | None:
    if duty.starts == "reported":
        return one.reported_at
    return next((step.at for step in one.steps if step.to_state == duty.starts), None)


def _done(duty: Duty, one: Round, deeds: Sequence[Deed], started_at: int) -> int | None:
    """When the duty was done: the first state at or past its end, or the first such deed of the round."""
    end = _FAR if one.until is None else one.until
    if duty.ends in ORDER:
        enough = ORDER[ORDER.index(duty.ends) :]
        return next((step.at for step in one.steps if step.to_state in enough), None)
    # A call-back made when it was resolved also serves the clock that starts when it is closed.
    since = one.reported_at if duty.ends != "call_back" else next((s.at for s in one.steps if s.to_state == "resolved"), started_at)
    done = [deed.at for deed in deeds if deed.kind == duty.ends and since <= deed.at < end and (deed.kind != "call_back" or deed.reached)]
    return max(min(done), started_at) if done else None


def _due(duty: Duty, started_at: int, calendar: Calendar) -> int:
    if duty.within.working_days:
        return after_working_days(started_at, duty.within.working_days, calendar.zone, calendar.site_days)
    return started_at + duty.within.ms


def _held(waiting: Sequence[tuple[int, int | None]], start: int, upto: int, first_due: int) -> tuple[int, bool]:
    """Time held in [start, upto), and whether it is held at ``upto``. A hold that begins when the deadline has passed excuses nothing."""
    total, now = 0, False
    for since, until in waiting:
        if since > first_due + total:
            break
        low, high = max(since, start), min(until if until is not None else _FAR, upto)
        total += max(0, high - low)
        now = until is None and since <= upto
    return total, now


def handled_in_time(case: Case, table: Sequence[Duty], calendar: Calendar, now_ms: int) -> bool | None:
    """Whether every duty from the report to the cure was kept in every round (报修处理及时率); None while that is not yet known."""
    states = [state for state in duty_states(case, table, calendar, now_ms) if state.duty.ends in ("on_site", "resolved")]
    if any(state.standing in ("late", "overdue") for state in states):
        return False
    if any(state.standing in ("open", "held") for state in states):
        return None
    if not states and not any(step.to_state in (*OVER, "resolved", "called_back") for step in case.steps):
        return None
    return True
