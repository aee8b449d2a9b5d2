"""Which point says what about whom: point ids of the registry sorted out for the live pass."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compliance.cause import EVIDENCE
from compliance.heat import needed
from domain.profile import ModbusProfile, OpcUaProfile
from domain.quantity import parse_point
from domain.site import Device, Site
from store.points import PointRegistry

ROOM_QUANTITY = "indoor_temp_c"


@dataclass
class PointsMap:
    """``room_row`` (by point id, −1 for none) and ``subjects``: point id → (station or device id, quantity)."""

    site: Site
    points: PointRegistry
    room_row: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    subjects: dict[int, tuple[str, str]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Takes in points registered since the last time."""
        self.points.refresh()
        known = len(self.room_row)
        names = self.points.names()
        if len(names) == known:
            return
        rows = {room_id: row for row, room_id in enumerate(self.site.rooms)}
        grown = np.full(len(names), -1, np.int64)
        grown[:known] = self.room_row
        for point in range(known, len(names)):
            kind, subject_id, quantity = parse_point(names[point])
            if kind == "room":
                grown[point] = rows.get(subject_id, -1) if quantity == ROOM_QUANTITY else -1
            elif kind == "source" or needed(quantity) or quantity in EVIDENCE:
                self.subjects[point] = (subject_id, quantity)
        self.room_row = grown

    def rooms_of(self, point: NDArray[np.int32]) -> NDArray[np.int64]:
        """The room row of each reading's point, −1 where it is no room's temperature."""
        if len(point) and int(point.max()) >= len(self.room_row):
            self.refresh()
        return self.room_row[point]


def measured_quantities(site: Site, device: Device) -> tuple[str, ...]:
    """The quantities that this device's profile reads; none when the profile is not known."""
    profile = site.profiles.get(device.profile)
    if isinstance(profile, ModbusProfile):
        return tuple(register.quantity for register in profile.registers)
    return tuple(node.quantity for node in profile.nodes) if isinstance(profile, OpcUaProfile) else ()
