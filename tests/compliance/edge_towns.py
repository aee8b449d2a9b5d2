"""Towns written as scripts: each state lasts exactly one of the rules' own durations, or a millisecond less or more.

    script: (80.0, 5 min) (0.0, 8 h − 1 ms) (None, 2 h) (80.0, 30 min) …
       ──▶  readings that stand just so long, silence that begins with the end of a stand

``oracle_towns`` walks at random over whole minutes and meets an exact coincidence now and then; here nearly every boundary is one:
with 06:00, 21:00, an end of the season, the begin of an exclusion or planned stop, the same boundary of another room or station.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.curve import FiledCurve
from domain.policy import Policy
from domain.site import Building, Exclusion, PlannedStop, Room, Site, Station
from tests.compliance.oracle_rooms import HOUR, MINUTE, Row
from tests.compliance.oracle_towns import Town

ZONE = ZoneInfo("Asia/Shanghai")
BESIDE_MS = (0, 0, 0, 0, -1, 1)
SEASON_BEGINS, SEASON_ENDS = datetime(2025, 11, 15, tzinfo=ZONE), datetime(2026, 3, 16, tzinfo=ZONE)
WINTER_DAY = datetime(2026, 1, 14, tzinfo=ZONE)
ANCHORS = (*(WINTER_DAY + timedelta(hours=hour) for hour in (6, 21, 12, 24)), SEASON_BEGINS, SEASON_ENDS)

Part = tuple[float | None, int]  # a value, or None for silence, and for how many milliseconds


def edge_town(seed: int, policy: Policy) -> Town:
    """A town whose seed says everything about it, of one of four kinds in turn; ``policy`` is the shipped one."""
    chance = random.Random(f"edge {seed}")
    site = Site("edges", ZONE, policy, Path(), Path())
    kinds = (lonely_rooms, stations_of_a_source, cold_buildings, curves_and_water)
    anchor = round(chance.choice(ANCHORS).timestamp()) * 1000
    town = kinds[seed % 4](chance, site, anchor)
    rows = town.rows if seed % 4 == 2 else with_noise(chance, town.rows)
    if chance.random() < 0.5:
        chance.shuffle(rows)
    return replace(town, rows=rows)


# ── scripts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def beside(chance: random.Random, lengths: Sequence[int]) -> int:
    """One of the lengths, or a millisecond beside it."""
    return max(1, chance.choice(lengths) + chance.choice(BESIDE_MS))


def script(point: str, start: int, parts: Sequence[Part], hold: int, step: int) -> list[Row]:
    """Readings every ``step``, and one so placed that a part before silence stands to the part's end (or a whole hold, if that is more)."""
    rows: list[Row] = []
    at = start
    for (value, length), (following, _) in zip(parts, [*parts[1:], (None, 0)], strict=True):
        if value is None:
            at += length
            continue
        end = at + length
        last = max(at, end - hold if following is None else end - 1)
        instants = list(range(at, last + 1, step))
        if following is None and instants[-1] != last:
            instants.append(last)
        rows.extend((point, instant, value, 0, None) for instant in instants)
        at = max(end, last + hold) if following is None else end
    return rows


def boundary(chance: random.Random, parts: Sequence[Part]) -> int:
    """How long after its begin one of a script's parts ends."""
    return sum(length for _, length in parts[: chance.randint(0, len(parts))])


def with_noise(chance: random.Random, rows: list[Row]) -> list[Row]:
    """The rows with repeated, contradicting, suspect and bad readings among them."""
    noise: list[Row] = []
    for point, at, value, _, _ in rows:
        said = chance.random()
        if said < 0.02:
            noise.append((point, at, value, 0, None))
        elif said < 0.04:
            noise.append((point, at, chance.choice([0.0, 17.0, 21.0]), 65, at + 5))
        elif said < 0.05:
            noise.append((point, at + chance.choice([1, MINUTE]), 3.0, chance.choice([64, 66, 68]), None))
        elif said < 0.06:
            noise.append((point, at, chance.choice([17.5, 19.0, 80.0, 0.0]), 0, at + chance.choice(BESIDE_MS)))
        elif said < 0.07:
            noise.append((point, at, value, chance.choice([1, 3, 63]), at + 9))
    return [*rows, *noise]


# ── rooms ────────────────────────────────────────────────────────────────────────────────────────────────────────────

ROOM_C = (17.0, 17.0, 17.0, 18.0, 18.3, 18.29999, 17.999999, 18.0 - 5e-10, 18.3 - 5e-10, 16.0, 15.9, 16.3, 16.29, 20.0, 20.0)
ROOM_LASTS = (HOUR, HOUR, HOUR, 30 * MINUTE, 30 * MINUTE, 2 * HOUR, 40 * MINUTE, 20 * MINUTE, 10 * MINUTE, 90 * MINUTE, 3 * HOUR)
ROOM_SILENT = (2 * HOUR, 2 * HOUR, HOUR, 10 * MINUTE, 1, 4 * HOUR, 20 * MINUTE)


def room_parts(chance: random.Random) -> list[Part]:
    parts: list[Part] = []
    for _ in range(chance.randint(2, 7)):
        if parts and parts[-1][0] is not None and chance.random() < 0.25:
            parts.append((None, beside(chance, ROOM_SILENT)))
        else:
            parts.append((chance.choice(ROOM_C), beside(chance, ROOM_LASTS)))
    return parts


def lonely_rooms(chance: random.Random, site: Site, anchor: int) -> Town:
    """Rooms without a building, each of whose scripts has a boundary on the anchor, or just beside it."""
    rows: list[Row] = []
    rooms: dict[str, Room] = {}
    excluded: list[Exclusion] = []
    for number in range(chance.randint(1, 4)):
        hold_min = chance.choice([None, None, 10.0, 120.0, 30.0])
        room = Room(f"R{number}", hold_max_min=hold_min, offset_k=chance.choice([0, 0, 0.5, -0.3]))
        if chance.random() < 0.2:
            room = replace(room, premises="bungalow")
        hold, parts = round((hold_min or 30) * MINUTE), room_parts(chance)
        start = anchor - boundary(chance, parts[:3]) + chance.choice(BESIDE_MS)
        rows += script(f"room/R{number}/indoor_temp_c", start, parts, hold, chance.choice([hold, hold, hold // 2, 10 * MINUTE, hold + 1]))
        rooms[room.room_id] = room
        while chance.random() < 0.3:
            begin = chance.choice([anchor, start + HOUR, start + boundary(chance, parts)]) + chance.choice(BESIDE_MS)
            end = chance.choice([None, begin + 1, begin + HOUR, begin + 20 * MINUTE, max(begin + 1, anchor)])
            excluded.append(Exclusion(room.room_id, begin, end))
    return Town(replace(site, rooms=rooms, exclusions=tuple(excluded)), rows)


def cold_buildings(chance: random.Random, site: Site, _: int) -> Town:
    """Rooms of many buildings that are raised together, or two hours apart, around the five rooms and the fifth that make a roll-up."""
    noon = round(WINTER_DAY.timestamp()) * 1000 + 12 * HOUR
    rows: list[Row] = []
    planned: list[PlannedStop] = []
    stations, buildings, rooms = {}, {}, {}
    for station in [f"S{number}" for number in range(chance.choice([1, 1, 2]))]:
        stations[station] = Station(station, source_id="H", design_flow_m3h=100.0)
        if chance.random() < 0.25:
            parts = [(80.0, 30 * MINUTE), (0.0, chance.choice([45 * MINUTE, 75 * MINUTE, 2 * HOUR])), (80.0, 3 * HOUR)]
            rows += script(f"station/{station}/secondary_flow_m3h", noon - HOUR, parts, 5 * MINUTE, 5 * MINUTE)
        if chance.random() < 0.15:
            planned.append(PlannedStop(station, noon + beside(chance, [1, HOUR]), noon + beside(chance, [90 * MINUTE, 2 * HOUR])))
        for building in [f"{station}-B{number}" for number in range(chance.choice([1, 2, 3, 4]))]:
            buildings[building] = Building(building, station)
            begun = noon + chance.choice([0, 0, 10 * MINUTE, 2 * HOUR])
            cold = chance.choice([0, 3, 4, 5, 5, 6, 8])
            for number in range(chance.choice([4, 5, 6, 10, 25, 26, 30])):
                room = Room(f"{building}-R{number}", building)
                rooms[room.room_id] = room
                if number < cold:
                    start = begun + chance.choice([0, 0, 0, 10 * MINUTE, 2 * HOUR, 2 * HOUR + 1, 2 * HOUR - 1, 30 * MINUTE])
                    rows += script(f"room/{room.room_id}/indoor_temp_c", start, cold_parts(chance), 30 * MINUTE, 10 * MINUTE)
    return Town(replace(site, stations=stations, buildings=buildings, rooms=rooms, planned_stops=tuple(planned)), rows)


def cold_parts(chance: random.Random) -> list[Part]:
    """Cold for about an hour; some are cured and cold again, some begin with a step that may be their sensor's."""
    parts: list[Part] = [(17.0, chance.choice([HOUR, HOUR, 90 * MINUTE, HOUR - 1]))]
    if chance.random() < 0.3:
        parts += [(19.0, 30 * MINUTE), (17.0, HOUR)]
    if chance.random() < 0.1:
        parts = [(chance.choice([20.0, 20.0001, 21.0]), chance.choice([10 * MINUTE, 30 * MINUTE])), *parts]
    return parts


# ── stations ─────────────────────────────────────────────────────────────────────────────────────────────────────────

STATION_SILENT = (1, 5 * MINUTE, 10 * MINUTE, 2 * HOUR, 4 * HOUR, 8 * HOUR)
STOPPED_LASTS = tuple(minutes * MINUTE for minutes in (15, 15, 30, 10, 5, 60, 240, 360, 420, 480, 480, 450, 470))
SUPPLIED_LASTS = (30 * MINUTE, 30 * MINUTE, 10 * MINUTE, 20 * MINUTE, 1, HOUR, 5 * MINUTE)
# What else than the flow says that water circulates: running, at the limit, just below it, not at all.
SHOWS = {
    "secondary_flow_m3h": {80.0: 80.0, 10.0: 10.0, 9.99: 9.99, 0.0: 0.0},
    "pump1_running": {80.0: 1.0, 10.0: 1.0, 9.99: 0.0, 0.0: 0.0},
    "pump2_frequency_hz": {80.0: 40.0, 10.0: 5.0, 9.99: 4.99, 0.0: 0.0},
}


def station_parts(chance: random.Random) -> list[Part]:
    parts: list[Part] = [(80.0, chance.choice([5, 30]) * MINUTE)] if chance.random() < 0.8 else []
    for _ in range(chance.randint(2, 7)):
        kind = chance.random()
        if kind < 0.22 and parts and parts[-1][0] is not None:
            parts.append((None, beside(chance, STATION_SILENT)))
        elif kind < 0.6:
            parts.append((chance.choice([0.0, 0.0, 0.0, 9.99, 10.0]), beside(chance, STOPPED_LASTS)))
        else:
            parts.append((80.0, beside(chance, SUPPLIED_LASTS)))
    return parts


def stations_of_a_source(chance: random.Random, site: Site, anchor: int) -> Town:
    """One to seven stations whose stops, supplies and silences coincide, with planned stops that touch or overlap, and some cold rooms."""
    rows: list[Row] = []
    stations, rooms, planned = {}, {}, []
    shared = station_parts(chance) if chance.random() < 0.5 else None
    for station_id in [f"S{number}" for number in range(chance.choice([1, 1, 2, 3, 4, 5, 7]))]:
        stations[station_id] = Station(station_id, source_id=chance.choice(["H", "H", "H", "G"]), design_flow_m3h=100.0)
        parts = nearly(chance, shared) if shared else station_parts(chance)
        start = anchor - (8 * HOUR if shared else boundary(chance, parts[:3])) + chance.choice(BESIDE_MS)
        quantity = chance.choice(["secondary_flow_m3h"] * 4 + ["pump1_running", "pump2_frequency_hz"])
        shown = [(None if value is None else SHOWS[quantity][value], length) for value, length in parts]
        rows += script(f"station/{station_id}/{quantity}", start, shown, 5 * MINUTE, 5 * MINUTE)
        planned += planned_stops(chance, station_id, chance.choice([anchor, start + HOUR, start + boundary(chance, parts)]))
        for room in [Room(f"{station_id}-R{number}", station_id=station_id) for number in range(chance.choice([0, 0, 1, 2]))]:
            rooms[room.room_id] = room
            cold: list[Part] = [(chance.choice([15.0, 17.0]), chance.choice([HOUR, 2 * HOUR])), *room_parts(chance)[:3]]
            begun = start + beside(chance, [1, HOUR, 5 * HOUR])
            rows += script(f"room/{room.room_id}/indoor_temp_c", begun, cold, 30 * MINUTE, 30 * MINUTE)
    return Town(replace(site, stations=stations, rooms=rooms, planned_stops=tuple(planned)), rows)


def nearly(chance: random.Random, parts: Sequence[Part]) -> list[Part]:
    """The same script, some of its parts a little longer or shorter."""
    shift = BESIDE_MS if chance.random() < 0.7 else (*BESIDE_MS, MINUTE, 10 * MINUTE, -5 * MINUTE)
    return [(value, max(1, length + chance.choice(shift))) for value, length in parts]


def planned_stops(chance: random.Random, station_id: str, near: int) -> list[PlannedStop]:
    """None, or a few that touch, overlap, or leave a millisecond between them."""
    stops: list[PlannedStop] = []
    begin = near + chance.choice([*BESIDE_MS, 10 * MINUTE, -10 * MINUTE])
    while chance.random() < 0.3:
        end = begin + chance.choice([1, 15 * MINUTE, HOUR, 8 * HOUR, 9 * HOUR]) + chance.choice([0, 0, 1])
        stops.append(PlannedStop(station_id, begin, end))
        begin = end + chance.choice([0, 1, -10 * MINUTE])
    return stops


# ── curve and water ──────────────────────────────────────────────────────────────────────────────────────────────────

CURVES = (
    ((-20.0, 0.0), (60.0, 40.0), ()),
    ((-20.0, -10.0, 0.0), (60.0, 50.0, 40.0), (0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -3.0, 0.0)),
    ((-20.0, 0.0), (50.0, 50.0), ()),
)
TARGET_C = {-10.0: 50.0, -8.0: 48.0, -25.0: 60.0, 5.0: 40.0}  # of the first two curves, by outdoor temperature
OFF_K = (0.0, 2.0, 2.001, -2.0, -2.001, 2.0 + 5e-10, 5.0, -10.0, -10.001, -12.0)
SUPPLY_LASTS = tuple(minutes * MINUTE for minutes in (30, 30, 15, 60, 20, 10, 480))
FLOW_M3H = (80.0, 80.0, 80.0, 80.0, 50.0, 100.0, 0.0)
FLOW_LASTS = (HOUR, 6 * HOUR, 6 * HOUR, 3 * HOUR)
MAKEUP_M3H = (0.0, 0.5, 0.8, 0.80001, 1.0, 1.2)  # 1 % of 80 among them


def curves_and_water(chance: random.Random, site: Site, anchor: int) -> Town:
    """Stations 2 K and just over 2 K beside their curve, 1 % and just over 1 % of make-up water, heat that hardly arrives."""
    rows: list[Row] = []
    stations: dict[str, Station] = {}
    curves: dict[str, tuple[FiledCurve, ...]] = {}
    for station_id in [f"S{number}" for number in range(chance.choice([1, 2]))]:
        stations[station_id] = Station(station_id, design_flow_m3h=chance.choice([100.0, 100.0, 100.0, None]))
        outdoor, supply, offsets = chance.choice(CURVES)
        curves[station_id] = (FiledCurve(station_id, 0, outdoor, supply, offsets_k=offsets),)
        rows += curve_rows(chance, f"station/{station_id}/", anchor - 3 * HOUR + chance.choice(BESIDE_MS), level=supply[0] == supply[-1])
    return Town(replace(site, stations=stations, curves=curves), rows)


def curve_rows(chance: random.Random, prefix: str, start: int, *, level: bool) -> list[Row]:
    """What a station's instruments show, those it has."""
    hold = 5 * MINUTE
    outdoor_c = chance.choice(list(TARGET_C))
    target_c = 50.0 if level else TARGET_C[outdoor_c]
    parts: list[Part] = [(target_c + chance.choice(OFF_K), beside(chance, SUPPLY_LASTS)) for _ in range(chance.randint(2, 6))]
    if chance.random() < 0.5:
        parts.insert(chance.randint(1, len(parts)), (None, chance.choice([1, 10 * MINUTE, HOUR])))
    span = sum(length for _, length in parts)
    rows = script(f"{prefix}secondary_supply_temp_c", start, parts, hold, hold)
    if chance.random() < 0.8:
        below_k = [chance.choice([15.0, 15.0, 1.0, 0.999, 0.5, 1.0 - 5e-10]) for _ in range(2)]
        rows += [(f"{prefix}secondary_return_temp_c", at, value - below_k[at < start + span // 2], 0, None) for _, at, value, _, _ in rows]
    if chance.random() < 0.9:
        rows += script(f"{prefix}outdoor_temp_c", start, [(outdoor_c, chance.choice([span, span, span // 2]))], hold, hold)
    if chance.random() < 0.6:
        for quantity, values in (("secondary_flow_m3h", FLOW_M3H), ("makeup_flow_m3h", MAKEUP_M3H)):
            flow: list[Part] = [(chance.choice(values), beside(chance, FLOW_LASTS)) for _ in range(chance.randint(1, 4))]
            rows += script(prefix + quantity, start, flow, hold, hold)
    if chance.random() < 0.3:
        rows += script(f"{prefix}pump1_running", start, [(chance.choice([0.0, 1.0]), HOUR), (chance.choice([0.0, 1.0]), span)], hold, hold)
    return rows
