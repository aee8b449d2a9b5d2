"""From register map to requests, and from blocks of bytes to columns: everything precomputed, nothing per value.

profile ──▶ requests_of ──▶ Request (function, offset, count, how its values come out)
Block (request, points, bytes, instant) × many ──▶ readings_of ──▶ Readings
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from collector.scaling import Scaling
from domain.profile import REGISTERS_OF, ModbusProfile, Register
from domain.quantity import quantity
from domain.reading import Quality, Readings

BIT_FUNCTIONS = (1, 2)
MOST_BITS = 2000
MOST_REGISTERS = 125
ALL_ZERO_FROM = 8  # a block of so many registers, all 0, comes from a device that has not measured yet

_DTYPES = {"i16": ">i2", "u16": ">u2", "i32": ">i4", "u32": ">u4", "i64": ">i8", "u64": ">u8", "f32": ">f4", "f64": ">f8"}
_USUAL_SENTINELS = {"i16": (-32768.0, 32767.0), "u16": (32767.0, 32768.0, 65535.0)}


def width(register: Register, function: int) -> int:
    """How many registers (or bits, for functions 1 and 2) this value takes."""
    if function in BIT_FUNCTIONS:
        return 1
    return register.length if register.type == "string" else REGISTERS_OF[register.type]


def _byte_order(order: str, registers: int) -> list[int]:
    """Where the bytes of a value of so many registers stand on the wire, most significant first."""
    if registers == 1:
        return [0, 1]  # the setting is about values of several registers
    words = list(range(registers))
    if order in ("CDAB", "DCBA"):
        words.reverse()
    swapped = order in ("BADC", "DCBA")
    return [2 * word + byte for word in words for byte in ((1, 0) if swapped else (0, 1))]


def _text_order(order: str, registers: int) -> NDArray[np.intp]:
    """Where the characters of a text stand on the wire: register by register, the two in each as the order of bytes says."""
    pairs = np.arange(2 * registers, dtype=np.intp).reshape(-1, 2)
    return (pairs[:, ::-1] if order in ("BADC", "DCBA") else pairs).ravel()


@dataclass(frozen=True, eq=False)
class _Numbers:
    """The values of one numeric type: for each, the wire's byte positions (m × bytes) and its column."""

    dtype: str
    positions: NDArray[np.intp]
    columns: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Request:
    """One read of ``count`` registers (bits, for functions 1 and 2) from ``offset``, which counts from the device's base."""

    function: int
    offset: int
    count: int
    registers: tuple[Register, ...]
    byte_order: str
    _numbers: tuple[_Numbers, ...]
    _bits: tuple[NDArray[np.intp], NDArray[np.uint16], NDArray[np.intp]]
    _flags: tuple[NDArray[np.intp], NDArray[np.intp]]
    _texts: tuple[tuple[NDArray[np.intp], int], ...]
    _scaling: Scaling
    _sentinels: NDArray[np.float64]

    @classmethod
    def of(cls, function: int, registers: Sequence[Register], byte_order: str) -> Self:
        """The request that covers these registers, with its decoding worked out."""
        offset = min(register.offset for register in registers)
        end = max(register.offset + width(register, function) for register in registers)
        kinds = ["flag" if function in BIT_FUNCTIONS or register.type == "bool" else register.type for register in registers]
        places = [register.offset - offset for register in registers]

        def columns(kind: str) -> list[int]:
            return [column for column, found in enumerate(kinds) if found == kind]

        numbers = []
        for kind, dtype in _DTYPES.items():
            if found := columns(kind):
                words = int(dtype[-1]) // 2
                orders = [_byte_order(registers[column].byte_order or byte_order, words) for column in found]
                positions = [[2 * places[column] + byte for byte in order] for column, order in zip(found, orders, strict=True)]
                numbers.append(_Numbers(dtype, np.array(positions, np.intp), np.array(found, np.intp)))
        bits, flags = columns("bit"), columns("flag")
        texts = tuple(
            (2 * places[c] + _text_order(registers[c].byte_order or byte_order, registers[c].length), c) for c in columns("string")
        )
        return cls(
            function,
            offset,
            end - offset,
            tuple(registers),
            byte_order,
            tuple(numbers),
            (_index(places, bits), np.array([registers[c].bit for c in bits], np.uint16), np.array(bits, np.intp)),
            (_index(places, flags), np.array(flags, np.intp)),
            texts,
            Scaling.of([register.scale for register in registers], [register.add for register in registers]),
            _sentinel_table(registers, kinds),
        )

    @property
    def size(self) -> int:
        """How many bytes of values a sound reply carries."""
        return (self.count + 7) // 8 if self.function in BIT_FUNCTIONS else 2 * self.count

    def decode(self, payloads: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Values and qualities (k × m) of k replies, given as bytes (k × size), for the m registers in their order."""
        replies = len(payloads)
        raw = np.full((replies, len(self.registers)), np.nan)
        quality = np.zeros(raw.shape, np.uint8)
        for numbers in self._numbers:
            raw[:, numbers.columns] = payloads.take(numbers.positions, axis=1).view(numbers.dtype)[..., 0]
        self._decode_bits(payloads, raw)
        for where, column in self._texts:
            for row in range(replies):
                raw[row, column], quality[row, column] = _number(payloads[row, where].tobytes())
        if self._sentinels.size:
            quality[(raw[:, :, None] == self._sentinels).any(axis=2)] = Quality.SENTINEL
        if self.function not in BIT_FUNCTIONS and self.count >= ALL_ZERO_FROM:
            quality[~payloads.any(axis=1)] = Quality.SENTINEL
        return self._scaling.apply(raw), quality

    def _decode_bits(self, payloads: NDArray[np.uint8], raw: NDArray[np.float64]) -> None:
        flag_places, flag_columns = self._flags
        if self.function in BIT_FUNCTIONS:
            raw[:, flag_columns] = np.unpackbits(payloads, axis=1, bitorder="little")[:, flag_places]
            return
        bit_places, shifts, bit_columns = self._bits
        if len(bit_columns) or len(flag_columns):
            words = payloads.view(">u2")
            raw[:, bit_columns] = (words[:, bit_places] >> shifts) & 1
            raw[:, flag_columns] = words[:, flag_places] != 0


def _index(places: Sequence[int], columns: Sequence[int]) -> NDArray[np.intp]:
    return np.array([places[column] for column in columns], np.intp)


def _sentinel_table(registers: Sequence[Register], kinds: Sequence[str]) -> NDArray[np.float64]:
    """Raw values that mean "no value" (m × s), filled up with NaN; the usual ones of 16-bit measurements are always among them."""
    rows = []
    for register, kind in zip(registers, kinds, strict=True):
        measured = kind in _USUAL_SENTINELS and not _counts_or_codes(register.quantity)
        rows.append({*register.sentinels, *(_USUAL_SENTINELS[kind] if measured else ())})
    most = max(map(len, rows))
    return np.array([[*row, *[np.nan] * (most - len(row))] for row in rows], np.float64).reshape(len(rows), most)


def _counts_or_codes(name: str) -> bool:
    try:
        found = quantity(name)
    except KeyError:
        return True
    return found.counter or name == "alarm_word"


def _number(text: bytes) -> tuple[float, int]:
    """A number written as text in registers, or NaN with the reason."""
    try:
        return float(text.split(b"\0", 1)[0].decode("ascii").strip()), Quality.GOOD
    except ValueError:
        return float("nan"), Quality.DECODE


def _most(profile: ModbusProfile, function: int) -> int:
    if function not in BIT_FUNCTIONS:
        return min(MOST_REGISTERS, profile.max_registers)
    return min(MOST_BITS, profile.max_registers * (1 if profile.function in BIT_FUNCTIONS else 16))


@lru_cache(maxsize=1024)
def requests_of(profile: ModbusProfile) -> tuple[Request, ...]:
    """The fewest requests that read a profile's registers, within its limit of registers and its largest hole."""
    by_function: dict[int, list[Register]] = {}
    for register in profile.registers:
        by_function.setdefault(register.function or profile.function, []).append(register)
    requests = []
    for function, registers in sorted(by_function.items()):
        most = _most(profile, function)
        registers.sort(key=lambda register: register.offset)
        run: list[Register] = []
        start = end = 0
        for register in registers:
            stop = register.offset + width(register, function)
            if run and (register.offset - end > profile.max_hole or max(end, stop) - start > most):
                requests.append(Request.of(function, run, profile.byte_order))
                run = []
            start, end = (start, max(end, stop)) if run else (register.offset, stop)
            run.append(register)
        requests.append(Request.of(function, run, profile.byte_order))
    return tuple(requests)


@lru_cache(maxsize=4096)
def split(request: Request) -> tuple[Request, Request] | None:
    """Two requests instead of this one: without its widest hole, or, where it has none, parted in the middle. None for one address.

    For devices that refuse a block in which some addresses are not theirs.
    """
    ordered = sorted(request.registers, key=lambda register: register.offset)
    end, cuts = request.offset, []
    for index, register in enumerate(ordered):
        if index and register.offset >= end:
            cuts.append((register.offset - end, -abs(2 * index - len(ordered)), index))
        end = max(end, register.offset + width(register, request.function))
    if not cuts:
        return None
    cut = max(cuts)[-1]
    low, high = (Request.of(request.function, part, request.byte_order) for part in (ordered[:cut], ordered[cut:]))
    return low, high


def settling(asked: Collection[Request]) -> Request | None:
    """A question within one of these, to whose reply no reply to any of these is alike: function or length differ.

    None where they are too small for one.
    """
    sizes = {(request.function, request.size) for request in asked}
    for request in asked:
        for count in range(1, 2 if request.function in BIT_FUNCTIONS else request.count):
            size = 1 if request.function in BIT_FUNCTIONS else 2 * count
            if (request.function, size) not in sizes:
                return Request.of(request.function, [Register("alarm_word", request.offset, "string", length=count)], request.byte_order)
    return None


@dataclass(frozen=True, slots=True)
class Block:
    """One sound reply as it came: ``points`` are the ids of the request's registers, ``at_ms`` when it arrived (the clock's)."""

    request: Request
    points: NDArray[np.int32]
    payload: bytes
    at_ms: int


def readings_of(blocks: Iterable[Block]) -> list[Readings]:
    """The readings in these blocks, decoded at once for all that came from the same request of a profile."""
    alike: dict[int, list[Block]] = {}
    for block in blocks:
        alike.setdefault(id(block.request), []).append(block)
    parts = []
    for group in alike.values():
        request = group[0].request
        payloads = np.frombuffer(b"".join([block.payload for block in group]), np.uint8).reshape(len(group), request.size)
        value, quality = request.decode(payloads)
        at = np.repeat(np.array([block.at_ms for block in group], np.int64), len(request.registers))
        parts.append(Readings(np.concatenate([block.points for block in group]), at, at, value.ravel(), quality.ravel()))
    return parts
