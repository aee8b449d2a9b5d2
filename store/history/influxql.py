"""Questions in InfluxQL, and the tables that InfluxDB answers with (CSV)."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.quantity import PointName
from domain.reading import Readings
from store.history.lines import values_of
from store.history.series import Group, name_of_tags
from store.rollup import Rollup

FIELDS: Final = '"value", "rejected", "quality", "received"'
LAST: Final = '"value", "rejected", last("quality") AS "quality", "received"'  # the last that has a quality: the newest reading
LAST_USABLE: Final = 'last("value") AS "value", "rejected", "quality", "received"'
ROLLUP: Final = 'min("value") AS "low", mean("value") AS "mean", max("value") AS "high", count("value") AS "count"'

_TYPES: Final = {
    **dict.fromkeys(("value", "rejected", "low", "mean", "high"), pa.float64()),
    **dict.fromkeys(("time", "quality", "received", "count"), pa.int64()),
    **dict.fromkeys(("name", "tags"), pa.dictionary(pa.int32(), pa.string())),
}


def select(what: str, group: Group, from_ms: int, to_ms: int, stretches: str = "") -> str:
    """The statement that asks for ``what`` of the points of a group in [from_ms, to_ms), one series a point."""
    measurements = ", ".join(f'"{quantity}"' for quantity in group.quantities)
    subjects = " OR ".join(f"\"subject\" = '{subject}'" for subject in group.subjects)
    of_these = f" AND ({subjects})" if subjects else ""
    return (  # names have no quotes nor backslashes: see series
        f"SELECT {what} FROM {measurements} WHERE \"kind\" = '{group.kind}'{of_these} "  # noqa: S608
        f'AND time >= {from_ms}ms AND time < {to_ms}ms GROUP BY {stretches}"kind", "subject"{" fill(none)" if stretches else ""}'
    )


def table_of(body: bytes) -> pa.Table | None:
    """The answer as a table; None for an empty one. Raises StoreError when it is an error, or cut short."""
    head, _, rest = body.partition(b"\n")
    if not head.strip():
        return None
    columns = head.decode("utf-8", "replace").strip().split(",")
    if columns[:3] != ["name", "tags", "time"]:
        raise StoreError(f"history: {' '.join(body.decode('utf-8', 'replace').split())[:300]}")
    try:
        return pacsv.read_csv(
            pa.BufferReader(rest),
            read_options=pacsv.ReadOptions(column_names=columns),
            convert_options=pacsv.ConvertOptions(column_types=_TYPES, null_values=[""], strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        raise StoreError(f"history: its answer can't be read: {' '.join(str(error).split())[:200]}") from error


def readings_of(table: pa.Table, ids: dict[PointName, int]) -> Readings:
    """The readings in an answer to FIELDS, LAST or LAST_USABLE; series of other points are left out."""
    point = _points(table, ids)
    measured_at = _whole(table, "time", 0)
    received_at = _whole(table, "received", -1)
    code = _whole(table, "quality", 0)
    readings = Readings(
        point,
        measured_at,
        np.where(received_at < 0, measured_at, received_at),
        values_of(code, _floats(table, "value"), _floats(table, "rejected")),
        (code & 0xFF).astype(np.uint8),
    )
    return readings.take(point >= 0)


def rollup_of(table: pa.Table, ids: dict[PointName, int]) -> Rollup:
    """The stretches in an answer to ROLLUP."""
    point = _points(table, ids)
    low, mean, high = (_floats(table, name) for name in ("low", "mean", "high"))
    rollup = Rollup(point, _whole(table, "time", 0), low, mean, high, _whole(table, "count", 0))
    return rollup.take((point >= 0) & (rollup.count > 0))


def instants_of(table: pa.Table) -> NDArray[np.int64]:
    """The times of the rows of an answer."""
    return _whole(table, "time", 0)


def _points(table: pa.Table, ids: dict[PointName, int]) -> NDArray[np.int32]:
    """The id of each row's point, −1 for one that was not asked for."""
    names, tags = (table.column(column).combine_chunks() for column in ("name", "tags"))
    name_of, tags_of = names.dictionary.to_pylist(), tags.dictionary.to_pylist()
    series, row_of = np.unique(np.stack([names.indices.to_numpy(), tags.indices.to_numpy()]), axis=1, return_inverse=True)
    found = []
    for name, tag in series.T.tolist():
        point = name_of_tags(name_of[name], tags_of[tag])
        found.append(-1 if point is None else ids.get(point, -1))
    return np.array(found, np.int32)[row_of.ravel()]


def _whole(table: pa.Table, column: str, missing: int) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = table.column(column).fill_null(missing).to_numpy()
    return numbers


def _floats(table: pa.Table, column: str) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = table.column(column).fill_null(np.nan).to_numpy()
    return numbers
