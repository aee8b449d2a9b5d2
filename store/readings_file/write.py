"""Readings → a readings file, a portion after the other: what ``read_readings`` reads comes back the same.

CSV carries times in ISO 8601 with the site's offset and the shortest decimals that are the same number; Parquet every bit.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from gzip import GzipFile
from typing import IO, Any, Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.reading import FIRST_BAD, Quality, Readings
from store.site_folder.instants import offsets_min

FORMS: Final = ("csv", "csv.gz", "parquet")
COLUMNS: Final = ("point", "measured_at", "value", "quality", "received_at")
_AWKWARD: Final = re.compile(r'[",\r\n]')
_LINES: Final = 100_000  # made at once: 10 MB
_WORDS: Final = pa.array(
    [Quality(code).name.lower() if code in set(Quality) else ("suspect", "bad")[code >= FIRST_BAD] for code in range(256)]
)
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
_TIME: Final = pa.timestamp("ms", "UTC")
_PARQUET: Final = pa.schema(
    [("point", _TEXT), ("measured_at", _TIME), ("value", pa.float64()), ("quality", _TEXT), ("received_at", _TIME)],
)


class ReadingsWriter(Protocol):
    """Where portions of readings are put."""

    def write(self, readings: Readings) -> None:
        """Adds the readings to the file. Raises OSError when it can't be written."""


@contextmanager
def readings_writer(sink: IO[bytes], form: str, name: Callable[[int], str], zone: ZoneInfo) -> Iterator[ReadingsWriter]:
    """Writes to ``sink`` in one of ``FORMS``; the file is whole when the block ends.

    ``name`` gives the name of a point, ``zone`` the offset of the times in CSV. Raises OSError when it can't be written.
    """
    if form == "parquet":
        import pyarrow.parquet as pq

        with pq.ParquetWriter(sink, _PARQUET, compression="zstd", write_page_checksum=True) as file:
            yield _Parquet(file, name)
        return
    with GzipFile(fileobj=sink, mode="wb", compresslevel=6) if form == "csv.gz" else nullcontext(sink) as stream:
        stream.write((",".join(COLUMNS) + "\n").encode())
        yield _Csv(stream, name, zone)


class _Parquet:
    """A row group for each portion."""

    def __init__(self, file: Any, name: Callable[[int], str]) -> None:
        self._file = file
        self._name = name

    def write(self, readings: Readings) -> None:
        """Adds one row group."""
        if len(readings):
            point, quality = _points(readings.point, self._name), pa.DictionaryArray.from_arrays(readings.quality.astype(np.int32), _WORDS)
            times = [pa.array(column, pa.int64()).cast(_TIME) for column in (readings.measured_at, readings.received_at)]
            self._file.write_table(pa.table([point, times[0], pa.array(readings.value), quality, times[1]], schema=_PARQUET))


class _Csv:
    """Lines of text, made by Arrow."""

    def __init__(self, stream: IO[bytes] | GzipFile, name: Callable[[int], str], zone: ZoneInfo) -> None:
        self._stream = stream
        self._name = name
        self._zone = zone

    def write(self, readings: Readings) -> None:
        """Adds the lines."""
        for at in range(0, len(readings), _LINES):
            self._stream.write(self._text(readings.take(slice(at, at + _LINES))))

    def _text(self, readings: Readings) -> pa.Buffer:
        import pyarrow.csv as pacsv

        points = _points(readings.point, self._name)
        columns = [
            points.dictionary_decode(),
            _texts(readings.measured_at, self._zone),
            # Whatever is no number is left empty: its quality says why.
            pa.array(readings.value, mask=~np.isfinite(readings.value)),
            _WORDS.take(pa.array(readings.quality)),
            _texts(readings.received_at, self._zone),
        ]
        awkward = any(_AWKWARD.search(name) for name in points.dictionary.to_pylist())
        options = pacsv.WriteOptions(include_header=False, quoting_style="needed" if awkward else "none")
        text = pa.BufferOutputStream()
        pacsv.write_csv(pa.table(columns, names=list(COLUMNS)), text, options)
        return text.getvalue()


def _points(point: NDArray[np.int32], name: Callable[[int], str]) -> pa.DictionaryArray:
    """The names of these points, each once."""
    ids, index = np.unique(point, return_inverse=True)
    return pa.DictionaryArray.from_arrays(index.astype(np.int32), pa.array([name(number) for number in ids.tolist()], pa.string()))


def _texts(instants: NDArray[np.int64], zone: ZoneInfo) -> pa.Array:
    """The instants in ISO 8601, local with offset, to the millisecond."""
    import pyarrow.compute as pc

    minutes = offsets_min(instants, zone)
    local = instants + minutes * 60_000
    days, day = np.unique(local // 86_400_000, return_inverse=True)
    known, offset = np.unique(minutes, return_inverse=True)
    dates = [f"{np.datetime64(number, 'D')}T" for number in days.tolist()]
    ends = [f".{ms:03d}{_offset(minute)}" for minute in known.tolist() for ms in range(1000)]
    clocks = _clocks().take(pa.array(local // 1000 % 86_400))
    return pc.binary_join_element_wise(
        pa.array(dates).take(pa.array(day)), clocks, pa.array(ends).take(pa.array(offset * 1000 + local % 1000)), ""
    )


@cache
def _clocks() -> pa.Array:
    """Every second of a day as it is written."""
    return pa.array([f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}" for second in range(86_400)])


def _offset(minute: int) -> str:
    return f"{'-' if minute < 0 else '+'}{abs(minute) // 60:02d}:{abs(minute) % 60:02d}"
