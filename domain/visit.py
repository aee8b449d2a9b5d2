"""A measuring visit (测温记录, R8): what was measured, by whom, with what, how; whether it counts; and its link in the chain."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from hashlib import sha256
from math import fsum
from typing import Final, Literal
from zoneinfo import ZoneInfo

WINDOWS_SHUT_MIN: Final = 30.0
HEIGHT_M: Final = (1.1, 1.3)  # 1.2 m ± 0.1
GENESIS: Final = "0" * 64  # what stands before the first record

Fault = Literal[
    "no_signature", "not_yet_calibrated", "calibration_expired", "windows_open", "off_centre", "wrong_height", "no_reading",
]  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """One record. ``measured_at`` and ``filed_at`` are UTC ms; ``calibrated_until`` is the last day on which the calibration holds.

    ``signature`` is a PNG, None without one; ``corrects`` is the id of the record that this one replaces.
    """

    room_id: str
    measured_at: int
    measured_by: str
    instrument: str
    calibrated_on: date
    calibrated_until: date
    windows_shut_min: float
    at_centre: bool
    height_m: float
    readings_c: tuple[float, ...]
    signature: bytes | None = None
    complaint_id: int | None = None
    corrects: int | None = None
    remark: str = ""

    @property
    def mean_c(self) -> float | None:
        """The mean of the readings in °C, as it is judged; None without any."""
        return fsum(self.readings_c) / len(self.readings_c) if self.readings_c else None

    @property
    def result_c(self) -> float | None:
        """The mean to a hundredth, as it is shown."""
        return None if self.mean_c is None else round(self.mean_c, 2)


def visit_faults(visit: Visit, zone: ZoneInfo) -> list[Fault]:
    """Why a visit is no official measurement; empty where it is one. The record is kept in any case (R8)."""
    day = datetime.fromtimestamp(visit.measured_at / 1000, zone).date()
    low, high = HEIGHT_M
    found: Sequence[tuple[Fault, bool]] = (
        ("no_signature", visit.signature is None),
        ("not_yet_calibrated", day < visit.calibrated_on),
        ("calibration_expired", day > visit.calibrated_until),
        ("windows_open", visit.windows_shut_min < WINDOWS_SHUT_MIN),
        ("off_centre", not visit.at_centre),
        ("wrong_height", not low - 1e-9 <= visit.height_m <= high + 1e-9),
        ("no_reading", not visit.readings_c),
    )
    return [fault for fault, holds in found if holds]


def link_hash(number: int, visit: Visit, filed_at: int, filed_by: str, prev_hash: str) -> str:
    """SHA-256 of everything in record ``number`` and of the record before it, over JSON with sorted keys (docs/visits.md)."""
    content = asdict(visit) | {
        "id": number,
        "calibrated_on": visit.calibrated_on.isoformat(),
        "calibrated_until": visit.calibrated_until.isoformat(),
        "readings_c": list(visit.readings_c),
        "signature": None if visit.signature is None else sha256(visit.signature).hexdigest(),
        "filed_at": filed_at,
        "filed_by": filed_by,
        "prev_hash": prev_hash,
    }
    return sha256(json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
