"""The duties of the complaints that pages list (R7), kept in step with the records: what nothing new is stored about is not read again.

newest rows ─▶ others than before? ─▶ the complaints they are of, and those these were merged into ─▶ cases ─▶ duties as they stand
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import func, select, union_all

from compliance.complaint_cases import IDS_AT_ONCE, StandingDuties, read_cases
from compliance.service_duties import Case, DutyState
from dashboard.facts.town import Town
from store.records import reading
from store.records.tables import complaint_deeds, complaint_rooms, complaint_transitions, complaints

# Each change of a complaint is a row of its own, beside it. Whose column names the complaint.
TOLD_BY: Final = (complaints.c.id, complaint_transitions.c.complaint_id, complaint_deeds.c.complaint_id)
KEPT_S: Final = 60.0  # for how long is believed that nothing else changes
KEPT_SHARED_S: Final = 10.0  # on PostgreSQL, where a change may show later than its number says

Mark = tuple[int | None, ...]


def complaints_mark(town: Town) -> Mark:
    """Changes with whatever is stored about complaints: the newest number of each of ``TOLD_BY``, and how many rooms are attached."""
    return town.whole.of_records("complaints_mark", lambda: _mark(town.whole))


def _mark(town: Town) -> Mark:
    newest = [select(func.max(column.table.c.id)).scalar_subquery() for column in TOLD_BY]
    rooms = select(func.count()).select_from(complaint_rooms).where(complaint_rooms.c.complaint_id > 0)  # of the key: evidence is long
    return town.rows(select(*newest, rooms.scalar_subquery()))[0]


def kept_s(town: Town) -> float:
    """For how long rows about complaints are kept while their mark stays."""
    return KEPT_S if town.records.dialect.name == "sqlite" else KEPT_SHARED_S


def standing_duties(town: Town, name: str, ids: Sequence[int], now_ms: int) -> Mapping[int, list[DutyState]]:
    """The duties of complaints as they stand, of a list that is asked for again and again: of one ``name`` only what changed is computed.

    The very mapping of last time while nothing of it changed.
    """
    known = town.shared.of("known_cases", KnownCases, life_s=float("inf"))
    cases = known.of(town, name, tuple(ids), complaints_mark(town))
    return town.shared.of(("standing_duties", name), StandingDuties, life_s=float("inf")).of(town.site, cases, now_ms)


def read_cases_of(town: Town, ids: Sequence[int]) -> dict[int, Case]:
    """The cases of these complaints. Raises StoreError when the records can't be read."""
    found: dict[int, Case] = {}
    if ids:
        with town.asking("records"), reading(town.records).connect() as connection:
            for first in range(0, len(ids), IDS_AT_ONCE):
                found |= read_cases(connection, complaints.c.id.in_(ids[first : first + IDS_AT_ONCE]))
    return found


class KnownCases:
    """The cases read so far. All are read anew every ``kept_s``, those that something was stored about at once."""

    def __init__(self) -> None:
        self._cases: dict[int, Case] = {}
        self._lists: dict[str, tuple[tuple[int, ...], dict[int, Case]]] = {}
        self._mark: Mark = ()
        self._until_s = 0.0
        self._lock = threading.Lock()

    def of(self, town: Town, name: str, ids: tuple[int, ...], mark: Mark) -> dict[int, Case]:
        """The cases of these complaints as of ``mark`` or later, of a list with this name: the very mapping of last time while it stands.

        Raises StoreError when the records can't be read.
        """
        with self._lock:
            if town.shared.now_s() >= self._until_s:
                self._cases, self._lists, self._mark = {}, {}, mark
                self._until_s = town.shared.now_s() + kept_s(town)
            elif self._mark != mark:
                for complaint_id in _changed(town.whole, self._mark, mark, self._cases):
                    self._cases.pop(complaint_id, None)
                self._lists, self._mark = {}, mark
            if self._lists.get(name, ((), {}))[0] != ids:
                self._cases |= read_cases_of(town, [one for one in ids if one not in self._cases])
                self._lists[name] = ids, {one: self._cases[one] for one in ids if one in self._cases}
            return self._lists[name][1] if ids else {}


def _changed(town: Town, before: Mark, now: Mark, known: Iterable[int]) -> set[int]:
    """The complaints about which something was stored between two marks, and those that they were merged into."""
    if any((new or 0) < (old or 0) for old, new in zip(before, now, strict=True)):
        return set(known)  # rows are gone: a backup was put back
    later = [select(column).where(column.table.c.id > (old or 0)) for column, old in zip(TOLD_BY, before, strict=False)]
    found = {complaint_id for (complaint_id,) in town.rows(union_all(*later))}
    wanted = sorted(found)
    while wanted:
        if len(wanted) > IDS_AT_ONCE:
            return set(known)
        into = complaints.c.merged_into
        heirs = {heir for (heir,) in town.rows(select(into).where(complaints.c.id.in_(wanted), into.is_not(None)))}
        wanted = sorted(heirs - found)
        found |= heirs
    return found
