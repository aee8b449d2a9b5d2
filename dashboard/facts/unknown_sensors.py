"""Sensors that send and stand in no room: they wait to be commissioned, and nothing they say is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.facts.town import Town
from store.health import read_health


@dataclass(frozen=True)
class UnknownSensor:
    """One sensor: the profile that read it, when it was first and last heard, how many messages, its last values by quantity."""

    sensor: str
    profile: str
    topic: str
    first_at: int | None
    last_at: int | None
    count: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class UnknownSensors:
    """``count`` of them are listed by the collector, ``beyond`` were heard beside them and are not; ``newest`` those heard last."""

    count: int = 0
    beyond: int = 0
    newest: Sequence[UnknownSensor] = ()


def unknown_sensors(town: Town) -> UnknownSensors:
    """What the collectors of this machine say of them."""
    return town.shared.of("unknown_sensors", lambda: _unknown_sensors(town))


def _unknown_sensors(town: Town) -> UnknownSensors:
    details = [health.detail.get("unknown_sensors") for health in read_health(town.site.data) if health.component.startswith("collect")]
    told = [detail for detail in details if isinstance(detail, dict)]
    newest = [_sensor(entry) for detail in told for entry in detail.get("newest", ())]
    return UnknownSensors(
        sum(int(detail.get("count", 0)) for detail in told),
        sum(int(detail.get("beyond", 0)) for detail in told),
        sorted(newest, key=lambda one: -(one.last_at or 0)),
    )


def _sensor(entry: Mapping[str, Any]) -> UnknownSensor:
    values = {str(name): float(value) for name, value in entry.get("values", {}).items() if value is not None}
    return UnknownSensor(
        str(entry.get("sensor", "")), str(entry.get("profile", "")), str(entry.get("topic", "")), entry.get("first_ms"),
        entry.get("last_ms"), int(entry.get("count", 0)), values,
    )  # fmt: skip
