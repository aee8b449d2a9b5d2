"""All stations at once as columns say the same as each station alone."""

import random

import numpy as np
import pyarrow as pa
import pytest

from dashboard.facts.rooms import Counts
from dashboard.facts.stations import CARD, FLOW, HEATS, OUTDOOR, SUPPLY, StationState, StationStates, worst_first
from dashboard.facts.values import ShownColumns
from domain.reading import Quality
from domain.site import Station
from store.live import STATIONS

AT_MS = 1_768_000_000_000


def columns_of(count: int, value: float, *, quality: int = 0, stale: bool = False) -> ShownColumns:
    return ShownColumns(
        np.full(count, value), np.full(count, AT_MS), np.full(count, quality, np.uint8), np.full(count, stale), np.ones(count, np.bool_)
    )


def states_of(rows: list[dict[str, object]], count: int, supply: ShownColumns | None = None, breach: int = 0) -> StationStates:
    stations = {f"S{n}": Station(f"S{n}") for n in range(count)}
    full = [{"heat_since_ms": None, "comm_since_ms": None, "target_c": None, "outage_id": None, "planned": False, **row} for row in rows]
    values = {name: columns_of(count, 50.0) for name in CARD} | {SUPPLY: supply or columns_of(count, 50.0)}
    rooms = np.tile(np.array([20 - breach, breach, 0, 0]), (count, 1))
    return StationStates(stations, pa.Table.from_pylist(full, STATIONS), values, rooms)


def seen(number: int, heat: str = "supplying", comm: str = "ok", data: str = "good", **more: object) -> dict[str, object]:
    return {"station_id": f"S{number}", "heat": heat, "comm": comm, "data": data, **more}


def badness(state: StationState) -> tuple[float, ...]:
    """What makes a station worse than another, written down once more, station by station."""
    heat = {"stopped": 1.0 if state.planned else 3.0, "unknown": 2.0}.get(state.heat, 0.0)
    link = {"lost": 2.0, "degraded": 1.0}.get(state.comm, 0.0)
    data = {"bad": 1.0, "suspect": 0.5}.get(state.data, 0.0)
    off = abs(state.off_target_k or 0.0)
    return (-heat, -link, -data, -round(state.rooms.breach / state.rooms.rooms, 2), -round(off if off > 2.0 else 0.0))


def test_the_order_of_columns_is_that_of_the_stations_one_by_one() -> None:
    rng = random.Random(11)
    rows = [
        seen(
            number,
            rng.choice(["supplying"] * 5 + ["stopped", "unknown", "unjudged"]),
            rng.choice(["ok"] * 5 + ["degraded", "lost"]),
            rng.choice(["good"] * 5 + ["suspect", "bad"]),
            planned=rng.random() < 0.1,
            target_c=rng.choice([None, 44.0, 47.3, 50.0, 51.9, 52.6]),
        )
        for number in range(300)
    ]
    rng.shuffle(rows)  # watch need not know the file's order
    states = states_of(rows[:280], 300)
    one_by_one = sorted(states.values(), key=badness)
    assert [state.station for state in worst_first(states)] == [state.station for state in one_by_one]
    assert [state.station for state in worst_first(states, 7)] == [state.station for state in one_by_one[:7]]
    heat = states.heat_counts()
    heats = [state.heat for state in states.values()]
    assert (heat.supplying, heat.unknown, heat.unjudged) == tuple(heats.count(name) for name in ("supplying", "unknown", "unjudged"))
    assert heat.stopped + heat.planned == heats.count("stopped")
    assert heat.planned == sum(state.heat == "stopped" and state.planned for state in states.values())
    assert heat.link_lost == sum(state.comm == "lost" for state in states.values())


def test_what_watch_said_stands_with_the_station_it_was_said_of() -> None:
    rows = [seen(2, "stopped", target_c=48.5, outage_id=9, heat_since_ms=AT_MS), seen(0, comm="lost", comm_since_ms=AT_MS - 1)]
    states = states_of(rows, 4)
    stopped = states["S2"]
    assert (stopped.heat, stopped.outage_id, stopped.heat_since_ms, stopped.target_c) == ("stopped", 9, AT_MS, 48.5)
    assert stopped.off_target_k == pytest.approx(1.5)
    assert (states["S0"].comm, states["S0"].comm_since_ms, states["S0"].outage_id) == ("lost", AT_MS - 1, None)
    assert [state.station.station_id for state in states.at([3, 0, 2])] == ["S3", "S0", "S2"]
    assert list(states) == ["S0", "S1", "S2", "S3"]


def test_a_station_that_watch_has_not_seen_or_gave_a_new_word_is_unknown() -> None:
    states = states_of([seen(0, heat="humming"), seen(5)], 2)
    assert (states["S1"].heat, states["S1"].comm, states["S1"].data, states["S1"].planned) == ("unknown", "unknown", "unknown", False)
    assert [HEATS[code] for code in states.heat] == ["unknown", "unknown"]
    assert states.get("S5") is None
    assert len(states_of([], 0)) == 0
    assert states_of([], 0).outdoor_c() is None


def test_old_and_bad_values_decide_nothing() -> None:
    old = states_of([seen(0, target_c=40.0)], 1, columns_of(1, 50.0, stale=True))
    assert old["S0"].off_target_k is None
    assert old["S0"].values[SUPPLY].stale
    assert (old["S0"].values[FLOW].value, old["S0"].newest_at) == (50.0, AT_MS)
    values = {name: columns_of(1, -9.0, quality=int(Quality.RANGE)) for name in CARD}
    bad = StationStates({"S0": Station("S0")}, STATIONS.empty_table(), values, np.zeros((1, 4), np.int64))
    assert bad.outdoor_c() is None
    assert bad["S0"].values[OUTDOOR].bad
    assert bad["S0"].rooms == Counts()
