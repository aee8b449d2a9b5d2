"""The shift log as the pages show it, and what stands in the town when a shift ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from compliance.shift import HANDED_OVER, Entry, Shift, entries_of, last_duty, on_duty, open_points, shifts
from dashboard.facts.alarms import alarm_counts
from dashboard.facts.complaints import complaint_rows
from dashboard.facts.outages import open_outages
from dashboard.facts.stations import station_states
from dashboard.facts.town import Town
from store.records import reading
from store.records.shift_entries import entry_rows

LIFE_S: Final = 5.0


@dataclass(frozen=True)
class ShiftLog:
    """``who`` is on duty since ``since``; ``waiting`` is a hand-over that nobody has taken yet. ``shifts`` stand newest first.

    ``by_id`` finds an entry that another refers to.
    """

    who: str | None
    since: int | None
    waiting: Entry | None
    open_points: Sequence[Entry]
    shifts: Sequence[Shift]
    by_id: dict[int, Entry]


def shift_log(town: Town) -> ShiftLog:
    """The log. Raises StoreError when the records can't be read."""
    return town.shared.of("shift_log", lambda: _shift_log(town), life_s=LIFE_S)


def _shift_log(town: Town) -> ShiftLog:
    with town.asking("records"), reading(town.records).connect() as connection:
        entries = entries_of(entry_rows(connection))
    found = shifts(entries)
    last = last_duty(entries)
    waiting = last if last is not None and last.kind == HANDED_OVER else None
    return ShiftLog(on_duty(entries), found[-1].from_ms, waiting, open_points(entries), found[::-1], {entry.id: entry for entry in entries})


def standing(town: Town) -> dict[str, Any]:
    """What stands in the town now, which a hand-over keeps. Raises StoreError when it can't be read."""
    heat = station_states(town).heat_counts()
    complaints = [row for row in complaint_rows(town) if not row.over]
    return {
        "outages_open": len(open_outages(town)),
        "stations_stopped": heat.stopped,
        "stations_unknown": heat.unknown,
        "alarms_unacknowledged": alarm_counts(town).unacknowledged,
        "complaints_open": len(complaints),
    }
