"""Stations whose truth is known: rooms by an independent integration of the building's equations, or drawn around a given line."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compliance.curve_tuning.station_hours import StationHours
from domain.curve import FiledCurve, textbook_curve_c

F64 = NDArray[np.float64]
START_MS = 1_764_518_400_000  # 2025-12-01 00:00 +08:00
POINTS_C = (-24.0, -15.0, -10.0, -5.0, 0.0, 5.0)


@dataclass(frozen=True)
class Truth:
    """A building in the model's own measure: what ``fit`` should find again."""

    heater: float = 0.30
    gains_k: float = 3.2
    air_h: float = 18.0
    walls_h: float = 140.0
    coupling: float = 17.0
    flow: float = 1.7


def curve(shift_k: float = 0.0) -> FiledCurve:
    supply_c, _ = textbook_curve_c(np.array(POINTS_C), design_outdoor_c=-24.0)
    return FiledCurve("S1", 0, POINTS_C, tuple((supply_c + shift_k).tolist()))


def outdoor(days: int, seed: int, *, swing_k: float = 6.0) -> F64:
    """Hourly outdoor temperature: days colder and milder by chance, a daily cycle."""
    chance = np.random.default_rng(seed)
    slow = np.convolve(chance.normal(0.0, swing_k, days + 6), np.ones(4) / 2, "same")[3 : days + 3]
    hour = np.arange(days * 24)
    drift = np.interp(hour, np.arange(days) * 24 + 12, slow)
    return np.asarray(-9.0 + drift + 3.0 * np.sin((hour % 24 - 10) / 24 * 2 * np.pi))


def live(
    truth: Truth, outdoor_c: F64, supply_c: F64, stopped: NDArray[np.bool_], *, rooms: int = 12, seed: int = 0, start_c: float = 20.0
) -> StationHours:
    """The station's hours as its rooms lived through them, in steps of two minutes, with noise of instruments and between rooms."""
    chance = np.random.default_rng(seed)
    air_c, walls_c, steps = start_c, start_c - 1.5, 30
    air, back = np.empty(len(outdoor_c)), np.empty(len(outdoor_c))
    for hour, (out_c, in_c, still) in enumerate(zip(outdoor_c.tolist(), supply_c.tolist(), stopped.tolist(), strict=True)):
        total = cooled = 0.0
        for _ in range(steps):
            heat_k = 0.0
            if not still:
                for _ in range(25):  # the water's mean, its cooling and the heat by turns until they agree
                    heat_k = truth.heater * max(in_c - heat_k / (2 * truth.flow) - air_c, 0.0) ** 1.3
            to_walls = truth.coupling * (air_c - walls_c)
            air_c += (heat_k + truth.gains_k - 0.4 * (air_c - out_c) - to_walls) / truth.air_h / steps
            walls_c += (to_walls - 0.6 * (walls_c - out_c)) / truth.walls_h / steps
            total += air_c
            cooled += heat_k / truth.flow
        air[hour], back[hour] = total / steps, in_c - cooled / steps
    room_c = air[:, None] + np.linspace(-0.5, 0.5, rooms) + chance.normal(0.0, 0.05, (len(air), rooms))
    return station(outdoor_c, room_c, supply_c, back, stopped=stopped)


def station(
    outdoor_c: F64, room_c: F64, supply_c: F64 | None = None, return_c: F64 | None = None, *,
    buildings: int = 3, stopped: NDArray[np.bool_] | None = None,
) -> StationHours:  # fmt: skip
    """Hours from START_MS on; the rooms are shared out to buildings B1, B2 … in turn."""
    count, rooms = room_c.shape
    supply_c = curve().target_c(outdoor_c) if supply_c is None else supply_c
    still = np.zeros(count, np.bool_) if stopped is None else stopped
    return StationHours(
        at_ms=START_MS + np.arange(count) * 3_600_000,
        of_day=np.arange(count) % 24,
        outdoor_c=outdoor_c,
        supply_c=supply_c,
        return_c=supply_c - 16.0 if return_c is None else return_c,
        room_c=room_c,
        buildings=tuple(f"B{room % buildings + 1}" for room in range(rooms)),
        supplying=~still,
        stopped=still,
    )


def rooms_around(line_c: F64, *, rooms: int = 12, seed: int = 0, spread_k: float = 0.4) -> F64:
    """Rooms (n × rooms) around a line, each with its own level, with slow unrest and noise."""
    chance = np.random.default_rng(seed)
    levels = np.linspace(-1.0, 1.0, rooms) * spread_k
    unrest = np.convolve(chance.normal(0.0, 0.15, len(line_c) + 48), np.ones(48) / 48**0.5, "same")[24 : len(line_c) + 24]
    return np.asarray((line_c + unrest)[:, None] + levels + chance.normal(0.0, 0.05, (len(line_c), rooms)))
