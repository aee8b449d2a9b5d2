"""R4 and R5 of rules.md once more, slow and obvious: the heat state of stations, their outages and those of sources, and the duties."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.curve import FiledCurve
from domain.site import Site
from tests.compliance.oracle_rooms import HOUR, MINUTE, TINY, Input, Said, edges, in_force, in_season, local, standing

Truth = bool | None  # None: not known


def all_of(*terms: Truth) -> Truth:
    """All hold; "one term that is known false settles" it."""
    return False if False in terms else None if None in terms else True


def any_of(*terms: Truth) -> Truth:
    """One of them holds."""
    return True if True in terms else None if None in terms else False


class Heat(NamedTuple):
    """A station's time in which nothing changes: supplying, stopped, unknown or unjudged, and whether a stop is planned."""

    start: int
    stop: int
    state: str
    planned: bool


def heat_pieces(given: Input, station_id: str) -> list[Heat]:
    """The station's heat state, cut wherever a reading, a stand, the season, the curve or a planned stop changes."""
    site = given.site
    prefix = f"station/{station_id}/"
    own = {point.removeprefix(prefix): series for point, series in given.series.items() if point.startswith(prefix)}
    hold = round(site.station_hold_min * MINUTE)
    stops = [stop for stop in site.planned_stops if stop.station_id == station_id]
    cuts = [cut for series in own.values() for at, _ in series for cut in (at, at + hold)]
    cuts += [cut for stop in stops for cut in (stop.from_ms, stop.to_ms)]
    cuts += [curve.effective_from_ms for curve in site.curves.get(station_id, ())]
    pieces = []
    for start, stop in edges(given, cuts):
        values = {quantity: standing(series, start, hold) for quantity, series in own.items()}
        # "in season, either (a) … or (b)"
        state = "unjudged" if in_season(site, start) is None else heat_state(site, station_id, values, start)
        pieces.append(Heat(start, stop, state, any(one.from_ms <= start < one.to_ms for one in stops)))
    return pieces


def heat_state(site: Site, station_id: str, values: dict[str, float | None], at: int) -> str:
    """By "Stopped when, on values standing …, either (a) or (b)"; ``values`` has every measured quantity, None where none stands."""
    terms = [term for term in (circulation_lost(site, station_id, values), no_heat(site, station_id, values, at)) if term != "left out"]
    if any(term is True for term in terms):
        return "stopped"
    # "Supplying when the values needed are standing and neither holds; otherwise unknown."
    return "supplying" if terms and all(term is False for term in terms) else "unknown"


def circulation_lost(site: Site, station_id: str, values: dict[str, float | None]) -> Truth | str:
    """By "(a) circulation is lost"."""
    station = site.stations.get(station_id)
    # Read as: a flow without a design flow to compare it with is as good as not measured.
    if "secondary_flow_m3h" in values and station is not None and station.design_flow_m3h is not None:
        flow = values["secondary_flow_m3h"]
        # "secondary flow < 10 % of the station's design flow"
        return None if flow is None else Fraction(flow) * 10 < Fraction(station.design_flow_m3h)
    # "where flow is not measured: no circulation pump runs (run feedback 0 or frequency < 5 Hz)"
    still: dict[str, list[Truth]] = {}
    for quantity, value in values.items():
        pump, _, what = quantity.partition("_")
        if pump.startswith("pump") and what == "running":
            still.setdefault(pump, []).append(None if value is None else value == 0)
        if pump.startswith("pump") and what == "frequency_hz":
            still.setdefault(pump, []).append(None if value is None else value < 5)
    return all_of(*(any_of(*terms) for terms in still.values())) if still else "left out"


def no_heat(site: Site, station_id: str, values: dict[str, float | None], at: int) -> Truth | str:
    """By "(b) no heat is delivered: secondary supply − secondary return < 1.0 K and secondary supply < curve target − 10 K"."""
    curves = [curve for curve in site.curves.get(station_id, ()) if curve.effective_from_ms <= at]
    needed = ("secondary_supply_temp_c", "secondary_return_temp_c", "outdoor_temp_c")
    if not curves or any(quantity not in values for quantity in needed):
        return "left out"
    supply, back, outdoor = (None if values[name] is None else Fraction(str(values[name])) for name in needed)
    cold = None
    if supply is not None and outdoor is not None:
        cold = supply < target(max(curves, key=lambda curve: curve.effective_from_ms), outdoor, at, site.timezone) - 10 - TINY
    return all_of(None if supply is None or back is None else supply - back < 1 - TINY, cold)


def target(curve: FiledCurve, outdoor: Fraction, at: int, zone: ZoneInfo) -> Fraction:
    """R9: "piecewise linear …, plus optional offsets by time of day …; outside its points the end values hold"."""
    points = [(Fraction(str(x)), Fraction(str(y))) for x, y in zip(curve.outdoor_c, curve.supply_c, strict=True)]
    # Read as: twelve offsets, each for two hours of the clock on the wall.
    offset = Fraction(str(curve.offsets_k[local(at, zone).hour // 2])) if curve.offsets_k else Fraction(0)
    for (left, high), (right, low) in pairwise(points):
        if left <= outdoor <= right:
            return offset + high + (low - high) * (outdoor - left) / (right - left)
    return offset + (points[0][1] if outdoor < points[0][0] else points[-1][1])


@dataclass
class Outage:
    """An outage of a station, or of a source with its parts. ``closed_at`` is the instant at which its end was complete."""

    subject: str
    opened_at: int
    started_at: int
    started_earliest: int
    heat: list[Heat]
    ended_at: int | None = None
    closed_at: int | None = None
    by_season: bool = False
    parts: list["Outage"] = field(default_factory=list)
    stations: list[str] = field(default_factory=list)
    covered_at: int | None = None  # since when a source's notice is owed instead of this one's

    def open_at(self, at: int) -> bool:
        """Whether it has been opened, and not ended, at an instant."""
        return self.opened_at <= at and (self.closed_at is None or at < self.closed_at)

    def said(self, at: int, event: str) -> Said:
        """An event that names the outage as it is known at the instant."""
        ended = self.ended_at if event in {"outage.ended", "notice.closed"} else None
        joined = [part for part in self.parts if part.opened_at <= at] or [self]
        started, earliest = (min(getattr(part, name) for part in joined) for name in ("started_at", "started_earliest"))
        stations = sorted({station for part in joined for station in part.stations})
        body = {"started_at": started, "started_earliest": earliest, "ended_at": ended, "stations": stations}
        return Said(at, event, self.subject, body)


def station_outages(given: Input, station_id: str) -> list[Outage]:
    """The outages of one station."""
    pieces = heat_pieces(given, station_id)
    outages: list[Outage] = []
    outage: Outage | None = None
    first_stop: int | None = None
    earliest = stopped = supplied = 0
    first_supply = last_supply = not_before = None
    unknown_before = False
    for start, stop, state, planned in pieces:
        length = stop - start
        if state == "unjudged":
            # "The end of the season ends an open outage at that instant."
            if outage is not None:
                outage.ended_at = outage.closed_at = start
                outage.by_season = True
            outage = first_stop = last_supply = None  # read as: supply of the season before says nothing of this one
        elif outage is None:
            if planned or state == "supplying":
                # "A planned stop … makes time inside it suppressed by design; a stop that lasts beyond its end is an outage from that end."
                first_stop = None
            if state == "stopped" and not planned:
                if first_stop is None:
                    # "its started_at is the first instant of that stop." "If unknown time lay directly before the first known stop,
                    # started_earliest is the last known instant of supply, else (also when no supply was ever known) it equals started_at"
                    first_stop, stopped = start, 0
                    earliest = last_supply if unknown_before and last_supply is not None else start
                    # Read as: "an outage from that end" of the planned stop can't have started before it.
                    earliest = max(earliest, not_before or earliest)
                # "opens when stopped has lasted 15 min"
                if stopped + length >= 15 * MINUTE:
                    opened = start + 15 * MINUTE - stopped
                    outage = Outage(f"station/{station_id}", opened, first_stop, earliest, pieces, stations=[station_id])
                    outages.append(outage)
                    first_supply, supplied, first_stop = None, 0, None
                stopped += length  # "Unknown neither opens nor ends it; it freezes both timers."
        elif state == "stopped":
            first_supply = None
        elif state == "supplying":
            if first_supply is None:
                first_supply, supplied = start, 0
            # "It ends when supplying has lasted 30 min; ended_at is the first instant of that supply, so a shorter restoration does not
            # interrupt it."
            if supplied + length >= 30 * MINUTE:
                outage.ended_at, outage.closed_at = first_supply, start + 30 * MINUTE - supplied
                outage = None
            supplied += length
        if state == "supplying":
            last_supply = stop
        if planned:
            not_before = stop
        unknown_before = state == "unknown"
    return outages


def source_outages(given: Input, source_id: str, parts: Sequence[Outage]) -> list[Outage]:
    """By "when at least 3, and at least half, of the stations of one heat source have an open outage at one instant …"."""
    count = sum(1 for station in given.site.stations.values() if station.source_id == source_id)
    outages: list[Outage] = []
    outage: Outage | None = None
    for at in sorted({at for part in parts for at in (part.opened_at, part.closed_at) if at is not None}):
        is_open = [part for part in parts if part.open_at(at)]
        if outage is not None:
            # "these stations and those that follow are its parts"
            outage.parts.extend(part for part in is_open if part not in outage.parts)
            # "it ends when its last part ends"
            if not is_open:
                outage.closed_at, outage.ended_at = at, max(part.ended_at or 0 for part in outage.parts)
                outage.by_season = any(part.by_season and part.closed_at == at for part in outage.parts)
                outage = None
        if outage is None and len(is_open) >= 3 and 2 * len(is_open) >= count:
            outage = Outage(f"source/{source_id}", at, 0, 0, [], parts=is_open)
            outages.append(outage)
        if outage is not None:
            # "Its started_at and started_earliest are the earliest of its parts"
            outage.started_at = min(part.started_at for part in outage.parts)
            outage.started_earliest = min(part.started_earliest for part in outage.parts)
            for part in outage.parts:
                part.covered_at = min(part.covered_at or at, at)
    return outages


def judge_outages(given: Input) -> tuple[list[Outage], list[Said]]:
    """Every outage, and what is said of outages and notices."""
    named = {point.split("/")[1] for point in given.series if point.startswith("station/")}
    of_station = {station_id: station_outages(given, station_id) for station_id in sorted(named)}
    outages = [outage for station_id in of_station for outage in of_station[station_id]]
    for source_id, station_ids in given.site.sources.items():
        parts = [outage for station_id in station_ids for outage in of_station.get(station_id, ())]
        outages.extend(source_outages(given, source_id, parts))
    said: list[Said] = []
    for outage in outages:
        said.append(outage.said(outage.opened_at, "outage.opened"))
        if outage.closed_at is not None:
            said.append(outage.said(outage.closed_at, "outage.ended"))
        said.extend(duties(given, outage))
    return outages, said


# ── R5 ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def tentative(outage: Outage, at: int) -> bool:
    """Whether "heat is tentatively supplying at that instant"; a source's is when that of all its open parts is.

    "A duration that is full at the very instant at which its condition ends has been reached": a supply that only begins there is too late.
    """
    if outage.parts:
        # An end of the season at this very instant still finds the parts open that it ends.
        return all(tentative(part, at) for part in outage.parts if part.open_at(at) or (part.by_season and part.closed_at == at))
    supplying = [piece for piece in outage.heat if piece.state == "supplying"]
    return all(any(piece.start <= moment < piece.stop for piece in supplying) for moment in (at - 1, at))


def duties(given: Input, outage: Outage) -> list[Said]:
    """Warnings, the notice, and its closing."""
    moments = {outage.opened_at, given.to_ms}
    for one in (outage, *outage.parts):
        moments.update(piece.start for piece in one.heat)
        moments.update(at for at in (one.opened_at, one.closed_at) if at is not None)
    # Read as: "the version in force at the instant judged" is for an outage's duties the one at its opening.
    version = in_force(given.site, outage.opened_at)
    assert version is not None
    begins = {outage.started_earliest, *(part.started_earliest for part in outage.parts)}
    moments.update(begin + round(hours * HOUR) for hours in (version.notice_after_h, *version.warn_after_h) for begin in begins)
    said: list[Said] = []
    warned: set[float] = set()
    due = False
    for at in sorted(moment for moment in moments if outage.opened_at <= moment <= given.to_ms):
        # "an outage that has not ended"; but "a duration that is full at the very instant at which its condition ends has been reached"
        reached = outage.by_season and at == outage.closed_at
        # "its parts' own notices that are not yet due are covered by" the source's
        if not (outage.open_at(at) or reached) or (outage.covered_at is not None and at >= outage.covered_at):
            break
        begin = outage.said(at, "").body["started_earliest"]
        if at == outage.opened_at:
            # "Before it: warnings to the dispatcher at detection, 4 h, 6 h and 7 h (…; the event carries hours 0, 4, 6, 7)"
            said.append(Said(at, "notice.warning", outage.subject, {"hours": 0}))
            # "those whose time has passed at detection are dropped"
            warned = {hours for hours in version.warn_after_h if begin + hours * HOUR < at}
        if tentative(outage, at):
            continue  # "the notice falls due at the first later instant … at which it is not"; "warnings too wait out a tentative supply"
        # "Before it: warnings"
        for hours in version.warn_after_h:
            if not due and hours not in warned and at >= begin + round(hours * HOUR):
                warned.add(hours)
                said.append(Said(at, "notice.warning", outage.subject, {"hours": hours}))
        # "At started_earliest + 8 h, to the second and not before, …: exactly one"; "a notice overdue then is due at opening"
        if not due and at >= begin + round(version.notice_after_h * HOUR):
            due = True
            said.append(outage.said(at, "notice.due"))
    if due and outage.closed_at is not None:
        said.append(outage.said(outage.closed_at, "notice.closed"))  # "notice.closed comes with outage.ended."
    return said
