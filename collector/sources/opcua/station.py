"""One station of an OPC UA server: its turns, its nodes and points, and how its answers become readings."""

from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from collector.health import SourceHealth
from collector.scaling import Scaling
from collector.schedule import Turn
from collector.sources.opcua.feed import Wish
from collector.sources.opcua.values import UNSTAMPED, Answer, marked, settle
from domain.clock import Clock
from domain.profile import OpcUaProfile
from domain.reading import Readings
from domain.site import Device

log = structlog.get_logger("collect")

MISSING = "nodes missing"


class Station:
    """One device of an OPC UA server and how its polling stands."""

    def __init__(self, device: Device, profile: OpcUaProfile, phase_s: float, clock: Clock) -> None:
        self.device = device
        self.profile = profile
        self.turn = Turn(phase_s, clock.wall_s(device.interval_s))
        self.health = SourceHealth(device.device_id, device.protocol, device.address)
        self.nodes: list[Any] | None = None
        self.points = np.empty(0, np.int32)
        self.exchange_ok = self.latency_ms = -1
        self._scaling = Scaling.of([node.scale for node in profile.nodes], [node.add for node in profile.nodes])
        self._missing: frozenset[str] = frozenset()
        self._last = np.full(len(profile.nodes), UNSTAMPED, np.int64)
        self._since = np.zeros(len(profile.nodes), np.int64)

    def point_names(self) -> list[str]:
        """The names of all its points: the profile's nodes in order, then its health."""
        names = [f"station/{self.device.station_id}/{node.quantity}" for node in self.profile.nodes]
        return [*names, f"source/{self.device.device_id}/exchange_ok", f"source/{self.device.device_id}/latency_ms"]

    def take_ids(self, ids: NDArray[np.int32]) -> None:
        """Takes the ids of ``point_names``."""
        self.points = ids[:-2]
        self.exchange_ok, self.latency_ms = ids[-2:].tolist()

    @property
    def subscribed(self) -> bool:
        """Whether the server tells of changes, instead of being polled."""
        return self.profile.mode == "subscribe"

    def readings(self, answer: Answer, received_ms: int) -> Readings:
        """The answer to a poll as readings, with their times settled."""
        still_ms = round(2.5 * self.device.interval_s * 1000)
        measured, clock_off, self._since = settle(answer.stamped_ms, received_ms, self._last, self._since, still_ms)
        self._last = answer.stamped_ms
        quality = marked(answer.quality, clock_off)
        return Readings(self.points, measured, np.full(len(measured), received_ms, np.int64), self._scaling.apply(answer.value), quality)

    def wishes(self, first: int, clock: Clock) -> list[Wish]:
        """How its nodes are to be watched, under the handles from ``first`` on."""
        profile = self.profile
        sampling_s = clock.wall_s(profile.sampling_s or self.device.interval_s)
        return [
            Wish(first + row, node_id, sampling_s, profile.queue, profile.deadband if node.deadband is None else node.deadband)
            for row, (node_id, node) in enumerate(zip(self.nodes or (), profile.nodes, strict=True))
        ]

    def note_missing(self, gone: NDArray[np.bool_]) -> None:
        """Names nodes that the server does not have, once, and once again when they are back."""
        missing = frozenset(node.node for node, away in zip(self.profile.nodes, gone.tolist(), strict=True) if away)
        if missing - self._missing:
            log.warning("nodes missing on the server", source=self.device.device_id, nodes=sorted(missing - self._missing))
        if self._missing - missing:
            log.info("nodes back on the server", source=self.device.device_id, nodes=sorted(self._missing - missing))
        self._missing = missing
        if missing or MISSING in self.health.counts:
            self.health.counts[MISSING] = len(missing)
