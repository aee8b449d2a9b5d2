"""Values in the bytes of an answer, as columns at once: what a server sends by the thousand is decoded without an object for each.

bytes ──▶ head ──▶ where each value lies, and of which form ──▶ one look per form (numpy) ──▶ Answer
               └── a form, or a head, that is not known here ──▶ None: asyncua decodes the whole

OPC UA Part 6, 5.2.2.17 (DataValue) and 5.2.2.16 (Variant). Known are numbers and truth values alone, nothing at all, with status and
times; not known are text, arrays, and picoseconds, which need asyncua's care.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from collector.sources.opcua.values import UNSTAMPED, Answer

_TICKS_PER_MS = 10_000
_TO_1970_MS = 11_644_473_600_000  # from 1601, where the standard's ticks of 100 ns begin
_A_YEAR_MS = 365 * 86_400_000  # a time in 1601 is none

_VALUE, _STATUS, _SOURCE_TIME, _SERVER_TIME = 0x01, 0x02, 0x04, 0x08
_TRUTH = 1
_TYPES = ("u1", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")
_NUMBERS = dict(enumerate(_TYPES, _TRUTH))  # by the Variant's type: truth value, SByte, Byte, …, Float, Double
_NULL = 0

READ_RESPONSE, PUBLISH_RESPONSE = b"\x01\x00\x7a\x02", b"\x01\x00\x3d\x03"
_DATA_CHANGE = b"\x01\x00\x2b\x03"
_HEAD = Struct("<4sqIIBi")  # type, time, request handle, result, no diagnostics, how many strings
_NOTHING_ADDED = b"\x00\x00\x00"
_COUNT, _HANDLE = Struct("<i"), 4
_MESSAGE = Struct("<BIq")  # more to come, sequence number, time
_PART = Struct("<4sBi")  # type, form, length


@dataclass(frozen=True)
class _Form:
    """How a DataValue lies in its bytes: mask, type and what follows."""

    dtype: np.dtype[np.void]
    kind: int | None
    status: bool
    stamped: bool

    def values(self, rows: NDArray[np.void]) -> NDArray[np.generic] | float:
        """The values in these, NaN where this form has none."""
        if not self.kind:
            return np.nan
        found: NDArray[np.generic] = rows["value"]
        return found != 0 if self.kind == _TRUTH else found


def _forms(before: int) -> dict[bytes, _Form]:
    """The forms by their first bytes (mask, and type where there is a value); ``before``: bytes that precede each."""
    found = {}
    for mask in range(16):
        for kind in (_NULL, *_NUMBERS) if mask & _VALUE else (None,):
            fields: list[tuple[str, str]] = [("handle", "<u4")] if before else []
            fields += [("mask", "u1")] if kind is None else [("mask", "u1"), ("type", "u1")]
            fields += [("value", _NUMBERS[kind])] if kind else []
            fields += [("status", "<u4")] if mask & _STATUS else []
            fields += [("source", "<i8")] if mask & _SOURCE_TIME else []
            fields += [("server", "<i8")] if mask & _SERVER_TIME else []
            first = bytes([mask]) if kind is None else bytes([mask, kind])
            found[first] = _Form(np.dtype(fields), kind, bool(mask & _STATUS), bool(mask & _SOURCE_TIME))
    return found


_READ, _NOTIFIED = _forms(0), _forms(_HANDLE)


@dataclass(frozen=True)
class Publication:
    """What one answer to a publish request tells: in parts, the items' handles and their values; ``ended``: why no more will come."""

    subscription_id: int
    sequence: int
    parts: list[tuple[NDArray[np.uint32], Answer]] = field(default_factory=list)
    ended: str = ""


def read_answer(body: bytes, at: int) -> Answer | None:
    """The values in a ReadResponse that begins here; None where asyncua has to look at it."""
    try:
        at = _after_head(body, at, READ_RESPONSE)
        found = _values(body, at, 0) if at else None
    except (struct.error, ValueError):  # cut short
        return None
    return found[1] if found is not None else None


def publication(body: bytes, at: int) -> Publication | None:
    """What a PublishResponse that begins here tells; None where asyncua has to look at it."""
    try:
        at = _after_head(body, at, PUBLISH_RESPONSE)
        return _publication(body, at) if at else None
    except (struct.error, ValueError):
        return None


def _after_head(body: bytes, at: int, kind: bytes) -> int:
    """Where the answer's own part begins; 0 where this is another answer, or one with a fault or diagnostics."""
    found, _, _, result, diagnostics, strings = _HEAD.unpack_from(body, at)
    at += _HEAD.size
    plain = found == kind and not result and not diagnostics and strings <= 0 and body[at : at + 3] == _NOTHING_ADDED
    return at + 3 if plain else 0


def _publication(body: bytes, at: int) -> Publication | None:
    subscription_id, kept = Struct("<Ii").unpack_from(body, at)
    at += 8 + 4 * max(0, kept)
    _, sequence, _ = _MESSAGE.unpack_from(body, at)
    at += _MESSAGE.size
    (count,) = _COUNT.unpack_from(body, at)
    at += _COUNT.size
    parts = []
    for _ in range(count):
        kind, form, length = _PART.unpack_from(body, at)
        at += _PART.size
        found = _values(body, at, _HANDLE) if kind == _DATA_CHANGE and form == 1 else None
        if found is None:
            return None
        parts.append(found)
        at += length
    return Publication(subscription_id, sequence, parts)


def _values(body: bytes, at: int, before: int) -> tuple[NDArray[np.uint32], Answer] | None:
    """The DataValues of an array that begins here, each after ``before`` bytes: handles (where there are any) and columns."""
    (count,) = _COUNT.unpack_from(body, at)
    at += _COUNT.size
    if count > len(body):  # a byte for each is the least
        return None
    count = max(0, count)
    handles, value = np.zeros(count, np.uint32), np.full(count, np.nan)
    codes, stamped = np.zeros(count, np.uint32), np.full(count, UNSTAMPED, np.int64)
    for where, form, rows in _looks(body, at, count, before):
        if form is None:
            return None
        if before:
            handles[where] = rows["handle"]
        value[where] = form.values(rows)
        if form.status:
            codes[where] = rows["status"]
        if form.stamped:
            stamped[where] = _stamped(rows["source"])
    return handles, Answer.of(value, np.zeros(count, np.uint8), codes, stamped)


Look = tuple[slice | NDArray[np.intp], _Form | None, NDArray[np.void]]


def _looks(body: bytes, at: int, count: int, before: int) -> Iterator[Look]:
    """The values in groups of one form; a form of None where one is not known."""
    forms = _NOTIFIED if before else _READ
    if not count:
        return
    first = _form(body, at + before, forms)
    if first is not None and at + count * first.dtype.itemsize <= len(body):
        rows = np.frombuffer(body, first.dtype, count, at)
        if _alike(rows):
            yield slice(0, count), first, rows
            return
    yield from _mixed(body, at, count, before, forms)


def _form(body: bytes, at: int, forms: dict[bytes, _Form]) -> _Form | None:
    first = body[at : at + 2]
    return forms.get(first if first and first[0] & _VALUE else first[:1])


def _alike(rows: NDArray[np.void]) -> bool:
    """Whether all have the first one's form. Each then ends where the next begins, so that these are all of them."""
    names = rows.dtype.names or ()
    return all(bool((rows[name] == rows[name][0]).all()) for name in ("mask", "type") if name in names)


def _mixed(body: bytes, at: int, count: int, before: int, forms: dict[bytes, _Form]) -> Iterator[Look]:
    places: dict[int, tuple[_Form, list[int], list[int]]] = {}
    for row in range(count):
        form = _form(body, at + before, forms)
        if form is None:
            yield slice(0, 0), None, np.empty(0, np.void)
            return
        _, which, offsets = places.setdefault(id(form), (form, [], []))
        which.append(row)
        offsets.append(at)
        at += form.dtype.itemsize
    if at > len(body):
        raise ValueError("cut short")
    every = np.frombuffer(body, np.uint8)
    for form, which, offsets in places.values():
        size = form.dtype.itemsize
        rows = every[np.array(offsets)[:, None] + np.arange(size)].view(form.dtype)[:, 0]
        yield np.array(which, np.intp), form, rows


def _stamped(ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Source times in UTC ms; ``UNSTAMPED`` for one in the year in which the count begins, which servers send for none."""
    since_1601 = ticks // _TICKS_PER_MS
    return np.where(since_1601 < _A_YEAR_MS, UNSTAMPED, since_1601 - _TO_1970_MS)
