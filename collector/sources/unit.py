"""One device behind a gateway: what is asked of it, when, and how its polling stands.

profile ──▶ requests ──▶ reads (a request and its points); a read that is refused in part goes on in parts
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from collector.blocks import Request, requests_of, split
from collector.health import SourceHealth
from collector.schedule import Patience, Turn
from domain.clock import Clock
from domain.profile import ModbusProfile
from domain.site import Device


@dataclass(eq=False)
class Read:
    """One request to one device, and the points its values belong to. ``refusals`` counts how often it was an illegal address."""

    request: Request
    points: NDArray[np.int32]
    refusals: int = 0

    def halves(self) -> tuple["Read", "Read"] | None:
        """The same in two; None if it is one address."""
        parts = split(self.request)
        if parts is None:
            return None
        point_of = dict(zip(self.request.registers, self.points.tolist(), strict=True))
        low, high = (Read(part, np.array([point_of[register] for register in part.registers], np.int32)) for part in parts)
        return low, high


class Unit:
    """One device behind a gateway and how its polling stands.

    ``owing``: a question of ours may still be answered, by a reply that does not tell which of the questions ``asked`` it is for.
    """

    def __init__(self, device: Device, profile: ModbusProfile, phase_s: float, clock: Clock, *, shared: bool) -> None:
        interval_s = clock.wall_s(device.interval_s)
        self.device = device
        self.pause_s = profile.pause_s
        most = min(profile.max_registers, device.max_registers or profile.max_registers)
        self.requests = requests_of(replace(profile, max_registers=most))
        self.reads: list[Read] = []
        self.asked: dict[Request, None] = {}
        self.owing = False
        self.turn = Turn(phase_s, interval_s)
        self.patience = Patience(device.timeout_s, interval_s, shared=shared, clock=clock)
        self.health = SourceHealth(device.device_id, device.protocol, device.address)
        self.alone_until = 0.0
        self.answered = False
        self.exchange_ok = self.latency_ms = -1

    def point_names(self) -> list[str]:
        """The names of all its points: the requests' registers in order, then its health."""
        names = [f"station/{self.device.station_id}/{register.quantity}" for request in self.requests for register in request.registers]
        return [*names, f"source/{self.device.device_id}/exchange_ok", f"source/{self.device.device_id}/latency_ms"]

    def take_ids(self, ids: NDArray[np.int32]) -> None:
        """Takes the ids of ``point_names``."""
        self.exchange_ok, self.latency_ms = ids[-2:].tolist()
        ends = np.cumsum([len(request.registers) for request in self.requests])
        self.reads = [Read(request, part) for request, part in zip(self.requests, np.split(ids[:-2], ends[:-1]), strict=True)]
