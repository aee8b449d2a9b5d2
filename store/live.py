"""What watch saw last, for the pages: one table of rooms and one of stations, each file replaced whole at every pass."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from domain.errors import StoreError
from domain.site import Share
from store.health import node_of

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


def write_live(folder: Path, rooms: Mapping[str, Any], stations: Mapping[str, Any], judged_at_ms: int, mark: str = "") -> None:
    """Replaces both tables (of the node with this ``mark``).

    Columns (sequences or arrays of one length) by the names of ``ROOMS`` and ``STATIONS``; NaN becomes null. Raises KeyError when a
    column is missing, StoreError when the disk does not take it.
    """
    for name, schema, columns in (("rooms", ROOMS, rooms), ("stations", STATIONS, stations)):
        arrays = [pa.array(columns[field.name], field.type, from_pandas=True) for field in schema]
        table = pa.table(arrays, schema=schema.with_metadata({_JUDGED_AT: str(judged_at_ms)}))
        path = folder / f"{name}{mark}.arrow"
        part = folder / f".{name}.{os.getpid()}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
            part.replace(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise StoreError(f"{path}: {error}") from error


def read_live(folder: Path) -> Live:
    """The state that watch (on every node) wrote last; empty tables before it has.

    Raises StoreError when a file is there but can't be read.
    """
    rooms, rooms_at = _read_all(folder, "rooms", ROOMS)
    stations, stations_at = _read_all(folder, "stations", STATIONS)
    return Live(min(*rooms_at, *stations_at) if rooms_at and stations_at else None, rooms, stations)


def forget_other_live(folder: Path, share: Share) -> None:
    """Removes what nodes wrote when the site was dealt out to another number of them."""
    for path in folder.glob("*.arrow"):
        if node_of(path.stem)[1].partition("-of-")[2] != (str(share.count) if share.mark else ""):
            path.unlink(missing_ok=True)


def _read_all(folder: Path, name: str, schema: pa.Schema) -> tuple[pa.Table, list[int]]:
    """One table of all nodes, and the instants at which each judged."""
    found = [_read(path, schema) for path in sorted(folder.glob(f"{name}*.arrow"))]
    instants = [judged_at for _, judged_at in found if judged_at is not None]
    if len(found) == 1:
        return found[0][0], instants
    return pa.concat_tables([schema.empty_table(), *(table.replace_schema_metadata(None) for table, _ in found)]), instants


def _read(path: Path, schema: pa.Schema) -> tuple[pa.Table, int | None]:
    try:
        with pa.memory_map(str(path)) as content, pa.ipc.open_file(content) as reader:
            table = reader.read_all()  # no copy: the file is replaced, never changed
        return table, int(table.schema.metadata[_JUDGED_AT])
    except FileNotFoundError:
        return schema.empty_table(), None
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: {error}") from error
