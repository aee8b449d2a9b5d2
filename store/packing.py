"""One batch of readings as bytes: packed columns, about 2 bytes a reading, bit for bit what was put in.

    ┌ head ───────────────────────────────────┬ body (zstd) ────────────────────────────────────────────────────────────┐
    │ magic, decimals; how many readings and  │ point · measured_at · received_at · value · quality · exceptions' values │
    │ exceptions; lengths. At the end a crc32 │ (differences, whole numbers; bytes of one weight side by side)           │
    └─────────────────────────────────────────┴─────────────────────────────────────────────────────────────────────────┘

Devices send decimals (21.3, not 21.30000114), so a value is kept as a whole number of its last decimal; the few that are not
such decimals are kept as they are (idea: ALP, adaptive lossless floating-point compression, Afroozeh et al., 2023).
"""

import struct
import threading
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from domain.reading import Readings

_HEAD: Final = struct.Struct("<4sBxxxIIII")
_MAGIC: Final = b"KWB1"
_CRC: Final = struct.Struct("<I")
_LEVEL: Final = 1
_BODY_BYTES: Final = 4 + 8 + 8 + 8 + 1  # of one reading, before zstd
_SCALES: Final = 10.0 ** np.arange(5)[:, None]  # up to four decimals
_SAMPLE: Final = 64
_own: Final = threading.local()  # a compressor serves one thread at a time, and is dear to make

Integers = NDArray[np.int32] | NDArray[np.int64]


class DamagedError(ValueError):
    """These bytes are not a batch, or no longer the batch they were."""


def pack(readings: Readings) -> bytes:
    """The readings as one block of bytes, in their order. At most 2³² − 1 readings."""
    decimals = _decimals(readings.value)
    whole, odd = _whole(readings.value, decimals)
    long = np.empty((3, len(readings)), np.int64)  # of one width, they go through each step together
    _differences(readings.measured_at, long[0])
    _differences(readings.received_at, long[1])
    long[2] = whole
    body = b"".join(
        (
            _shuffled(_differences(readings.point, np.empty(len(readings), np.int32))[np.newaxis]),
            _shuffled(long),
            readings.quality.tobytes(),
            np.flatnonzero(odd).astype("<u4").tobytes(),
            _shuffled(readings.value[odd].view(np.int64)[np.newaxis]),
        )
    )
    packed = _compressor().compress(body)
    rest = _HEAD.pack(_MAGIC, decimals, len(readings), int(np.count_nonzero(odd)), len(body), len(packed)) + packed
    return rest + _CRC.pack(zlib.crc32(rest))


def unpack(block: bytes) -> Readings:
    """The readings in a block made by ``pack``.

    Raises DamagedError when even one bit of it has changed.
    """
    decimals, count, exceptions, body_bytes = _checked(block)
    try:
        packed = memoryview(block)[_HEAD.size : -_CRC.size]
        body = _decompressor().decompress(packed, max_output_size=max(1, body_bytes))
    except zstandard.ZstdError as error:
        raise DamagedError(str(error)) from error
    if len(body) != body_bytes:
        raise DamagedError("the batch is shorter than its head says")
    return _columns(body, count, exceptions, decimals)


def check(block: bytes) -> None:
    """Raises DamagedError unless the block is as ``pack`` made it, without unpacking it."""
    _checked(block)


def _checked(block: bytes) -> tuple[int, int, int, int]:
    """What the head of a sound block says: decimals, readings, exceptions, bytes of the body."""
    if len(block) < _HEAD.size + _CRC.size:
        raise DamagedError(f"{len(block)} bytes are too few for a batch")
    magic, decimals, count, exceptions, body_bytes, packed_bytes = _HEAD.unpack_from(block)
    if magic != _MAGIC:
        raise DamagedError(f"{magic!r} does not begin a batch")
    if len(block) != _HEAD.size + packed_bytes + _CRC.size or body_bytes != count * _BODY_BYTES + exceptions * 12:
        raise DamagedError("the lengths in the head of the batch do not agree")
    if zlib.crc32(memoryview(block)[: -_CRC.size]) != _CRC.unpack_from(block, len(block) - _CRC.size)[0]:
        raise DamagedError("the batch's checksum does not agree")
    return decimals, count, exceptions, body_bytes


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_own, "compressor"):
        _own.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=False, write_checksum=False)
    found: zstandard.ZstdCompressor = _own.compressor
    return found


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_own, "decompressor"):
        _own.decompressor = zstandard.ZstdDecompressor()
    found: zstandard.ZstdDecompressor = _own.decompressor
    return found


def _columns(body: bytes, count: int, exceptions: int, decimals: int) -> Readings:
    parts = _cut(body, count * 4, count * 8, count * 8, count * 8, count, exceptions * 4, exceptions * 8)
    point, measured_at, received_at, whole, quality, odd, odd_values = parts
    value = _unshuffled(whole, 8).view(np.int64) / 10.0**decimals
    value[np.frombuffer(odd, "<u4")] = _unshuffled(odd_values, 8).view(np.float64)
    return Readings(
        np.cumsum(_unshuffled(point, 4).view(np.int32), dtype=np.int32),
        np.cumsum(_unshuffled(measured_at, 8).view(np.int64), dtype=np.int64),
        np.cumsum(_unshuffled(received_at, 8).view(np.int64), dtype=np.int64),
        value,
        np.frombuffer(quality, np.uint8).copy(),
    )


def _cut(body: bytes, *lengths: int) -> Iterator[memoryview]:
    view, at = memoryview(body), 0
    for length in lengths:
        yield view[at : at + length]
        at += length


def _decimals(value: NDArray[np.float64]) -> int:
    """How many decimals most values have, judged by some of them spread over the batch."""
    sample = np.ascontiguousarray(value[:: max(1, len(value) // _SAMPLE)])
    if not len(sample):
        return 0
    with np.errstate(invalid="ignore", over="ignore"):
        odd = (np.rint(sample * _SCALES) / _SCALES).view(np.int64) != sample.view(np.int64)
    return int(np.argmin(np.count_nonzero(odd, axis=1)))  # the first of the best


def _whole(value: NDArray[np.float64], decimals: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The values as whole numbers of their last decimal, and which of them are no such number (their number is 0)."""
    scale = 10.0**decimals
    with np.errstate(invalid="ignore", over="ignore"):
        whole = np.rint(value * scale).astype(np.int64)  # anything for NaN and what is too large: found out below
    # Bit for bit, so that -0.0 and every NaN come back as they were.
    odd: NDArray[np.bool_] = (whole / scale).view(np.int64) != np.ascontiguousarray(value).view(np.int64)
    if odd.any():
        whole[odd] = 0
    return whole, odd


def _differences(column: Integers, out: Integers) -> Integers:
    """Each number less the one before it (wrapping round at the type's end, which the sum undoes)."""
    out[:1] = column[:1]
    np.subtract(column[1:], column[:-1], out=out[1:])
    return out


def _shuffled(columns: Integers) -> bytes:
    """Of each column the lowest bytes of all numbers, then the next ones …, signs in the lowest bit: long runs of zeros for zstd."""
    size = columns.dtype.itemsize
    folded = columns << 1
    folded ^= columns >> (size * 8 - 1)
    numbers = folded.astype(f"<i{size}", copy=False).view(np.uint8).reshape(*columns.shape, size)
    planes: bytes = numbers.transpose(0, 2, 1).tobytes()
    return planes


def _unshuffled(part: memoryview, size: int) -> NDArray[np.uint8]:
    """The bytes of the numbers that ``_shuffled`` has taken apart."""
    planes = np.frombuffer(part, np.uint8).reshape(size, -1)
    folded: NDArray[np.uint64] = np.ascontiguousarray(planes.T).view(f"<u{size}").reshape(-1)
    one = folded.dtype.type(1)
    plain: NDArray[np.uint8] = ((folded >> one) ^ (~(folded & one) + one)).view(np.uint8)
    return plain
