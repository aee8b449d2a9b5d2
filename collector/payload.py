"""What a message of a room sensor says: payload profiles, read as data.

bytes ──▶ parse ──▶ document ──▶ Payload.read ──────────┬─▶ values (sensor, quantity, time, value, quality), faults (reasons, counted),
bytes ──▶ Births.read ──▶ metrics ──▶ Payload.read_told ┘   and which sensor has come or gone
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final, NamedTuple

from collector.document import ABSENT, Path, find, path_of
from collector.field_values import FieldReader, is_point, number_of, read_number, reader_of, said_quality
from collector.instants import parse_instant, plausible, plausible_history
from collector.sparkplug import Metric, Told
from domain.profile import MqttProfile
from domain.quantity import parse_point
from domain.reading import Quality

_TOP: Final[Path] = ()


class Value(NamedTuple):
    """One value of one sensor. Where a payload names one of our points itself, that is ``sensor`` and ``quantity`` is empty."""

    sensor: str
    quantity: str
    measured_at: int
    value: float
    quality: int

    @property
    def of(self) -> str:
        """The quantity it is of, also where a payload names one of our points."""
        return self.quantity or parse_point(self.sensor).quantity


@dataclass
class Content:
    """What was found in one message."""

    values: list[Value] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    presence: tuple[str, bool] | None = None


Place = tuple[FieldReader, Path, str | int]  # a field, what holds it, its last step


class Payload:
    """Reads the messages of one profile. ``zone`` is where a local time without offset is."""

    def __init__(self, profile: MqttProfile, zone: tzinfo) -> None:
        self.profile = profile
        self._zone = zone
        parent = path_of(profile.history)[:-1]
        self._readers = [reader_of(one, parent) for one in profile.fields]
        self._sensor = path_of("" if profile.sensor.startswith("topic:") else profile.sensor)
        self._time, self._history_time = path_of(profile.time), path_of(profile.history_time)
        self._history, self._points = path_of(profile.history), path_of(profile.points)
        self._point_id, self._point_value = path_of(profile.point_id), path_of(profile.point_value)
        self._point_quality = path_of(profile.point_quality)
        self._temp_unit = path_of(profile.temp_unit)
        self._tail = _literal_tail(profile.topic)
        self._by_path = {reader.field.path: reader for reader in self._readers}
        self._frame: list[Place] = [(one, one.holder, one.last) for one in self._readers]
        self._earlier: list[Place] = [(one, *one.in_history) for one in self._readers if one.in_history is not None]

    def read(self, topic: str, document: object, received_ms: int, away_since_ms: int | None = None) -> Content:
        """The values in one message received at ``received_ms`` (the clock's); ``away_since_ms``: see ``instants.plausible``."""
        content = Content()
        if self.profile.point_id:
            self._read_points(document, received_ms, away_since_ms, content)
            if not content.values and not content.faults:
                content.faults.append("no point in it")
            return content
        sensor = self._sensor_of(topic, document)
        if sensor is None:
            content.faults.append("no sensor id")
            return content
        fahrenheit = str(find(document, self._temp_unit)).upper() in ("F", "°F", "FAHRENHEIT") if self._temp_unit else False
        measured_at, mark = self._instant(find(document, self._time), received_ms, away_since_ms)
        self._read_frame(document, self._frame, sensor, (measured_at, mark), content, fahrenheit=fahrenheit)
        if self._history:
            self._read_history(document, sensor, received_ms, content)
        if not content.values and not content.faults:
            content.faults.append("no field of the profile")
        return content

    def presence(self, topic: str, payload: bytes) -> tuple[str, bool] | None:
        """The sensor that this message is about and whether it is there; None where it is no such message."""
        if not self.profile.presence or not topic.endswith(f"/{self.profile.presence}"):
            return None
        text = payload.decode("ascii", "replace").strip()
        if text.startswith("{"):
            with suppress(ValueError):
                text = str(json.loads(text).get("state"))
        if text.lower() not in ("online", "offline"):
            return None
        sensor = self._level_of(topic, [self.profile.presence]) if self.profile.sensor.startswith("topic:") else None
        return None if sensor is None else (sensor, text.lower() == "online")

    def read_told(self, told: Told, received_ms: int, away_since_ms: int | None = None) -> Content:
        """The values in what a Sparkplug message told."""
        content = Content(faults=list(told.faults), presence=told.presence)
        for metric in told.metrics:
            self._read_metric(metric, received_ms, away_since_ms, content)
        if not content.values and not content.faults and content.presence is None:
            content.faults.append("no metric in it")
        return content

    def _read_metric(self, metric: Metric, received_ms: int, away_since_ms: int | None, content: Content) -> None:
        prefix, _, last = metric.name.rpartition("/")
        reader = self._by_path.get(metric.name) or self._by_path.get(last)
        sensor, name = metric.owner, reader.field.quantity if reader is not None else ""
        if reader is not None and reader.field.path == last and prefix:
            sensor = f"{metric.owner}/{prefix}"
        if reader is None:
            if not is_point(metric.name):
                content.faults.append("metric without a field")
                return
            sensor = metric.name
        measured_at, mark = self._instant_of(metric, received_ms, away_since_ms)
        if measured_at is None:
            content.faults.append("history frame without a usable time")
            return
        value, quality = read_number(reader, metric.value) if reader is not None else number_of(metric.value, truth=True)
        content.values.append(Value(sensor, name, measured_at, value, quality or (mark if metric.good else Quality.BAD)))

    @staticmethod
    def _instant_of(metric: Metric, received_ms: int, away_since_ms: int | None) -> tuple[int | None, int]:
        if metric.at_ms is None:
            return received_ms, Quality.GOOD
        if plausible(metric.at_ms, received_ms, away_since_ms):
            return metric.at_ms, Quality.GOOD
        if metric.history:
            return (metric.at_ms if plausible_history(metric.at_ms, received_ms) else None), Quality.GOOD
        return received_ms, Quality.CLOCK

    # ── which sensor, when ────────────────────────────────────────────────────────────────────────────────────────────

    def _sensor_of(self, topic: str, document: object) -> str | None:
        if self._sensor:
            found = find(document, self._sensor)
            return str(found).strip() or None if isinstance(found, str | int) else None
        return self._level_of(topic, self._tail)

    def _level_of(self, topic: str, tail: list[str]) -> str | None:
        """The sensor's id in a topic that ends in these levels."""
        levels = topic.split("/")
        where = self.profile.sensor.removeprefix("topic:")
        first = int(where.rstrip("+"))
        if not where.endswith("+"):
            return levels[first] if first < len(levels) else None
        end = len(levels) - len(tail)
        return "/".join(levels[first:end]) or None if levels[end:] == tail else None

    def _instant(self, stamp: object, received_ms: int, away_since_ms: int | None) -> tuple[int, int]:
        """The reading's time and mark; a device that gives none has that of receipt, unmarked."""
        if not self._time or stamp is ABSENT or stamp is None:
            return received_ms, Quality.GOOD
        stamped_ms = parse_instant(stamp, self.profile.time_format, self._zone)
        if stamped_ms is None or not plausible(stamped_ms, received_ms, away_since_ms):
            return received_ms, Quality.CLOCK
        return stamped_ms, Quality.GOOD

    # ── one frame, earlier frames, many points ────────────────────────────────────────────────────────────────────────

    def _read_frame(
        self,
        frame: object,
        places: Sequence["Place"],
        sensor: str,
        when: tuple[int, int],
        content: Content,
        *,
        fahrenheit: bool = False,
    ) -> None:
        measured_at, mark = when
        seen: dict[str, float] = {}
        held, holding = frame, _TOP  # fields stand side by side as a rule: what holds them is looked for once
        for reader, holder, last in places:
            name = reader.field.quantity
            if name in seen:
                continue
            if holder != holding:
                held, holding = find(frame, holder), holder
            raw = held.get(last, ABSENT) if type(held) is dict and type(last) is str else find(held, (last,))
            if raw is ABSENT:
                if reader.field.missing is None or not isinstance(held, dict):
                    continue
                raw = reader.field.missing
            value, quality = read_number(reader, raw, fahrenheit=fahrenheit)
            seen[name] = value
            content.values.append(Value(sensor, name, measured_at, value, quality or mark))
        if seen.get("indoor_temp_c") == 0 and seen.get("battery_pct", 0) > 0:
            # A device with power whose probe says exactly 0.00 has no probe (domain.md).
            self._mark_sentinel(content.values, len(seen))

    @staticmethod
    def _mark_sentinel(values: list[Value], newest: int) -> None:
        for index in range(len(values) - newest, len(values)):
            if values[index].quantity == "indoor_temp_c":
                values[index] = values[index]._replace(quality=Quality.SENTINEL)

    def _read_history(self, document: object, sensor: str, received_ms: int, content: Content) -> None:
        frames = find(document, self._history)
        for frame in frames if isinstance(frames, list) else ():
            stamped_ms = parse_instant(find(frame, self._history_time), self.profile.time_format, self._zone)
            if stamped_ms is None or not plausible_history(stamped_ms, received_ms):
                content.faults.append("history frame without a usable time")
                continue
            self._read_frame(frame, self._earlier, sensor, (stamped_ms, Quality.GOOD), content)

    def _read_points(self, document: object, received_ms: int, away_since_ms: int | None, content: Content) -> None:
        items = find(document, self._points)
        items = document if items is ABSENT else items  # one point alone, or a bare list of them
        for item in items if isinstance(items, list) else [items]:
            point_id = find(item, self._point_id)
            raw = find(item, self._point_value)
            if not isinstance(point_id, str | int) or isinstance(point_id, bool) or raw is ABSENT:
                content.faults.append("point without id or value")
                continue
            sensor, reader = self._point_of(str(point_id).strip())
            stamp = find(item, self._time)
            stamp = find(document, self._time) if stamp is ABSENT else stamp
            measured_at, mark = self._instant(stamp, received_ms, away_since_ms)
            value, quality = read_number(reader, raw) if reader is not None else number_of(raw, truth=True)
            said = said_quality(find(item, self._point_quality) if self._point_quality else ABSENT)
            name = reader.field.quantity if reader is not None else ""
            content.values.append(Value(sensor, name, measured_at, value, max(quality, said) or mark))

    def _point_of(self, point_id: str) -> tuple[str, "FieldReader | None"]:
        """A point's sensor and field: ``SENSOR.path``, a sensor alone (the first field), or one of our own points' names (None)."""
        sensor, _, suffix = point_id.rpartition(".")
        for reader in self._readers:
            if sensor and reader.field.path == suffix:
                return sensor, reader
        if is_point(point_id):
            return point_id, None
        return point_id, self._readers[0] if self._readers else None


def _literal_tail(topic: str) -> list[str]:
    """The levels of a topic filter after its last wildcard."""
    tail: list[str] = []
    for level in reversed(topic.split("/")):
        if level in ("+", "#"):
            break
        tail.insert(0, level)
    return tail
