"""R9 of rules.md once more, slow and obvious: whether stations keep to their curves, and how much water they lose."""

from fractions import Fraction

from tests.compliance.oracle_heat import heat_state, target
from tests.compliance.oracle_rooms import HOUR, MINUTE, TINY, Input, Said, edges, in_season, standing

WELL, BADLY, UNASKED, OVER = "well", "badly", "does not count", "the season is over"
Piece = tuple[int, int, str]


def keeping(given: Input) -> list[Said]:
    """Every event of R9."""
    said: list[Said] = []
    for station_id in sorted({point.split("/")[1] for point in given.series if point.startswith("station/")}):
        prefix = f"station/{station_id}/"
        own = {point.removeprefix(prefix): series for point, series in given.series.items() if point.startswith(prefix)}
        hold = round(given.site.station_hold_min * MINUTE)
        cuts = [cut for series in own.values() for at, _ in series for cut in (at, at + hold)]
        cuts += [curve.effective_from_ms for curve in given.site.curves.get(station_id, ())]
        curve: list[Piece] = []
        water: list[Piece] = []
        for start, stop in edges(given, cuts):
            values = {quantity: standing(series, start, hold) for quantity, series in own.items()}
            over = in_season(given.site, start) is None
            curve.append((start, stop, OVER if over else on_the_curve(given, station_id, values, start)))
            water.append((start, stop, OVER if over else tight(values)))
        said.extend(Said(at, event, f"station/{station_id}", {}) for at, event in (*curve_events(curve), *water_events(water)))
    return said


def on_the_curve(given: Input, station_id: str, values: dict[str, float | None], at: int) -> str:
    """By "|supply − target(outdoor)| ≤ 2 K is on the curve; only supplying time with standing values counts"."""
    curves = [one for one in given.site.curves.get(station_id, ()) if one.effective_from_ms <= at]
    supply, outdoor = values.get("secondary_supply_temp_c"), values.get("outdoor_temp_c")
    if supply is None or outdoor is None or not curves or heat_state(given.site, station_id, values, at) != "supplying":
        return UNASKED
    curve = max(curves, key=lambda one: one.effective_from_ms)
    deviation = abs(Fraction(str(supply)) - target(curve, Fraction(str(outdoor)), at, given.site.timezone))
    return WELL if deviation <= 2 + TINY else BADLY


def tight(values: dict[str, float | None]) -> str:
    """By "Make-up rate = make-up flow / circulation flow: above 1 % raises an alarm"; without circulation there is no rate."""
    makeup, flow = values.get("makeup_flow_m3h"), values.get("secondary_flow_m3h")
    if makeup is None or flow is None or flow <= 0:
        return UNASKED
    return BADLY if Fraction(str(makeup)) * 100 > Fraction(str(flow)) else WELL


def curve_events(pieces: list[Piece]) -> list[tuple[int, str]]:
    """By "off for 30 min on end raises an alarm"; read as: the alarm is over at the first instant back on the curve, or with the season."""
    events: list[tuple[int, str]] = []
    since: int | None = None
    raised = False
    for start, stop, state in pieces:
        if state == BADLY:
            since = start if since is None else since
            if not raised and stop - since >= 30 * MINUTE:
                events.append((since + 30 * MINUTE, "curve.off"))
                raised = True
        else:
            since = None  # "on end"
            if raised and state in (WELL, OVER):
                events.append((start, "curve.on"))
                raised = False
    return events


def water_events(pieces: list[Piece]) -> list[tuple[int, str]]:
    """By "above 1 % raises an alarm, above 1 % for 6 h escalates"; read as: time without a rate is not counted."""
    events: list[tuple[int, str]] = []
    lost: int | None = None  # how long the rate has been too high
    for start, stop, state in pieces:
        if state == BADLY:
            if lost is None:
                events.append((start, "water.high"))
                lost = 0
            before, lost = lost, lost + stop - start
            if before < 6 * HOUR <= lost:
                events.append((start + 6 * HOUR - before, "water.escalated"))
        elif state in (WELL, OVER) and lost is not None:
            events.append((start, "water.normal"))
            lost = None
    return events
