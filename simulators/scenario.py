"""Scenarios: what happens to the demo town and when, as TOML files in ``simulators/scenarios/``.

Instants are offsets from the demo's start, ``"HH:MM"`` or ``"HH:MM:SS"``, ``"-HH:MM"`` for what happened before it.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import ConfigError, Mistake
from simulators.effects import Field, Span
from simulators.town import BRANCHES, SOURCE_ID, Town

DEMO_START_MS = 1_768_332_600_000  # 2026-01-14 03:30 +08:00, in a cold snap: the demo's story is the same each time
SCENARIOS = Path(__file__).parent / "scenarios"
UPS_MS = 12 * 60_000  # how long a controller speaks after a power loss
REBOOT_MS = 60_000


@dataclass(frozen=True)
class Event:
    """One ``[[event]]``: ``at_ms`` and ``until_ms`` are offsets from the start, no ``until_ms`` means for good."""

    at_ms: int
    until_ms: int | None
    what: str
    targets: tuple[str, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Scenario:
    """A scenario as read and checked against the town."""

    name: str
    title_zh: str
    title_en: str
    description_zh: str
    description_en: str
    events: tuple[Event, ...]

    @property
    def spans(self) -> tuple[Span, ...]:
        """Every disturbance of every event."""
        return tuple(span for event in self.events for span in event.spans)


@dataclass(frozen=True)
class _Kind:
    """What an event of a kind may aim at, which disturbance it is, and what ``level`` means where it has one."""

    aims_at: tuple[str, ...]
    field: Field
    level: tuple[float, float, float] | None = None  # default, lowest, highest
    level_means: str = ""


_KINDS: Mapping[str, _Kind] = {
    "pump_trip": _Kind(("station",), "pump_tripped"),
    "power_loss": _Kind(("station",), "power_lost"),
    "comm_loss": _Kind(("station",), "silent"),
    "line_reset": _Kind(("station",), "refusing"),
    "late_answers": _Kind(("station",), "late_s", (1.0, 0.0, 600.0), "wall seconds an answer takes"),
    "valve_shut": _Kind(("station",), "valve_shut"),
    "leak": _Kind(("station",), "leak_share", (0.015, 0.0, 1.0), "water lost as a share of the design flow"),
    "setback": _Kind(("station",), "setback_k", (10.0, -30.0, 60.0), "kelvin the supply setpoint is below the curve"),
    "source_loss": _Kind(("branch",), "source_lost"),
    "riser_throttled": _Kind(("riser", "building"), "flow_share", (0.0, 0.0, 1.0), "share of the flow that is left"),
    "open_window": _Kind(("room",), "window", (3.0, 0.0, 20.0), "the window's losses as a multiple of the shut room's"),
    "sensor_dead": _Kind(("room", "building"), "sensor_dead"),
    "sensor_stuck": _Kind(("room", "building"), "sensor_stuck"),
}
_AIM_TEXT = {
    "station": "a station (S04)",
    "branch": f"a branch of the heat source ({SOURCE_ID}/{BRANCHES[0]}, {SOURCE_ID}/{BRANCHES[1]}) or {SOURCE_ID}",
    "building": "a building (S07-B01)",
    "riser": "a riser, that is the flats above one another (S07-B01/02)",
    "room": "a room (S07-B01-502)",
}
_TEXTS = ("title_zh", "title_en", "description_zh", "description_en")
_EVENT_KEYS = ("at", "what", "target", "until", "level")


def scenario_names() -> list[str]:
    """The names of the shipped scenarios."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def load_scenario(name: str, town: Town, folder: Path = SCENARIOS) -> Scenario:
    """The scenario of this name. Raises ConfigError with every mistake in it."""
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in folder.glob("*.toml")))
        raise ConfigError(Mistake("scenario", f"no such scenario; there are {known}", value=name))
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(Mistake(path.name, f"not TOML in UTF-8: {error}")) from error
    return parse_scenario(document, town, path.name)


def parse_scenario(document: Mapping[str, Any], town: Town, file: str) -> Scenario:
    """The scenario in a TOML document; ``file`` is its name for messages. Raises ConfigError with every mistake in it."""
    reader = _Reader(town, file)
    scenario = reader.read(document)
    if reader.mistakes:
        raise ConfigError(*reader.mistakes)
    return scenario


class _Reader:
    """Reads a scenario and collects every mistake in it."""

    def __init__(self, town: Town, file: str) -> None:
        self.town = town
        self.file = file
        self.mistakes: list[Mistake] = []

    def wrong(self, key: str, value: object, remedy: str) -> None:
        self.mistakes.append(Mistake(self.file, remedy, key=key, value=None if value is None else str(value)))

    def read(self, document: Mapping[str, Any]) -> Scenario:
        for key in sorted(document.keys() - {*_TEXTS, "event"}):
            self.wrong(key, document[key], f"no such key; a scenario has {', '.join(_TEXTS)} and [[event]] tables")
        texts = {key: self.text(document, key) for key in _TEXTS}
        tables = document.get("event", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self.wrong("event", tables, "[[event]] tables")
            tables = []
        events = [self.event(table, f"event[{index}]") for index, table in enumerate(tables)]
        return Scenario(Path(self.file).stem, **texts, events=tuple(event for event in events if event is not None))

    def text(self, document: Mapping[str, Any], key: str) -> str:
        value = document.get(key)
        if isinstance(value, str) and value:
            return value
        self.wrong(key, value, "a text; every scenario says in Chinese and English what happens when")
        return ""

    def event(self, table: Mapping[str, Any], where: str) -> Event | None:
        before = len(self.mistakes)
        for key in sorted(table.keys() - set(_EVENT_KEYS)):
            self.wrong(f"{where}.{key}", table[key], f"no such key; an event has {', '.join(_EVENT_KEYS)}")
        what = table.get("what")
        kind = _KINDS.get(what) if isinstance(what, str) else None
        if kind is None:
            self.wrong(f"{where}.what", what, f"one of {', '.join(_KINDS)}")
        at_ms = self.offset(table.get("at"), f"{where}.at")
        until_ms = self.offset(table["until"], f"{where}.until") if "until" in table else None
        if at_ms is not None and until_ms is not None and until_ms <= at_ms:
            self.wrong(f"{where}.until", table["until"], f"an offset after the event's at, {table['at']}")
        if kind is None:
            return None
        level = self.level(table, kind, where)
        targets = table.get("target")
        names = targets if isinstance(targets, list) else [targets]
        places = [place for name in names for place in self.places(name, kind, f"{where}.target")]
        if len(self.mistakes) > before or at_ms is None:
            return None
        spans = _spans(str(what), kind.field, tuple(places), level, at_ms, until_ms)
        return Event(at_ms, until_ms, str(what), tuple(str(name) for name in names), spans)

    def offset(self, value: object, where: str) -> int | None:
        found = re.fullmatch(r"([+-]?)(\d{1,3}):([0-5]\d)(?::([0-5]\d))?", value) if isinstance(value, str) else None
        if found is None:
            self.wrong(where, value, 'an offset from the start, such as "00:20", or "-09:30" for before it')
            return None
        seconds = int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4] or 0)
        return (-seconds if found[1] == "-" else seconds) * 1000

    def level(self, table: Mapping[str, Any], kind: _Kind, where: str) -> float:
        if kind.level is None:
            if "level" in table:
                self.wrong(f"{where}.level", table["level"], f"{table['what']} has no level; leave it out")
            return 1.0
        default, lowest, highest = kind.level
        level = table.get("level", default)
        if isinstance(level, bool) or not isinstance(level, (int, float)) or not lowest <= level <= highest:
            self.wrong(f"{where}.level", level, f"{kind.level_means}, from {lowest:g} to {highest:g}")
            return default
        return float(level)

    def places(self, name: object, kind: _Kind, where: str) -> Sequence[int]:
        if isinstance(name, str):
            for aim in kind.aims_at:
                found = _AIMS[aim](self.town, name)
                if found:
                    return found
        self.wrong(where, name, f"no such place; {' or '.join(_AIM_TEXT[aim] for aim in kind.aims_at)}")
        return ()


def _station(town: Town, name: str) -> list[int]:
    return [town.station_index[name]] if name in town.station_index else []


def _branch(_: Town, name: str) -> list[int]:
    return [place for place, branch in enumerate(BRANCHES) if name in {SOURCE_ID, f"{SOURCE_ID}/{branch}"}]


def _room(town: Town, name: str) -> list[int]:
    return [town.room_index[name]] if name in town.room_index else []


def _building(town: Town, name: str) -> list[int]:
    return [place for place, room in enumerate(town.rooms) if room.building_id == name]


def _riser(town: Town, name: str) -> list[int]:
    building_id, _, unit = name.partition("/")
    return [place for place, room in enumerate(town.rooms) if room.building_id == building_id and room.unit == unit]


_AIMS: Mapping[str, Callable[[Town, str], list[int]]] = {
    "station": _station,
    "branch": _branch,
    "room": _room,
    "building": _building,
    "riser": _riser,
}


def _spans(what: str, field: Field, places: tuple[int, ...], level: float, at_ms: int, until_ms: int | None) -> tuple[Span, ...]:
    spans = [Span(field, places, level, at_ms, until_ms)]
    if what == "power_loss":
        back_ms = None if until_ms is None else until_ms + REBOOT_MS
        if back_ms is None or back_ms > at_ms + UPS_MS:
            spans.append(Span("silent", places, 1.0, at_ms + UPS_MS, back_ms))
    return tuple(spans)
