"""Outages (R4): of a station, folded over its heat runs; of a heat source, from the outages of its stations.

supplying ──stopped 15 min──▶ open (started_at = first instant of that stop) ──supplying 30 min──▶ ended (first instant of
that supply). Unknown time freezes both timers; a shorter restoration does not interrupt.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from compliance.heat import Heat, Runs
from domain.site import PlannedStop

OPEN_AFTER_MS = 15 * 60_000
END_AFTER_MS = 30 * 60_000
SOURCE_STATIONS = 3
SOURCE_SHARE = 0.5

Span = tuple[int, int]


@dataclass(frozen=True)
class Outage:
    """Heat not delivered by one station. Instants in UTC ms.

    ``opened_at`` and ``ended_seen_at`` are when it was certain; ``supplies`` are the spans since the opening in which heat was
    supplying, the tentative restorations. ``season_ended`` tells that the end of the season ended it.
    """

    station_id: str
    started_at: int
    started_earliest: int
    opened_at: int
    ended_at: int | None = None
    ended_seen_at: int | None = None
    supplies: tuple[Span, ...] = ()
    season_ended: bool = False

    def open_at(self, instant_ms: int) -> bool:
        """Whether it is open at this instant: opened, and its end not yet certain."""
        return self.opened_at <= instant_ms and (self.ended_seen_at is None or instant_ms < self.ended_seen_at)


@dataclass(frozen=True)
class SourceOutage:
    """One outage of a heat source: at least 3 and at least half of its stations at one instant, and those that follow."""

    source_id: str
    opened_at: int
    parts: tuple[Outage, ...]
    ended_seen_at: int | None = None

    @property
    def started_at(self) -> int:
        """The earliest start of its parts."""
        return min(part.started_at for part in self.parts)

    @property
    def started_earliest(self) -> int:
        """The earliest possible start of its parts; the duty runs from here."""
        return min(part.started_earliest for part in self.parts)

    @property
    def ended_at(self) -> int | None:
        """The end of its last part."""
        if self.ended_seen_at is None:
            return None
        return max(part.ended_at for part in self.parts if part.ended_at is not None)

    def joined_at(self, part: Outage) -> int:
        """When this part came under the outage of the source; from then on its own notice is covered."""
        return max(self.opened_at, part.opened_at)


@dataclass
class StopTimer:
    """Where the rule stands between two runs; kept between passes."""

    last_supply: int | None = None  # the last known instant of supply
    unknown_before: bool = False  # unknown time lies directly before what comes next
    not_before: int | None = None  # the end of a planned stop or start of season since the last supply
    stop_at: int | None = None
    stop_earliest: int = 0
    stop_ms: int = 0
    supply_at: int | None = None
    supply_ms: int = 0
    current: Outage | None = None
    supplies: list[Span] = field(default_factory=list)


def planned_at(stops: Iterable[PlannedStop], station_id: str | None, at: int) -> bool:
    """Whether a planned stop of the station holds at this instant: what happens inside is suppressed by design."""
    return any(stop.station_id == station_id and stop.from_ms <= at < stop.to_ms for stop in stops)


def station_outages(station_id: str, runs: Runs, planned: Sequence[PlannedStop], timer: StopTimer | None = None) -> list[Outage]:
    """The outages of one station over its heat runs, in order; the last may be open.

    ``timer`` carries the rule's state from before the runs and is advanced; the outage open before them is listed again.
    """
    timer = timer or StopTimer()
    stops = [(stop.from_ms, stop.to_ms) for stop in planned if stop.station_id == station_id]
    found = []
    for start, stop, heat, suppressed in _segments(runs, stops):
        ended = _advance(timer, station_id, start, stop, heat, suppressed=suppressed)
        if ended is not None:
            found.append(ended)
    if timer.current is not None:
        found.append(replace(timer.current, supplies=tuple(timer.supplies)))
    return found


def _segments(runs: Runs, planned: Sequence[Span]) -> Iterator[tuple[int, int, Heat, bool]]:
    """The runs, cut where a planned stop begins or ends."""
    edges = sorted({edge for span in planned for edge in span})
    ends = [*runs.at[1:].tolist(), runs.until]
    for start, stop, state in zip(runs.at.tolist(), ends, runs.state.tolist(), strict=True):
        cuts = [start, *(edge for edge in edges if start < edge < stop), stop]
        for low, high in pairwise(cuts):
            yield low, high, Heat(state), any(first <= low < last for first, last in planned)


def _advance(timer: StopTimer, station_id: str, start: int, stop: int, heat: Heat, *, suppressed: bool) -> Outage | None:
    """One segment; returns the outage that ended in it."""
    ended = None
    if heat is Heat.UNJUDGED:
        ended = _season_over(timer, start, stop)
    elif heat is Heat.SUPPLYING:
        ended = _supplying(timer, start, stop)
    elif heat is Heat.STOPPED:
        _stopped(timer, station_id, start, stop, suppressed=suppressed)
    if suppressed:
        timer.not_before = stop
        timer.stop_at, timer.stop_ms = None, 0  # a stop that had not opened is dropped with it, whatever is known of the time inside
    timer.unknown_before = heat is Heat.UNKNOWN
    return ended


def _season_over(timer: StopTimer, start: int, stop: int) -> Outage | None:
    ended = timer.current and replace(timer.current, ended_at=start, ended_seen_at=start, supplies=tuple(timer.supplies), season_ended=True)
    timer.last_supply, timer.not_before = None, stop
    timer.stop_at, timer.stop_ms = None, 0
    timer.current, timer.supply_at, timer.supply_ms, timer.supplies = None, None, 0, []
    return ended


def _supplying(timer: StopTimer, start: int, stop: int) -> Outage | None:
    timer.last_supply, timer.not_before = stop, None
    timer.stop_at, timer.stop_ms = None, 0
    if timer.current is None:
        return None
    if timer.supply_at is None:
        timer.supply_at, timer.supply_ms = start, 0
    needed_ms = END_AFTER_MS - timer.supply_ms
    if stop - start < needed_ms:
        timer.supply_ms += stop - start
        _join(timer.supplies, start, stop)
        return None
    _join(timer.supplies, start, start + needed_ms)
    ended = replace(timer.current, ended_at=timer.supply_at, ended_seen_at=start + needed_ms, supplies=tuple(timer.supplies))
    timer.current, timer.supply_at, timer.supply_ms, timer.supplies = None, None, 0, []
    return ended


def _join(spans: list[Span], start: int, stop: int) -> None:
    """Adds a span, joined with the last one where they touch."""
    if spans and spans[-1][1] == start:
        spans[-1] = (spans[-1][0], stop)
    else:
        spans.append((start, stop))


def _stopped(timer: StopTimer, station_id: str, start: int, stop: int, *, suppressed: bool) -> None:
    timer.supply_at, timer.supply_ms = None, 0
    if timer.current is not None or suppressed:
        return
    if timer.stop_at is None:
        timer.stop_at, timer.stop_ms = start, 0
        earliest = timer.last_supply if timer.unknown_before and timer.last_supply is not None else start
        timer.stop_earliest = earliest if timer.not_before is None else max(earliest, timer.not_before)
    needed_ms = OPEN_AFTER_MS - timer.stop_ms
    if stop - start >= needed_ms:
        timer.current = Outage(station_id, timer.stop_at, timer.stop_earliest, start + needed_ms)
        timer.stop_at, timer.stop_ms = None, 0
    else:
        timer.stop_ms += stop - start


def source_outages(outages: Iterable[Outage], feeds: Mapping[str, Sequence[str]]) -> list[SourceOutage]:
    """The outages of heat sources: ``feeds`` names each source's stations."""
    by_station: dict[str, list[Outage]] = {}
    for outage in outages:
        by_station.setdefault(outage.station_id, []).append(outage)
    found: list[SourceOutage] = []
    for source_id, station_ids in feeds.items():
        members = [outage for station_id in station_ids for outage in by_station.get(station_id, ())]
        found.extend(_of_source(source_id, members, len(station_ids)))
    return found


def _of_source(source_id: str, members: Sequence[Outage], stations: int) -> Iterator[SourceOutage]:
    """Sweeps over the instants at which outages open or end; at one instant ends count first."""
    instants = {outage.opened_at for outage in members} | {one.ended_seen_at for one in members if one.ended_seen_at is not None}
    current: SourceOutage | None = None
    for instant in sorted(instants):
        active = tuple(outage for outage in members if outage.open_at(instant))
        if current is not None:
            parts = current.parts + tuple(outage for outage in active if outage not in current.parts)
            current = replace(current, parts=parts)
            if not any(outage in active for outage in current.parts):
                yield replace(current, ended_seen_at=instant)
                current = None
        if current is None and len(active) >= SOURCE_STATIONS and len(active) >= SOURCE_SHARE * stations:
            current = SourceOutage(source_id, instant, active)
    if current is not None:
        yield current
