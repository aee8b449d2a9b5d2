"""The plausibility table of domain.md once more, slow and obvious: every reading is asked every question of the table.

Written from the text and sharing no rule with the program. What stands between quotation marks is the text; "read as:" marks where it
can be read in two ways (docs/rules.md, the plausibility table).

    rows in order of measurement ──▶ what is no value (reject) ──▶ series of the rest ──▶ what is stuck (reject), what contradicts (suspect)
"""

import re
from collections.abc import Callable, Sequence
from math import inf, isfinite
from typing import NamedTuple

from domain.site import Site, Station

MINUTE = 60_000
HOUR = 60 * MINUTE
STAND = 5 * MINUTE
TINY = 1e-9

# "0x7FFF, 0x8000, 0xFFFF, −3276.8, 3276.7": as raw numbers, and the first two in signed tenths.
SENTINELS = (32767.0, 32768.0, -32768.0, 65535.0, -3276.8, 3276.7)
COUNTERS = ("heat_energy_gj", "primary_volume_m3", "secondary_volume_m3", "makeup_volume_m3")
REJECT = {
    "primary_supply_temp_c": (0, 160),
    "primary_return_temp_c": (0, 110),
    "secondary_supply_temp_c": (0, 100),
    "secondary_return_temp_c": (0, 100),
    "primary_supply_pressure_mpa": (-0.1, 2.5),
    "primary_return_pressure_mpa": (-0.1, 2.5),
    "secondary_supply_pressure_mpa": (-0.1, 2.5),
    "secondary_return_pressure_mpa": (-0.1, 2.5),
    "primary_flow_m3h": (0, inf),
    "secondary_flow_m3h": (0, inf),
    "valve_position_pct": (0, 100),
    "pump_frequency_hz": (0, 55),
    "indoor_temp_c": (-10, 50),
    "outdoor_temp_c": (-50, 45),
    # What the table has no line for can't be either.
    "valve_command_pct": (0, 100),
    "pump_command_hz": (0, 55),
    "pump_running": (0, 1),
    "battery_pct": (0, 100),
    **dict.fromkeys(COUNTERS, (0, inf)),
}
USUAL = {
    "primary_supply_temp_c": (-inf, 130),
    "secondary_supply_temp_c": (-inf, 85),
    "secondary_return_temp_c": (-inf, 85),
    "secondary_supply_pressure_mpa": (-inf, 1.0),
    "secondary_return_pressure_mpa": (-inf, 1.0),
    "indoor_temp_c": (5, 30),
    "makeup_flow_m3h": (0, inf),  # "Make-up flow below 0 is a fault to show, not to clamp."
}
WATER = ("primary_supply_temp_c", "primary_return_temp_c", "secondary_supply_temp_c", "secondary_return_temp_c")
Series = list[tuple[int, float]]


class Row(NamedTuple):
    """A reading: a point's name, UTC milliseconds, its value, and whether its source called it bad."""

    point: str
    at: int
    value: float
    bad: bool = False


class Name(NamedTuple):
    """A point's name in parts. ``quantity`` is without number: ``number`` is that of the circuit or pump, empty where it has none."""

    kind: str
    subject: str
    quantity: str
    number: str


def name_of(point: str) -> Name:
    """By "Secondary circuits beyond one are numbered: secondary2_supply_temp_c", and pumps are."""
    kind, subject, quantity = point.split("/")
    found = re.fullmatch(r"(secondary|pump)(\d+)(_.+)", quantity)
    return Name(kind, subject, found[1] + found[3], found[2]) if found else Name(kind, subject, quantity, "")


class Town:
    """A site and its rows in order of measurement, no two of one point at one instant."""

    def __init__(self, site: Site, rows: Sequence[Row]) -> None:
        self.site, self.rows = site, rows
        self.names = {row.point: name_of(row.point) for row in rows}
        self.batteries: dict[str, Series] = {}
        for row in rows:
            if self.names[row.point].quantity == "battery_pct" and not row.bad:
                self.batteries.setdefault(self.names[row.point].subject, []).append((row.at, row.value))
        self.rejected = [row.bad or bool(self.reject(row)) for row in rows]
        # A bad value is "treated as if it had never arrived" (R2); read as: one that is stuck is what the instrument says all the same.
        self.series: dict[str, Series] = {row.point: [] for row in rows}
        for row, bad in zip(rows, self.rejected, strict=True):
            if not bad:
                self.series[row.point].append((row.at, row.value))

    def marks(self) -> list[set[str]]:
        """For each row the reasons why it is bad, else those why it is suspect; none for a row that its source called bad."""
        found = []
        for row, bad in zip(self.rows, self.rejected, strict=True):
            reject = set() if row.bad else self.reject(row)
            found.append(reject if bad else {"STUCK"} if self.stuck(row) else self.suspect(row))
        return found

    # ── reject ──

    def reject(self, row: Row) -> set[str]:
        """What the value alone can't be, and "a probe's exact 0.00 with battery present"."""
        name = self.names[row.point]
        if not isfinite(row.value):
            return {"NOT_A_NUMBER"}
        found = set()
        # Read as: a counter may pass through these numbers.
        if row.value in SENTINELS and name.quantity not in COUNTERS:
            found.add("SENTINEL")
        # Read as: what the sensor told of its battery last, within the day before, is not that it is empty.
        last = [charge for at, charge in self.batteries.get(name.subject, []) if row.at - 24 * HOUR <= at <= row.at][-1:]
        if name.quantity == "indoor_temp_c" and row.value == 0 and any(charge > 0 for charge in last):
            found.add("SENTINEL")
        low, high = REJECT.get(name.quantity, (-inf, inf))
        station = self.site.stations.get(name.subject, Station(name.subject))
        meter = {"primary_flow_m3h": station.primary_meter_m3h, "secondary_flow_m3h": station.secondary_meter_m3h}.get(name.quantity)
        high = 1.5 * meter if meter else high  # "> 1.5 × meter range"
        return found | ({"RANGE"} if row.value < low or row.value > high else set())

    def stuck(self, row: Row) -> bool:
        """By "identical raw value for ≥ 6 h (station supply, in operation) or ≥ 24 h (room) while related points move"."""
        name = self.names[row.point]
        if name.quantity == "indoor_temp_c":
            # Read as R6 says it: "while others of the building changed ≥ 0.5 K".
            return self.same_since(row) <= row.at - 24 * HOUR and self.moved(self.neighbours(name.subject), row.at, 24)
        if name.quantity not in {"primary_supply_temp_c", "secondary_supply_temp_c"} or self.same_since(row) > row.at - 6 * HOUR:
            return False
        # Read as: related are the temperatures of the station's water, primary and secondary, and they move by 0.5 K.
        related = [
            one for one, other in self.names.items() if other.subject == name.subject and other.quantity in WATER and one != row.point
        ]
        return self.flows(row) and self.moved(related, row.at, 6)

    def same_since(self, row: Row) -> int:
        """When the value that the point still has was measured first."""
        since = row.at
        for at, value in reversed(self.series[row.point]):
            if at <= row.at:
                if value != row.value:
                    break
                since = at
        return since

    def neighbours(self, room_id: str) -> list[str]:
        """The temperatures of the building's other rooms; none where the building is not known."""
        room = self.site.rooms.get(room_id)
        others = [one for one in self.site.rooms.values() if room is not None and room.building_id and one.building_id == room.building_id]
        return [f"room/{one.room_id}/indoor_temp_c" for one in others if one.room_id != room_id]

    def moved(self, points: Sequence[str], at: int, hours: int) -> bool:
        """Whether one of them moved; read as: in so many whole hours before the running one."""
        end = at // HOUR * HOUR
        for point in points:
            values = [value for when, value in self.series.get(point, []) if end - hours * HOUR <= when < end]
            if values and max(values) - min(values) >= 0.5 - TINY:
                return True
        return False

    # ── suspect ──

    def suspect(self, row: Row) -> set[str]:
        """Every reason of the table's right column."""
        name, value = self.names[row.point], row.value
        low, high = USUAL.get(name.quantity, (-inf, inf))
        station = self.site.stations.get(name.subject)
        if station is not None and station.heating == "floor" and name.quantity in {"secondary_supply_temp_c", "secondary_return_temp_c"}:
            high = 60  # "> 85 radiators, > 60 floor"
        found = {"SUSPECT_RANGE"} if value < low or value > high else set()
        before = [one for one in self.series[row.point] if one[0] < row.at][-1:]
        for at, old in before:
            if name.quantity in COUNTERS and value < old:
                found.add("COUNTER_BACKWARDS")
            if name.quantity == "indoor_temp_c" and row.at - at <= 10 * MINUTE and abs(value - old) > 3 + TINY:
                found.add("RATE")
        for (quantity, mark), (rule, lasting) in self.rules(row).items():
            if name.quantity == quantity and self.held(row, rule, lasting):
                found.add(mark)
        return found

    def rules(self, row: Row) -> dict[tuple[str, str], tuple[Callable[[Row], bool], int]]:
        """What contradicts: (quantity, mark) → what must hold at its readings, and for how long."""
        number = self.names[row.point].number
        supply, back = f"secondary{number}_supply_temp_c", f"secondary{number}_return_temp_c"
        pressures = ("secondary_supply_pressure_mpa", "secondary_return_pressure_mpa")
        apart = {"valve_position_pct": ("valve_command_pct", 10), "pump_frequency_hz": (f"pump{number}_command_hz", 5)}

        def reversed_(one: Row) -> bool:
            return self.over(one, back, supply, 0.5) and self.flows(one)

        def pressed(one: Row) -> bool:
            return not number and self.over(one, pressures[1], pressures[0], -2 * TINY) and self.pump_runs(one)

        def differs(one: Row) -> bool:
            command, most = apart[self.names[one.point].quantity]
            return self.over(one, command, self.own(one), most) or self.over(one, self.own(one), command, most)

        first = number == ""
        return {
            ("primary_supply_temp_c", "BELOW_SECONDARY"): (lambda one: self.over(one, "secondary_supply_temp_c", self.own(one), 0), 0),
            ("primary_return_temp_c", "BELOW_SECONDARY"): (lambda one: self.over(one, "secondary_return_temp_c", self.own(one), 1), 0),
            ("secondary_supply_temp_c", "RETURN_ABOVE_SUPPLY"): (reversed_, 30 * MINUTE),
            ("secondary_return_temp_c", "RETURN_ABOVE_SUPPLY"): (reversed_, 30 * MINUTE),
            (pressures[0], "PRESSURE"): (pressed, 0),
            (pressures[1], "PRESSURE"): (pressed, 0),
            ("secondary_flow_m3h", "NO_FLOW"): (lambda one: first and one.value == 0 and self.pump_runs(one), 0),
            # Read as: in either direction, and of 50 Hz where it is a frequency.
            ("valve_position_pct", "FEEDBACK"): (differs, 5 * MINUTE),
            ("pump_frequency_hz", "FEEDBACK"): (differs, 5 * MINUTE),
        }

    def held(self, row: Row, rule: Callable[[Row], bool], lasting: int) -> bool:
        """Whether the rule has held so long; read as: at each reading of the instrument itself since then."""
        for at, value in reversed(self.series[row.point]):
            if at <= row.at:
                if not rule(Row(row.point, at, value)):
                    return False
                if at <= row.at - lasting:
                    return True
        return False

    def own(self, row: Row) -> str:
        """The row's quantity as its point names it."""
        return row.point.rpartition("/")[2]

    def over(self, row: Row, more: str, less: str, by: float) -> bool:
        """Whether one quantity of the station exceeds another by more than so much, as they stand."""
        high, low = self.beside(row, more), self.beside(row, less)
        return high is not None and low is not None and high > low + by + TINY

    def beside(self, row: Row, quantity: str) -> float | None:
        """What stands of the station; read as: also when it is just five minutes old."""
        return self.standing(f"station/{self.names[row.point].subject}/{quantity}", row.at)

    def standing(self, point: str, at: int) -> float | None:
        last = [(when, value) for when, value in self.series.get(point, []) if when <= at][-1:]
        return next((value for when, value in last if at - when <= STAND), None)

    def pumps(self, row: Row) -> list[bool]:
        """Of each signal of the station's circulation pumps that stands, whether it runs."""
        found = []
        for point, name in self.names.items():
            if name.subject == self.names[row.point].subject and name.quantity in {"pump_running", "pump_frequency_hz"}:
                value = self.standing(point, row.at)
                if value is not None:
                    found.append(value >= 5 if name.quantity == "pump_frequency_hz" else value > 0)
        return found

    def pump_runs(self, row: Row) -> bool:
        return any(self.pumps(row))

    def flows(self, row: Row) -> bool:
        """ "with flow", "in operation": by the circuit's meter, else by the pumps; read as: where neither is known, water flows.

        Which circuit a pump is of is not known: read as the first.
        """
        name = self.names[row.point]
        number = name.number if name.quantity.startswith("secondary") else ""
        flow = self.beside(row, f"secondary{number}_flow_m3h")
        pumps = [] if number else self.pumps(row)
        return flow > 0 if flow is not None else any(pumps) or not pumps
