"""What a screen knows of each point, in columns by id: where it stands, and what came last."""

import numpy as np

NEVER = -(2**62)


class KnownPoints:
    """One row an id; the arrays grow with the ids."""

    def __init__(self) -> None:
        self.known = np.zeros(0, np.bool_)
        self.kind = np.zeros(0, np.uint16)
        self.role = np.zeros(0, np.int8)
        self.circuit = np.zeros(0, np.int32)
        self.slot = np.zeros(0, np.int32)
        self.battery = np.zeros(0, np.int32)
        self.outdoor = np.zeros(0, np.bool_)
        self.value = np.zeros(0, np.float64)
        self.at = np.zeros(0, np.int64)
        self.same_since = np.zeros(0, np.int64)
        self.broken_since = np.zeros(0, np.int64)

    def grow(self, length: int) -> None:
        """Room for ids below ``length``."""
        more = length - len(self.kind)
        if more <= 0:
            return
        more = max(more, len(self.kind) // 8)
        empty = {
            "role": -1,
            "circuit": -1,
            "slot": -1,
            "battery": -1,
            "value": np.nan,
            "at": NEVER,
            "same_since": NEVER,
            "broken_since": NEVER,
        }
        for name, column in vars(self).items():
            setattr(self, name, np.concatenate([column, np.full(more, empty.get(name, 0), column.dtype)]))
