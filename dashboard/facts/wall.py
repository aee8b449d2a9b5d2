"""The counts that matter, for the top of the wall."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.facts.alarms import AlarmCounts, alarm_counts
from dashboard.facts.complaints import complaint_rows, complaints_overdue
from dashboard.facts.events import Happened, lately
from dashboard.facts.notices import notice_rows
from dashboard.facts.outages import OutageRow, notice_due_ms, open_outages
from dashboard.facts.rooms import Counts, Day, day_figures, town_counts
from dashboard.facts.stations import Heat, station_states
from dashboard.facts.subjects import Subject, subject
from dashboard.facts.town import Town
from dashboard.moments import Moments

JUDGED_LATE_S = 60.0  # of life's time: watch passes over the town every few seconds


@dataclass(frozen=True)
class Duty:
    """An open outage and the instant at which it owes its users a notice; ``notice`` is the state of that notice."""

    outage: OutageRow
    subject: Subject
    due_at: int
    notice: str | None


@dataclass(frozen=True)
class Headline:
    """Everything the top of the wall says."""

    rooms: Counts
    today: Day
    heat: Heat
    duties: list[Duty]
    alarms: AlarmCounts
    complaints_open: int
    complaints_new: int
    complaints_overdue: int
    outdoor_c: float | None
    judged_at: int | None
    judged_late: bool


def headline(town: Town, moments: Moments) -> Headline:
    """The counts of this moment. Raises StoreError when the records or watch's tables can't be read."""
    states = station_states(town)
    complaints = [row for row in complaint_rows(town) if not row.over]
    judged_at = town.live().judged_at_ms
    now_ms = town.now_ms()
    return Headline(
        rooms=town_counts(town),
        today=day_figures(town, moments.day(now_ms)),
        heat=states.heat_counts(),
        duties=duties(town),
        alarms=alarm_counts(town),
        complaints_open=len(complaints),
        complaints_new=sum(row.state in {"new", "reopened"} for row in complaints),
        complaints_overdue=complaints_overdue(town),
        outdoor_c=states.outdoor_c(),
        judged_at=judged_at,
        judged_late=judged_at is None or now_ms - judged_at > JUDGED_LATE_S * 1000 * town.clock.speed,
    )


def duties(town: Town) -> list[Duty]:
    """The open outages, the one due first on top."""
    states = {notice.outage_id: notice.state for notice in notice_rows(town)}
    found = [
        Duty(outage, subject(town, outage.subject), notice_due_ms(town, outage), states.get(outage.id)) for outage in open_outages(town)
    ]
    return sorted(found, key=lambda duty: duty.due_at)


@dataclass(frozen=True)
class Change:
    """Something that happened lately, and to whom."""

    happened: Happened
    subject: Subject


def changes(town: Town) -> Sequence[Change]:
    """What changed in the last 15 minutes."""
    return [Change(happened, subject(town, happened.subject)) for happened in lately(town)]
