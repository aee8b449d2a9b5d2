"""Sensors that send and stand in no room: listed for commissioning (by each node) in ``DATA/unknown_sensors.json``; nothing is judged."""

from collections.abc import Collection
from pathlib import Path
from threading import Lock

import orjson

MOST = 2000


class UnknownSensors:
    """The list: for each sensor the profile, first and last time (the clock's), messages, and the last value of each quantity.

    Bounded: beyond 2000 sensors only ``beyond`` counts. ``newest`` and ``save`` may be called by another thread than ``saw``.
    """

    def __init__(self, path: Path, known: Collection[str]) -> None:
        """``known``: sensor ids (folded) that meanwhile stand in a room; they leave the list."""
        self._path = path
        self._changed = False
        self._lock, self._saving = Lock(), Lock()
        self.beyond = 0
        try:
            kept = orjson.loads(path.read_bytes())
            self._sensors = {sensor: entry for sensor, entry in kept.items() if isinstance(entry, dict) and sensor.casefold() not in known}
        except (OSError, ValueError, AttributeError):
            self._sensors = {}

    def __len__(self) -> int:
        return len(self._sensors)

    def saw(self, sensor: str, profile: str, topic: str, at_ms: int, name: str, value: float) -> bool:
        """Takes note of one value; returns whether the sensor is new on the list."""
        with self._lock:
            entry = self._sensors.get(sensor)
            if entry is None:
                if len(self._sensors) >= MOST:
                    self.beyond += 1
                    return False
                entry = self._sensors[sensor] = {"profile": profile, "topic": topic, "first_ms": at_ms, "values": {}, "count": 0}
            entry["last_ms"] = at_ms
            entry["count"] += 1
            entry["values"][name] = value
            self._changed = True
            return bool(entry["count"] == 1)

    def newest(self, count: int) -> list[dict[str, object]]:
        """The sensors heard last."""
        with self._lock:
            latest = sorted(self._sensors.items(), key=lambda item: -item[1]["last_ms"])
            return [{"sensor": sensor, **entry, "values": dict(entry["values"])} for sensor, entry in latest[:count]]

    def save(self) -> None:
        """Writes the list if it has changed. Raises OSError; what was not written is, the next time."""
        with self._saving:
            with self._lock:
                if not self._changed:
                    return
                content = orjson.dumps(self._sensors)
                self._changed = False
            part = self._path.with_suffix(".tmp")
            try:
                part.write_bytes(content)
                part.replace(self._path)
            except OSError:
                self._changed = True
                raise
