"""Service deadlines (R7), computed from a complaint's stored rows on reading: nothing here runs as a clock.

reported, reopened ─┬─▶ on site, resolved, answered, verified, filed …   due = start + within + time held
resolved, closed  ──┴─▶ called back                                      kept, late, overdue, or no longer owed
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Final, Literal
from zoneinfo import ZoneInfo

from compliance.complaint_life import OVER, USERS_OWN, Deed, Step, holds, rounds
from compliance.working_days import is_working_day
from domain.deadlines import LENGTH_MS, Deadline, DeadlineTable

DAY_MS = 86_400_000

Standing = Literal["open", "held", "overdue", "kept", "late", "void"]


@dataclass(frozen=True)
class Owed:
    """Which complaints owe a duty: of these ``categories`` (empty: all), of this ``severity`` (empty: any), residents' only or all.

    ``measured``: also one that a measuring visit opened.
    """

    categories: tuple[str, ...] = ()
    severity: str = ""
    residents: bool = False
    measured: bool = True


LOW, LEAK, BURST, STOPPED = ("low_temperature",), ("leak",), ("pipe_burst",), ("heat_stopped",)

# What concerns the complainant is owed to residents, what concerns the pipes and rooms in any case. Water is no complaint's duty.
OWED: Final[Mapping[str, Owed]] = {
    "low_temperature_on_site": Owed(LOW, measured=False),  # the visit was on site
    "low_temperature_contact": Owed(LOW, residents=True),
    "low_temperature_cured": Owed(LOW),
    "leak_contact": Owed(LEAK, residents=True),
    "leak_on_site": Owed(LEAK),
    "burst_repaired": Owed(BURST),
    "burst_repaired_major": Owed(BURST, "major"),
    "heat_stopped_on_site": Owed(STOPPED),
    "heat_stopped_answered": Owed(STOPPED, residents=True),
    "slip_handed_over": Owed(residents=True),
    "opinion_answered": Owed(residents=True),
    "complaint_verified": Owed(residents=True),
    "slip_filed": Owed(residents=True),
    "call_back_complaint": Owed(residents=True),
    "call_back_repair": Owed((*LOW, *LEAK, *BURST, *STOPPED), residents=True),
}
CURED = "low_temperature_cured"  # of the company's cause
WATER = "water_loss_handled"
# What a table calls the end of a duty, as the state or deed that is stored.
ENDS: Final[Mapping[str, str]] = {"done": "call_back", "repaired": "resolved"}

# What a state does besides: who sends somebody hands the slip over, and what is closed is filed.
BESIDES: Final[Mapping[str, str]] = {"handed_over": "dispatched", "filed": "closed"}

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

    duty: Deadline
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


def duty_states(case: Case, table: DeadlineTable | None, calendar: Calendar, now_ms: int) -> list[DutyState]:
    """Every duty of every round, as it stands at ``now_ms``; what happened later is not known yet.

    Each clock is its own: one that is met or shorter never moves another. A reopening starts a new round. A merged complaint owes
    nothing more, and the round that it was merged into is held to the earliest report among them. A rejection ends what was owed before it.
    """
    found = []
    for one in _rounds(known_by(case, now_ms)):
        for duty in table.duties.values() if table else ():
            if _owes(case, one.origin, duty, table):
                state = _state(duty, one, calendar, now_ms)
                if state is not None:
                    found.append(state)
    return found


def stand_until(case: Case, states: Sequence[DutyState], now_ms: int) -> int:
    """The last instant (UTC ms) up to which the states of a case at ``now_ms`` stay as they are while nothing new is stored of it."""
    if any(state.standing == "held" for state in states):
        return now_ms  # a deadline that waits moves on
    turns = [state.due_at for state in states if state.standing == "open"]
    return min([*turns, *(at - 1 for at in _instants(case) if at > now_ms)], default=_FAR)


def _instants(case: Case) -> Iterator[int]:
    yield from (step.at for step in case.steps)
    yield from (deed.at for deed in case.deeds)
    for merged in case.merged:
        yield from _instants(merged)


def next_due(states: Sequence[DutyState]) -> DutyState | None:
    """The duty that presses most: not done yet, the earliest deadline first; held ones only where nothing else is open."""
    left = [state for state in states if state.standing in ("open", "overdue", "held")]
    return min(left, key=lambda state: (state.standing == "held", state.due_at), default=None)


def _owes(case: Case, origin: str, duty: Deadline, table: DeadlineTable | None) -> bool:
    owed = OWED.get(duty.duty)
    if owed is None or case.kind == "maintenance":
        return False
    if duty.duty == "burst_repaired" and case.severity == "major" and table and "burst_repaired_major" in table.duties:
        return False
    return (
        (not owed.categories or case.category in owed.categories)
        and (not owed.severity or case.severity == owed.severity)
        and (not owed.residents or origin == "resident")
        and (owed.measured or origin != "visit")
    )


def known_by(case: Case, now_ms: int) -> Case:
    """The case as it was known at ``now_ms``: what was stored of it, and merged into it, by then."""
    steps = tuple(step for step in case.steps if step.at <= now_ms)
    deeds = tuple(deed for deed in case.deeds if deed.at <= now_ms)
    merged = tuple(
        known_by(one, now_ms) for one in case.merged if any(step.to_state == "merged" and step.at <= now_ms for step in one.steps)
    )
    return Case(case.category, case.severity, case.origin, case.kind, case.reported_at, steps, deeds, merged)


@dataclass(frozen=True)
class _Round:
    """A round with all that was merged into it: the earliest report, what was done for each, when any of them waited (UTC ms)."""

    origin: str
    reported_at: int
    until: int | None
    steps: tuple[Step, ...]
    deeds: tuple[Deed, ...]
    waiting: tuple[tuple[int, int | None], ...]


def _rounds(case: Case) -> list[_Round]:
    """The rounds of a case. Each takes in the last round of what was merged into it, and leaves the rounds before it as they were."""
    found = []
    for one in rounds(case.reported_at, case.steps):
        end = _FAR if one.until is None else one.until
        parts = [_rounds(merged)[-1] for merged in case.merged if one.reported_at <= _merged_at(merged) < end]
        own = [deed for deed in case.deeds if one.reported_at <= deed.at < end]
        steps = [step for part in parts for step in part.steps if step.to_state != "merged"]
        waiting = [*holds(own, one.steps), *(span for part in parts for span in part.waiting)]
        found.append(
            _Round(
                _residents_first(case.origin, *(part.origin for part in parts)),
                min(one.reported_at, *(part.reported_at for part in parts), _FAR),
                one.until,
                tuple(sorted([*one.steps, *steps], key=lambda step: step.at)),
                tuple(sorted([*own, *(deed for part in parts for deed in part.deeds)], key=lambda deed: deed.at)),
                _joined(waiting),
            )
        )
    return found


def origin_of(case: Case) -> str:
    """Whose a complaint is with all that was merged into it: a resident's does not vanish in a sensor's."""
    return _residents_first(case.origin, *(origin_of(one) for one in case.merged))


def _residents_first(own: str, *merged: str) -> str:
    return "resident" if "resident" in merged else own


def _merged_at(case: Case) -> int:
    return next(step.at for step in case.steps if step.to_state == "merged")


def _joined(spans: Iterable[tuple[int, int | None]]) -> tuple[tuple[int, int | None], ...]:
    """The same time in spans that do not overlap, in order; None is an end that has not come."""
    found: list[tuple[int, int | None]] = []
    for since, until in sorted(spans, key=lambda span: span[0]):
        last = found[-1] if found else None
        if last is None or (last[1] is not None and last[1] < since):
            found.append((since, until))
        else:
            found[-1] = (last[0], None if last[1] is None or until is None else max(last[1], until))
    return tuple(found)


def _state(duty: Deadline, one: _Round, calendar: Calendar, now_ms: int) -> DutyState | None:
    """How the duty stands in this round; None where its clock has not started."""
    started_at = _started(duty, one)
    if started_at is None:
        return None
    done_at = _done(duty, one, started_at)
    ended_at = next((step.at for step in one.steps if step.to_state in ("rejected", "merged")), one.until)
    if duty.starts != "reported":
        ended_at = one.until  # a call-back is owed to whoever was told that it is over
    upto = min(at for at in (done_at, ended_at, now_ms) if at is not None)
    first_due = _due(duty, started_at, calendar)
    held_ms, held_now = _held(one.waiting, started_at, min(upto, _FAR), first_due)
    due_at = first_due + held_ms
    standing: Standing
    if duty.duty == CURED and _users_own(one):
        standing, done_at = "void", None
    elif done_at is not None and (ended_at is None or done_at <= ended_at):
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


def _started(duty: Deadline, one: _Round) -> int | None:
    if duty.starts == "reported":
        return one.reported_at
    return next((step.at for step in one.steps if step.to_state == duty.starts), None)


def _users_own(one: _Round) -> bool:
    """Whether the cause was found on the user's side: then there is no cure that the company owes."""
    causes = [deed.cause for deed in one.deeds if deed.kind == "found"]
    return any(step.to_state == "rejected" for step in one.steps) or causes[-1:] == [USERS_OWN]


def _done(duty: Deadline, one: _Round, started_at: int) -> int | None:
    """When the duty was done: the first state at or past its end, or the first such deed of the round.

    Whoever was reached by a call-back has verified the complaint as well.
    """
    end_mark = ENDS.get(duty.target, duty.target)
    passed = [step.at for step in one.steps if step.to_state in _at_or_past(BESIDES.get(end_mark, end_mark))]
    if end_mark in ORDER:
        return min(passed, default=None)
    # A call-back made when it was resolved also serves the clock that starts when it is closed.
    since = one.reported_at if end_mark != "call_back" else next((s.at for s in one.steps if s.to_state == "resolved"), started_at)
    kinds = (end_mark, "call_back") if end_mark == "verified" else (end_mark,)
    done = [deed.at for deed in one.deeds if deed.kind in kinds and since <= deed.at and (deed.kind != "call_back" or deed.reached)]
    return max(min(done + passed), started_at) if done or passed else None


def _at_or_past(state: str) -> tuple[str, ...]:
    """The states that say that this one was passed; none for what is no state."""
    return ORDER[ORDER.index(state) :] if state in ORDER else ()


def _due(duty: Deadline, started_at: int, calendar: Calendar) -> int:
    return duty.within.due_ms(started_at, calendar.zone, partial(is_working_day, site_days=calendar.site_days))


def span_ms(duty: Deadline) -> int:
    """How long a duty's span is at least: a working day is a day."""
    return round(duty.within.amount * LENGTH_MS.get(duty.within.unit, DAY_MS))


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


def handled_in_time(case: Case, table: DeadlineTable | None, calendar: Calendar, now_ms: int) -> bool | None:
    """Whether every duty from the report to the cure was kept in every round (报修处理及时率); None while that is not yet known."""
    states = [state for state in duty_states(case, table, calendar, now_ms) if state.duty.target in ("on_site", "resolved", "repaired")]
    if any(state.standing in ("late", "overdue") for state in states):
        return False
    if any(state.standing in ("open", "held") for state in states):
        return None
    if not states and not any(step.to_state in (*OVER, "resolved", "called_back") for step in _rounds(case)[-1].steps):
        return None
    return True
