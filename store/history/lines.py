"""Readings as line protocol, the one language in which InfluxDB and VictoriaMetrics take them.

    secondary_supply_temp_c,kind=station,subject=S01 value=45.3,quality=0i,received=1768348800012i 1768348800004
    secondary_supply_temp_c,kind=station,subject=S01 rejected=-3276.8,quality=66i,received=1768348810011i 1768348810003
    indoor_temp_c,kind=room,subject=S01-B03-502 quality=323i,received=1768348812000i 1768348812000

``value`` is there for usable readings (R2) only, so that whoever draws or averages it draws nothing bad; ``rejected`` is the value of
a bad one. ``quality`` is that of domain.reading, plus 256 for NaN, 512 for +∞, 768 for −∞, which line protocol can't say.
``received`` is the instant of receipt in ms; the time is ``measured_at``, precision ms. Floats are always floats.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from domain.reading import FIRST_BAD, Readings

USABLE, REJECTED, UNSAID = 0, 1, 2
_NAN, _PLUS, _MINUS = 256, 512, 768


@dataclass(frozen=True)
class Lines:
    """Lines in one block of bytes; line k ends (line break included) at ``ends[k]``."""

    data: bytes
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def cut(self, start: int, stop: int) -> "Lines":
        """The lines from ``start`` up to, not including, ``stop``."""
        ends = self.ends[start:stop]
        if not len(ends):
            return Lines(b"", ends)
        begin = int(self.ends[start - 1]) if start else 0
        return Lines(self.data[begin : int(ends[-1])], ends - begin)

    def parted(self, head: bytes) -> tuple["Lines", "Lines"]:
        """The lines that begin so, and the others."""
        those: list[bytes] = []
        others: list[bytes] = []
        for line in self.data.splitlines(keepends=True):
            (those if line.startswith(head) else others).append(line)
        return _joined(those), _joined(others)


def _joined(lines: list[bytes]) -> Lines:
    return Lines(b"".join(lines), np.cumsum([len(line) for line in lines], dtype=np.int64))


def lines_of(readings: Readings, heads: Sequence[str], head_of: NDArray[np.intp], *, exact: bool = True) -> Lines:
    """One line for each reading; ``heads[head_of[k]]`` begins that of row k.

    Unless ``exact`` the server keeps about twelve digits of a float, and fewer beside a very large one: what it would alter goes
    rounded, and as two whole numbers, the ``bits_high`` and ``bits_low`` of the IEEE 754 double.
    """
    if not len(readings):
        return Lines(b"", np.empty(0, np.int64))
    value = readings.value
    finite = np.isfinite(value)
    said = np.where(finite, np.where(readings.quality < FIRST_BAD, USABLE, REJECTED), UNSAID)
    shown = np.where(finite, value, 0.0)
    bits = None
    if not exact:
        plain = ~finite | is_plain(value)
        bits = None if plain.all() else _bits(value, plain)
        shown = np.where(plain, shown, _shown(shown))
    number = pc.cast(pa.array(shown), pa.string())
    number = pc.if_else(pa.array(said == UNSAID), "", number)
    texts = [
        pa.array(heads, pa.string()).take(pa.array(head_of)),
        pa.array(["value=", "rejected=", ""]).take(pa.array(said)),
        number,
        pa.array([",quality=", ",quality=", "quality="]).take(pa.array(said)),
        pc.cast(pa.array(quality_codes(readings)), pa.string()),
        pa.scalar("i,received="),
        pc.cast(pa.array(readings.received_at), pa.string()),
        pa.scalar("i") if bits is None else bits,
        pa.scalar(" "),
        pc.cast(pa.array(readings.measured_at), pa.string()),
        pa.scalar("\n"),
    ]
    joined = pc.binary_join_element_wise(*texts, "").cast(pa.large_string())
    _, ends, data = joined.buffers()
    return Lines(data.to_pybytes(), np.frombuffer(ends, np.int64, len(readings) + 1)[1:])


def quality_codes(readings: Readings) -> NDArray[np.int64]:
    """The field ``quality`` of each reading."""
    value = readings.value
    odd = np.where(np.isnan(value), _NAN, np.where(np.isposinf(value), _PLUS, np.where(np.isneginf(value), _MINUS, 0)))
    return readings.quality.astype(np.int64) + odd


def values_of(code: NDArray[np.int64], value: NDArray[np.float64], rejected: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values of readings with these fields; ``value`` and ``rejected`` are NaN where the field is missing."""
    odd = code & ~0xFF
    found = np.where(code & 0xFF < FIRST_BAD, value, rejected)
    return np.select([odd == _NAN, odd == _PLUS, odd == _MINUS], [np.nan, np.inf, -np.inf], found)


_PLAIN_LIMIT = 1e8


def is_plain(value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values are decimals that a server keeping twelve digits gives back bit for bit: below 10⁸, at most three decimals."""
    with np.errstate(invalid="ignore", over="ignore"):
        plain: NDArray[np.bool_] = (np.abs(value) < _PLAIN_LIMIT) & (np.rint(value * 1000) / 1000 == value)
        plain &= ~(np.signbit(value) & (value == 0))
    return plain


def _shown(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twelve digits of each value, within what can stand beside others: for people's eyes, the bits tell the truth."""
    size = np.abs(value)
    rounded = np.where(size < 1e6, np.round(value, 6), np.rint(np.clip(value, -1e12, 1e12)))
    return np.where((size >= 1e6) & (size < 1e9), np.round(value, 3), rounded)


def from_bits(high: NDArray[np.float64], low: NDArray[np.float64]) -> NDArray[np.float64]:
    """The doubles whose bits these are."""
    whole = (high.astype(np.uint64) << np.uint64(32)) | low.astype(np.uint64)
    return whole.view(np.float64)


def _bits(value: NDArray[np.float64], plain: NDArray[np.bool_]) -> pa.Array:
    """The end of the field ``received`` and, where a value is not plain, the fields of its bits."""
    whole = np.ascontiguousarray(value).view(np.uint64)
    high, low = (whole >> np.uint64(32)).astype(np.int64), (whole & np.uint64(0xFFFFFFFF)).astype(np.int64)
    high_text, low_text = pc.cast(pa.array(high), pa.string()), pc.cast(pa.array(low), pa.string())
    both = pc.binary_join_element_wise(pa.scalar("i,bits_high="), high_text, pa.scalar("i,bits_low="), low_text, pa.scalar("i"), "")
    return pc.if_else(pa.array(plain), "i", both)
