"""What the live loop keeps does not grow with the days: windows fill, then they are full."""

import io
import pickle
import random
from collections.abc import Callable
from dataclasses import replace

from compliance.watch import Watch
from domain.curve import FiledCurve
from domain.reading import Readings
from domain.site import Room, Site, Station
from tests.compliance.feeding import HOUR_MS, MINUTE_MS, Feed, local_ms

DAY_MS = 24 * HOUR_MS
START = local_ms("2026-01-10 00:00")
STEP_MS = 20 * MINUTE_MS
WARM_DAYS, DAYS = 2, 5
OUTAGE_AND_CHECKPOINT_BYTES = 300  # of a station's day, kept for a season (late readings); an entry a pass would be ten times this


def bytes_kept(watch: Watch, points: list[str], fed: Feed, days: range) -> dict[str, int]:
    """What each part keeps after these days, in which rooms get cold, stations stop for an hour and lose their curve, at the same times."""
    ids = fed.points.ids(points)
    for day in days:
        chance = random.Random(1)
        for step in range(DAY_MS // STEP_MS):
            now_ms = START + day * DAY_MS + step * STEP_MS
            hour = step * STEP_MS // HOUR_MS
            values = [_value(name, hour, chance) for name in points]
            fed.journal.append(Readings.of(ids, [now_ms] * len(points), values))
            watch.step(now_ms)
        watch.judge_late()
        watch.look_after_desk()
        watch.snapshot()
    parts = {"rooms": watch.rooms, "stations": watch.stations, "alarms": watch.alarms, "incidents": watch.incidents, "days": watch.days}
    stores = (fed.history, fed.journal, fed.points)
    return {name: _bytes_of(part, stores) for name, part in parts.items()}


def _bytes_of(part: object, stores: tuple[object, ...]) -> int:
    """The size of a part pickled, the stores it reads left out."""

    class Kept(pickle.Pickler):
        def persistent_id(self, thing: object) -> str | None:
            return "store" if any(thing is store for store in stores) else None

    content = io.BytesIO()
    Kept(content).dump(part)
    return content.tell()


def _value(name: str, hour: int, chance: random.Random) -> float:
    if name.startswith("room/"):
        return (16.5 if 8 <= hour < 11 else 19.0) + chance.random()
    if name.endswith("flow_m3h"):
        return 0.0 if hour == 14 else 80.0
    return {"outdoor_temp_c": -5.0, "secondary_supply_temp_c": 60.0 if 3 <= hour < 6 else 45.0}.get(name.rpartition("/")[2], 35.0)


def test_what_watch_keeps_does_not_grow_with_the_days(site: Site, feed: Callable[[Site], Feed]) -> None:
    stations = {f"S{n}": Station(f"S{n}", "H1", design_flow_m3h=100.0) for n in range(2)}
    rooms = {f"R{n}": Room(f"R{n}", f"B{n // 5}", f"S{n % 2}") for n in range(6)}
    curves: dict[str, tuple[FiledCurve, ...]] = {one: (FiledCurve(one, 0, (-20.0, 0.0), (45.0, 45.0)),) for one in stations}
    fed = feed(replace(site, stations=stations, rooms=rooms, curves=curves, station_hold_min=25.0))
    quantities = ("secondary_flow_m3h", "secondary_supply_temp_c", "secondary_return_temp_c", "outdoor_temp_c")
    points = [f"room/{room_id}/indoor_temp_c" for room_id in rooms] + [f"station/{one}/{name}" for one in stations for name in quantities]
    watch = Watch(fed.site, fed.journal, fed.history, fed.points, fed.records, START)
    for station_id in stations:
        for name in quantities:
            watch.stations.measure(station_id, name)
    before = bytes_kept(watch, points, fed, range(WARM_DAYS))
    after = bytes_kept(watch, points, fed, range(WARM_DAYS, DAYS))
    assert watch.counts["raised"] >= len(rooms) * DAYS
    assert {event.event for event in fed.events()} >= {"outage.opened", "outage.ended", "curve.off", "curve.on"}
    grown = len(stations) * (DAYS - WARM_DAYS) * OUTAGE_AND_CHECKPOINT_BYTES
    bound = {name: size + 500 + (grown if name in ("stations", "incidents") else 0) for name, size in before.items()}
    assert {name: size for name, size in after.items() if size > bound[name]} == {}
