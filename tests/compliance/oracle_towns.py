"""Random towns whose times and values lie on the edges of the rules: a seed says everything about a town."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.curve import FiledCurve
from domain.policy import Policy, PolicyVersion, Window
from domain.site import Building, Exclusion, PlannedStop, Room, Site, Station
from tests.compliance.oracle_rooms import HOUR, MINUTE, Row


@dataclass(frozen=True)
class Town:
    """A site and its readings in order of the file."""

    site: Site
    rows: list[Row]
    to_ms: int | None = None


# ── random policies ──────────────────────────────────────────────────────────────────────────────────────────────────

NIGHT, DAY, END = 6 * 3600, 21 * 3600, 24 * 3600
USUAL = {
    "residential": (Window(0, NIGHT, 16.0), Window(NIGHT, DAY, 18.0), Window(DAY, END, 16.0)),
    "bungalow": (Window(0, END, 16.0),),
    "office": (Window(0, 8 * 3600, 12.0), Window(8 * 3600, 18 * 3600, 20.0), Window(18 * 3600, END, 12.0)),
}
STRICT = {name: (Window(0, END, 20.0),) for name in USUAL}
WINTER = ((11, 15), (3, 15))
# Local days on which towns begin: an ordinary one, the edges of the season, the day before the policy changes, clocks put forward.
DAYS = (date(2026, 1, 14), date(2026, 1, 14), date(2026, 3, 15), date(2025, 11, 14), date(2025, 12, 31), date(2026, 3, 7))


def random_policy(chance: random.Random) -> Policy:
    since = chance.choice([date(2000, 1, 1)] * 9 + [date(2026, 1, 15)])  # before the first version nothing is judged
    first = PolicyVersion(since, chance.choice([WINTER, WINTER, WINTER, None]), USUAL)
    versions = [chance.choice([first, first, first, replace(first, notice_after_h=1.5, warn_after_h=(0.5, 1.0, 1.25))])]
    if chance.random() < 0.4 and since.year < 2026:
        day = chance.choice([date(2026, 1, 15), date(2026, 1, 1), date(2026, 3, 16), date(2025, 11, 15)])
        season = chance.choice([WINTER, WINTER, None, ((11, 1), (3, 31)), ((12, 1), (1, 14))])
        notice_after_h, warn_after_h = chance.choice([(8.0, (4.0, 6.0, 7.0)), (24.0, (12.0, 20.0)), (4.0, (2.0, 3.0)), (6.0, ())])
        versions.append(PolicyVersion(day, season, chance.choice([USUAL, STRICT]), notice_after_h, warn_after_h))
    return Policy("random", tuple(versions), "")


# ── random rooms ─────────────────────────────────────────────────────────────────────────────────────────────────────

NEAR = (17.0, 17.9, 17.9999999999, 18.0, 18.2, 18.3, 18.2999999999, 18.29, 18.5, 18.6, 19.0)
LOW = (15.5, 15.9, 15.9999999999, 16.0, 16.2, 16.3, 16.5, 17.0, 18.0, 18.3)
WIDE = (12.0, 14.0, 15.0, 16.0, 17.0, 18.0, 18.3, 19.0, 20.0, 20.3, 22.0)


def random_rooms(chance: random.Random, buildings: Sequence[Building], start: int, hours: int) -> tuple[dict[str, Room], list[Row]]:
    rooms: dict[str, Room] = {}
    rows: list[Row] = []
    crowd = random_series(chance, start, hours, NEAR[:4]) if chance.random() < 0.35 else None  # the whole town gets cold together
    for building in buildings:
        together = crowd or (random_series(chance, start, hours, NEAR) if chance.random() < 0.5 else None)
        listed = chance.choice([5, 5, 6, 7, 25, 26]) if together else chance.choice([1, 1, 2, 3])
        later = chance.choice([0, 0, 0, 5, 60, 120])
        for number in range(listed):
            room = random_room(chance, f"{building.building_id}-{number}", building)
            if number == 0:  # says the building's station where buildings.csv does not
                room = replace(room, station_id=building.station_id)
            if crowd:
                room = replace(room, premises="residential", schedule=None, offset_k=0.0, hold_max_min=None)
            rooms[room.room_id] = room
            if number >= 9:
                continue  # a row of rooms.csv without a sensor
            same = together and chance.random() < (0.97 if crowd else 0.85)
            series = together if together and same else random_series(chance, start, hours, chance.choice([NEAR, LOW, WIDE]))
            late = (later + chance.choice([0, 0, 0, 0, 1, 30, 60, 119, 120, 121])) * MINUTE if together else 0
            rows.extend((f"room/{room.room_id}/indoor_temp_c", at + late, value, quality, got) for at, value, quality, got in series)
            if chance.random() < 0.1:
                at = start + chance.randrange(hours * 6) * 10 * MINUTE
                rows.append((f"room/{room.room_id}/battery_pct", at, chance.choice([5.0, 10.0, 10.1, 90.0]), 0, None))
    return rooms, rows


def random_room(chance: random.Random, room_id: str, building: Building) -> Room:
    premises = chance.choice(["residential", "residential", "residential", "bungalow", "contract"])
    return Room(
        room_id,
        building.building_id,
        chance.choice([None, building.station_id]),
        premises,  # type: ignore[arg-type]
        "office" if premises == "contract" else None,
        chance.choice([0.0, 0.0, 0.0, 0.3, -0.3, 0.1]),
        chance.choice([None, None, None, 10.0, 20.0, 60.0, 7.5, 120.0]),
    )


def random_series(chance: random.Random, start: int, hours: int, values: Sequence[float]) -> list[tuple[int, float, int, int | None]]:
    """Readings on whole minutes; values stay for a while, so that stretches come out at exactly 30 min, 60 min and 2 h."""
    series: list[tuple[int, float, int, int | None]] = []
    at, value = start + chance.choice([0, 0, 0, 5, 10, 17]) * MINUTE, chance.choice(values)
    usual = chance.choice([[5], [10], [10], [30], [10, 20, 30], [10, 31, 60]])
    change = chance.choice([0.25, 0.25, 0.25, 0.0])  # a sensor may be stuck
    while at < start + hours * HOUR:
        if chance.random() < change:
            value = chance.choice(values)
        quality = chance.choice([0] * 30 + [1, 7, 63, 64, 65, 68])
        read = float("nan") if chance.random() < 0.01 else value
        series.append((at, read, quality, chance.choice([None] * 8 + [at + 200])))
        if chance.random() < 0.04:  # twice at one instant; which of them counts depends on their receipt
            again = chance.choice(values)
            series.append((at, again, chance.choice([0, 0, 64]), chance.choice([None, at, at + 200, at + 300])))
        step = chance.choice(usual) if chance.random() < 0.9 else chance.choice([1, 40, 60, 90, 120, 130, 150, 151, 180, 240])
        at += step * MINUTE + (chance.choice([1, 999, 30_000]) if chance.random() < 0.02 else 0)
    if chance.random() < 0.1:
        chance.shuffle(series)
    return series


# ── random stations ──────────────────────────────────────────────────────────────────────────────────────────────────

EQUIPMENT = (
    ("secondary_flow_m3h",),
    ("secondary_flow_m3h",),
    ("secondary_flow_m3h", "pump1_running", "secondary_supply_temp_c", "secondary_return_temp_c", "outdoor_temp_c"),
    ("pump1_running",),
    ("pump1_frequency_hz", "pump2_running"),
    ("pump1_running", "pump1_frequency_hz", "pump2_running", "makeup_pump1_running"),
    ("secondary_supply_temp_c", "secondary_return_temp_c", "outdoor_temp_c"),
    ("pump1_running", "secondary_supply_temp_c", "secondary_return_temp_c", "outdoor_temp_c"),
    ("secondary_supply_temp_c", "secondary_return_temp_c"),
    ("secondary_flow_m3h", "secondary_supply_temp_c", "secondary_return_temp_c", "outdoor_temp_c"),
    ("primary_flow_m3h",),
    ("secondary_flow_m3h", "makeup_flow_m3h"),
    ("secondary_flow_m3h", "makeup_flow_m3h", "secondary_supply_temp_c", "secondary_return_temp_c", "outdoor_temp_c"),
    ("secondary_flow_m3h", "secondary_supply_temp_c", "outdoor_temp_c"),
)
# What a quantity shows while the station runs, while it stands still; the limits themselves among them (design flow 100, target 58 at −10).
RUNS = {
    "secondary_flow_m3h": (80.0, 80.0, 10.0),
    "pump_running": (1.0,),
    "pump_frequency_hz": (40.0, 5.0),
    "secondary_supply_temp_c": (57.0, 57.0, 56.0, 60.0, 60.1, 55.9999999999, 48.0, 49.1),
    "makeup_flow_m3h": (0.5, 0.8, 0.1, 0.9),
    "secondary_return_temp_c": (42.0, 47.0, 48.1),
    "outdoor_temp_c": (-10.0,),
}
STANDS = {
    "secondary_flow_m3h": (0.0, 0.0, 9.9999),
    "pump_running": (0.0,),
    "pump_frequency_hz": (0.0, 4.9),
    "secondary_supply_temp_c": (40.0, 47.9, 36.4, 32.3, 47.9999999999),  # 32.3 − 31.3 is less than 1 in binary, but at the limit
    "secondary_return_temp_c": (39.5, 47.0, 36.4, 31.3, 47.0),
    "outdoor_temp_c": (-10.0, -25.0, 5.0),
    "makeup_flow_m3h": (0.9, 1.5, 0.0),
}
LASTING = (5, 10, 15, 15, 20, 25, 30, 30, 35, 60, 90, 120, 240, 300, 450, 460, 480, 490, 600)
Phase = tuple[int, int, str]  # from, to, runs | stands | silent | mixed


def random_stations(
    chance: random.Random, site: Site, start: int, hours: int
) -> tuple[dict[str, Station], dict[str, tuple[FiledCurve, ...]], list[Row]]:
    stations: dict[str, Station] = {}
    curves: dict[str, tuple[FiledCurve, ...]] = {}
    rows: list[Row] = []
    shared = random_phases(chance, start, hours)
    for number in range(1, chance.choice([1, 1, 2, 4, 5, 6, 7]) + 1):
        station_id = f"S{number}"
        source_id = chance.choice(["H", "H", "H", "H", "G", None])
        stations[station_id] = Station(station_id, source_id=source_id, design_flow_m3h=chance.choice([100.0, 100.0, 100.0, None]))
        if chance.random() < 0.7:
            since = chance.choice([0, 0, start, start + 7 * HOUR])
            offsets_k = (0.0, 0.0, 2.0, -2.0, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0, -12.0, 0.0) if chance.random() < 0.2 else ()
            curves[station_id] = (FiledCurve(station_id, since, (-20.0, 0.0), (70.0, 46.0), offsets_k=offsets_k),)
            if chance.random() < 0.2:
                curves[station_id] += (FiledCurve(station_id, start + 3 * HOUR, (-25.0, -10.0, 5.0), (60.0, 50.0, 50.0)),)
        phases = shared if chance.random() < 0.7 else random_phases(chance, start, hours)
        phases = [(begin, end, state if chance.random() < 0.9 else "silent") for begin, end, state in phases]
        late = chance.choice([0, 0, 5, 10, 15]) * MINUTE
        step = chance.choice([1, 5, 5, 5, 4, 6]) * MINUTE if hours < 20 else 5 * MINUTE
        for quantity in chance.choice(EQUIPMENT) if chance.random() < 0.95 else ():
            at = start + (chance.choice([0, 1, 2]) * MINUTE if chance.random() < 0.2 else 0)
            for begin, end, state in phases:
                while at < end:
                    if at >= begin and state != "silent":
                        point = f"station/{station_id}/{quantity}"
                        rows.append((point, at + late, shown(chance, quantity, state), quality_of(chance), None))
                        if chance.random() < 0.01:
                            rows.append((point, at + late, shown(chance, quantity, "mixed"), 0, at + late + chance.choice([-1, 0, 1])))
                    at += step
    return stations, curves, rows


def quality_of(chance: random.Random) -> int:
    return chance.choice([0] * 60 + [2, 5, 65])


def shown(chance: random.Random, quantity: str, state: str) -> float:
    """What an instrument shows in a phase."""
    name = "pump_" + quantity.partition("_")[2] if quantity.startswith("pump") else quantity
    name = "pump_running" if quantity.startswith("makeup_pump") else name
    runs = state == "runs" or (state == "mixed" and chance.random() < 0.5)
    return chance.choice((RUNS if runs else STANDS).get(name, (1.0,)))


def random_phases(chance: random.Random, start: int, hours: int) -> list[Phase]:
    phases: list[Phase] = []
    at = start
    while at < start + hours * HOUR:
        end = at + chance.choice(LASTING) * MINUTE
        phases.append((at, end, chance.choice(["runs", "runs", "stands", "stands", "stands", "silent", "mixed"])))
        at = end
    return phases


# ── random towns ─────────────────────────────────────────────────────────────────────────────────────────────────────


def random_town(seed: int) -> Town:
    """A town whose seed says everything about it."""
    chance = random.Random(seed)
    zone = ZoneInfo(chance.choice(["Asia/Shanghai", "Asia/Shanghai", "Asia/Shanghai", "America/New_York"]))
    policy, room_hold_min, station_hold_min = random_policy(chance), chance.choice([30.0, 30.0, 20.0]), chance.choice([5.0, 5.0, 5.0, 10.0])
    site = Site("town", zone, policy, Path(), Path(), room_hold_min, station_hold_min)
    start = midnight_ms(chance.choice(DAYS), zone) + chance.choice([0, 4, 5, 8, 12, 19, 20, 22]) * HOUR
    hours = chance.choice([4, 8, 12, 30])
    stations, curves, rows = random_stations(chance, site, start, hours) if chance.random() < 0.7 else ({}, {}, [])
    feeds = [*stations, "S1", "S1", None]
    buildings = {f"B{number}": Building(f"B{number}", chance.choice(feeds)) for number in range(1, chance.choice([1, 2, 3, 4]) + 1)}
    rooms: dict[str, Room] = {}
    if not rows or chance.random() < 0.5:
        rooms, more = random_rooms(chance, list(buildings.values()), start, min(hours, chance.choice([14, 30])))
        rows += more
    if chance.random() < 0.3:
        chance.shuffle(rows)
    to_ms = chance.choice([None, None, start + chance.randrange(1, hours * 12) * 5 * MINUTE])
    town = replace(
        site,
        stations={key: station for key, station in stations.items() if chance.random() < 0.97},
        buildings={key: building for key, building in buildings.items() if chance.random() < 0.9},
        rooms={key: room for key, room in rooms.items() if key.endswith("-0") or chance.random() < 0.97},
        curves=curves,
        exclusions=tuple(random_exclusions(chance, list(rooms), start, hours)),
        planned_stops=tuple(random_planned(chance, list(stations), start, hours)),
    )
    return Town(town, rows, to_ms)


def midnight_ms(day: date, zone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000


def random_exclusions(chance: random.Random, room_ids: Sequence[str], start: int, hours: int) -> list[Exclusion]:
    spans = []
    for room_id in room_ids:
        while chance.random() < 0.12:
            begin = start + chance.randrange(-6, hours * 6) * 10 * MINUTE
            end = chance.choice([None, begin + 10 * MINUTE, begin + HOUR, begin + 5 * HOUR])
            spans.append(Exclusion(room_id, begin, end if hours < 24 else chance.choice([end, start + 23 * HOUR, start + 24 * HOUR])))
    return spans


def random_planned(chance: random.Random, station_ids: Sequence[str], start: int, hours: int) -> list[PlannedStop]:
    spans = []
    for station_id in station_ids:
        while chance.random() < 0.3:
            begin = start + chance.randrange(-12, hours * 12) * 5 * MINUTE
            spans.append(PlannedStop(station_id, begin, begin + chance.choice([10, 30, 60, 240, 480]) * MINUTE))
    return spans
