"""Samples of single fields, as VictoriaMetrics has them, put together into readings again."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.quantity import PointName
from domain.reading import Readings
from store.history.lines import from_bits, values_of

FIELDS: Final = ("value", "rejected", "quality", "received", "bits_high", "bits_low")
_SPAN_MS: Final = 2**43  # instants lie in [−SPAN/2, SPAN/2): 139 years around 1970, in milliseconds


def field_of(metric: str) -> tuple[str, str] | None:
    """Quantity and field of a metric's name; None for one that is none of ours."""
    for field in FIELDS:
        if metric.endswith(f"_{field}"):
            return metric[: -len(field) - 1], field
    return None


class Samples:
    """Samples of the points in ``ids``, by field; each point and revision is a series of its own."""

    def __init__(self, ids: Mapping[PointName, int]) -> None:
        self._ids = ids
        self._series: dict[tuple[int, int], int] = {}
        self._columns: dict[str, list[tuple[int, NDArray[np.int64], NDArray[np.float64]]]] = {field: [] for field in FIELDS}

    def add(self, metric: Mapping[str, str], instants: Sequence[int], values: Sequence[float]) -> None:
        """Takes in the samples of one field of one series; of points that were not asked for, none."""
        found = field_of(metric.get("__name__", ""))
        if found is None:
            return
        quantity, field = found
        point = self._ids.get(PointName(metric.get("kind", ""), metric.get("subject", ""), quantity))
        if point is None:
            return
        series = self._series.setdefault((point, int(metric.get("revision", 0))), len(self._series))
        self._columns[field].append((series, np.array(instants, np.int64), np.array(values, np.float64)))

    def last_of(self, field: str) -> dict[int, int]:
        """The newest instant of this field of each point that has any."""
        points = {series: point for (point, _), series in self._series.items()}
        found: dict[int, int] = {}
        for series, instants, _ in self._columns[field]:
            if len(instants):
                found[points[series]] = max(int(instants.max()), found.get(points[series], int(instants.max())))
        return found

    def column(self, field: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Keys (series and instant in one number) and values of a field."""
        parts = self._columns[field]
        if not parts:
            return np.empty(0, np.int64), np.empty(0)
        keys = [series * _SPAN_MS + instants + _SPAN_MS // 2 for series, instants, _ in parts]
        return np.concatenate(keys), np.concatenate([values for _, _, values in parts])

    def of_keys(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """Point, revision and instant of each key."""
        series = np.array(list(self._series), np.int64).reshape(-1, 2)[keys // _SPAN_MS]
        return series[:, 0].astype(np.int32), series[:, 1], keys % _SPAN_MS - _SPAN_MS // 2


def readings_of(samples: Samples) -> tuple[Readings, NDArray[np.int64]]:
    """The readings, sorted by (point, measured_at), those that were replaced left out; and the revision of each."""
    keys, codes = samples.column("quality")
    keys, first = np.unique(keys, return_index=True)  # sent twice, stored twice
    if not len(keys):
        return Readings.empty(), np.empty(0, np.int64)
    code = codes[first].astype(np.int64)
    value = values_of(code, _beside(keys, samples, "value"), _beside(keys, samples, "rejected"))
    high, low = _beside(keys, samples, "bits_high"), _beside(keys, samples, "bits_low")
    exact = np.isfinite(high) & np.isfinite(low)
    value[exact] = from_bits(high[exact], low[exact])
    point, revision, measured_at = samples.of_keys(keys)
    received = _beside(keys, samples, "received")
    received_at = np.where(np.isfinite(received), received, measured_at).astype(np.int64)
    readings = Readings(point, measured_at, received_at, value, (code & 0xFF).astype(np.uint8))
    order = np.lexsort((revision, measured_at, point))
    readings, revision = readings.take(order), revision[order]
    replaced = np.append((readings.point[1:] == readings.point[:-1]) & (readings.measured_at[1:] == readings.measured_at[:-1]), False)
    return readings.take(~replaced), revision[~replaced]


def _beside(keys: NDArray[np.int64], samples: Samples, field: str) -> NDArray[np.float64]:
    """The field's value at each of these keys (sorted), NaN where it has none."""
    column = np.full(len(keys), np.nan)
    own, values = samples.column(field)
    rows = np.minimum(np.searchsorted(keys, own), len(keys) - 1)
    there = keys[rows] == own
    column[rows[there]] = values[there]
    return column
