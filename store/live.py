"""What watch saw last, for the pages: one table of rooms and one of stations, each file replaced whole at every pass."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from domain.errors import StoreError

ROOMS = pa.schema(
    [
        pa.field("room_id", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),  # compliant, breach, unknown, unjudged (R2)
        pa.field("since_ms", pa.int64()),
        pa.field("value_c", pa.float64()),
        pa.field("measured_at", pa.int64()),
        pa.field("limit_c", pa.float64()),
        pa.field("alarm", pa.string(), nullable=False),  # normal, pending, raised (R3)
        pa.field("alarm_since_ms", pa.int64()),
        pa.field("no_data", pa.bool_(), nullable=False),
    ]
)
STATIONS = pa.schema(
    [
        pa.field("station_id", pa.string(), nullable=False),
        pa.field("heat", pa.string(), nullable=False),  # supplying, stopped, unknown, unjudged (R4)
        pa.field("heat_since_ms", pa.int64()),
        pa.field("comm", pa.string(), nullable=False),  # ok, degraded, lost
        pa.field("comm_since_ms", pa.int64()),
        pa.field("data", pa.string(), nullable=False),  # good, suspect, bad
        pa.field("target_c", pa.float64()),
        pa.field("outage_id", pa.int64()),
        pa.field("planned", pa.bool_(), nullable=False),
    ]
)
_JUDGED_AT = b"judged_at_ms"


@dataclass(frozen=True)
class Live:
    """The state of the town at ``judged_at_ms`` (None: nothing was judged yet). Unknown instants and values are null."""

    judged_at_ms: int | None
    rooms: pa.Table
    stations: pa.Table


def write_live(folder: Path, rooms: Mapping[str, Any], stations: Mapping[str, Any], judged_at_ms: int) -> None:
    """Replaces both tables. Columns (sequences or arrays of one length) by the names of ``ROOMS`` and ``STATIONS``; NaN becomes null.

    Raises KeyError when a column is missing, StoreError when the disk does not take it.
    """
    for name, schema, columns in (("rooms", ROOMS, rooms), ("stations", STATIONS, stations)):
        arrays = [pa.array(columns[field.name], field.type, from_pandas=True) for field in schema]
        table = pa.table(arrays, schema=schema.with_metadata({_JUDGED_AT: str(judged_at_ms)}))
        part = folder / f".{name}.{os.getpid()}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
            part.replace(folder / f"{name}.arrow")
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise StoreError(f"{folder / name}.arrow: {error}") from error


def read_live(folder: Path) -> Live:
    """The state that watch wrote last; empty tables before it has.

    Raises StoreError when a file is there but can't be read.
    """
    rooms, rooms_at = _read(folder / "rooms.arrow", ROOMS)
    stations, stations_at = _read(folder / "stations.arrow", STATIONS)
    instants = [instant for instant in (rooms_at, stations_at) if instant is not None]
    return Live(min(instants) if len(instants) == 2 else None, rooms, stations)


def _read(path: Path, schema: pa.Schema) -> tuple[pa.Table, int | None]:
    try:
        content = path.read_bytes()
        with pa.ipc.open_file(pa.BufferReader(content)) as reader:
            table = reader.read_all()
        return table, int(table.schema.metadata[_JUDGED_AT])
    except FileNotFoundError:
        return schema.empty_table(), None
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: {error}") from error
