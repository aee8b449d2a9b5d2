"""What VictoriaMetrics is asked, and how its answers become readings."""

import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.quantity import PointName
from domain.reading import Readings
from store.duplicates import newest
from store.history.endpoint import Endpoint, NotTakenError
from store.history.parts import DAY_MS, FIRST_MS
from store.history.samples import FIELDS, Samples, field_of, readings_of
from store.history.series import Group, SeriesNames, one_of
from store.rollup import Rollup, roll_up

_WINDOWS_MS: Final = (2 * DAY_MS + 600_000, 3 * DAY_MS, 9 * DAY_MS, 40 * DAY_MS, 400 * DAY_MS, 84_000 * DAY_MS)
EARLIEST_MS: Final = 5 * DAY_MS  # a window that reaches back to 1970-01-01 finds nothing at all
_STEPS: Final = 10_000  # stretches asked for in one query: it answers at most 30 000
_WHOLE_ABOVE: Final = 2_000
_LATELY_MS: Final = {"room": 1_800_000}  # so far back a town's newest readings are exported: three reports of a room,
_OFTEN_MS: Final = 120_000  # and some polls of what is polled every few seconds
_MONTH_MS: Final = 30 * DAY_MS
_ROLLUPS: Final = ("min_over_time", "avg_over_time", "max_over_time", "count_over_time")


class Metrics:
    """The series of one ``db`` at one address."""

    def __init__(self, endpoint: Endpoint, db: str, names: SeriesNames) -> None:
        self._endpoint = endpoint
        self._db = db
        self._names = names

    def close(self) -> None:
        """Gives the connections back."""
        self._endpoint.close()

    def stored(self, points: NDArray[np.int32], from_ms: int, to_ms: int) -> tuple[Readings, NDArray[np.int64]]:
        """The readings of these points in [from_ms, to_ms), sorted, those replaced left out; and the revision of each."""
        from_ms = max(from_ms, FIRST_MS)
        if not len(points) or from_ms >= to_ms:
            return Readings.empty(), np.empty(0, np.int64)
        ids = self._names.ids(points)
        samples = Samples(ids)
        for group in self._names.groups(points):
            self._export(group, from_ms, to_ms, samples)
        return readings_of(samples)

    def newest_instants(self, points: NDArray[np.int32]) -> Readings:
        """When each of these points was measured last; all else of these readings means nothing."""
        end_ms = time.time_ns() // 1_000_000 + 2 * DAY_MS  # it takes nothing that is newer
        ids = self._names.ids(points)
        found: dict[int, int] = {}
        for group in self._names.groups(points, whole_above=_WHOLE_ABOVE):
            for metric, last_s in self._instant("tlast_over_time", group, ("quality",), end_ms, _WINDOWS_MS[-1]):
                named = field_of(metric["__name__"])
                point = ids.get(PointName(metric.get("kind", ""), metric.get("subject", ""), named[0])) if named else None
                if point is not None:
                    found[point] = max(found.get(point, FIRST_MS), round(last_s * 1000))
        return Readings.of(list(found), list(found.values()), np.zeros(len(found)))

    def latest(self, points: NDArray[np.int32], before_ms: int, *, usable: bool) -> Readings:
        """The newest (usable) reading of each point measured before this instant, sorted by point."""
        found = [self._lately(points, before_ms, usable=usable)] if len(points) > _WHOLE_ABOVE else [Readings.empty()]
        missing = np.setdiff1d(points, found[0].point, assume_unique=True)
        for window_ms in _WINDOWS_MS:
            if not len(missing):
                break
            last = self._last(missing, before_ms, window_ms, usable=usable)
            found.append(last)
            missing = np.setdiff1d(missing, last.point, assume_unique=True)
        return newest(Readings.concat(found))

    def rollup(self, points: NDArray[np.int32], from_ms: int, to_ms: int, step_ms: int) -> Rollup:
        """Whole stretches of [from_ms, to_ms). Where a reading was replaced, from the readings themselves."""
        ids = self._names.ids(points)
        parts: list[Rollup] = []
        replaced: dict[int, set[int]] = {}
        for start_ms in range(from_ms, to_ms, _STEPS * step_ms):
            stop_ms = min(to_ms, start_ms + _STEPS * step_ms)
            for group in self._names.groups(points):
                for quantity in group.quantities:
                    one = Group(group.kind, (quantity,), group.subjects)
                    parts.append(self._stretches(one, ids, (start_ms, stop_ms, step_ms), replaced))
        found = Rollup.concat(parts)
        for point, instants in replaced.items():
            found = found.take(~((found.point == point) & np.isin(found.at, list(instants))))
            again = [roll_up(self.stored(np.array([point], np.int32), at, at + step_ms)[0], at, at + step_ms, step_ms) for at in instants]
            found = Rollup.concat([found, *again])
        return found

    def label(self, name: str, metric: str, from_ms: int = 0, to_ms: int = 2**42) -> list[str]:
        """The values that this label has on series of this metric (a regular expression) in [from_ms, to_ms]."""
        query = {"match[]": f'{{__name__=~"{metric}",db="{self._db}"}}', "start": _seconds(from_ms), "end": _seconds(to_ms)}
        return [str(value) for document in self._documents(f"/api/v1/label/{name}/values", query) for value in document["data"]]

    def span(self, from_ms: int, to_ms: int) -> tuple[int, int] | None:
        """The first and the last day of [from_ms, to_ms) that has readings, as instants; None when none has."""
        from_ms = max(from_ms, EARLIEST_MS)  # 0 would mean any time
        months = [at for at in range(from_ms, to_ms, _MONTH_MS) if self._has_any(at, at + _MONTH_MS)]
        if not months:
            return None
        days = [at for month in (months[0], months[-1]) for at in range(month, month + _MONTH_MS, DAY_MS) if self._has_any(at, at + DAY_MS)]
        return days[0], days[-1] + DAY_MS - 1

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _has_any(self, from_ms: int, to_ms: int) -> bool:
        return bool(self.label("db", ".+_quality", from_ms, to_ms - 1))

    def _stretches(self, group: Group, ids: dict[PointName, int], span: tuple[int, int, int], replaced: dict[int, set[int]]) -> Rollup:
        """The stretches of one quantity; ``replaced`` learns of those in which a reading was replaced."""
        start_ms, stop_ms, step_ms = span
        functions = ", ".join(f'"{function}"' for function in _ROLLUPS)
        # A window reaches from (excluded) to (included): one millisecond earlier it is ours.
        query = {
            "query": f"aggr_over_time(({functions}), {self._selector(group, ('value',))}[{step_ms}ms])",
            "start": _seconds(start_ms + step_ms - 1),
            "end": _seconds(stop_ms - 1),
            "step": f"{step_ms}ms",
        }
        columns: dict[int, dict[str, dict[int, float]]] = {}
        for series in self._results("/api/v1/query_range", query):
            metric = series["metric"]
            point = ids.get(PointName(metric.get("kind", ""), metric.get("subject", ""), group.quantities[0]))
            if point is None:
                continue
            values = {round(at_s * 1000) + 1 - step_ms: float(text) for at_s, text in series["values"]}
            if "revision" in metric:
                replaced.setdefault(point, set()).update(values)
            else:
                columns.setdefault(point, {})[metric["rollup"]] = values
        return Rollup.concat([_rollup(point, values) for point, values in sorted(columns.items())])

    def _export(self, group: Group, from_ms: int, to_ms: int, samples: Samples) -> None:
        """Adds the samples of [from_ms, to_ms)."""
        query = {"match[]": self._selector(group, FIELDS), "start": _seconds(from_ms), "end": _seconds(min(to_ms, 2**42) - 1)}
        for series in self._documents("/api/v1/export", query):
            samples.add(series["metric"], series["timestamps"], series["values"])

    def _lately(self, points: NDArray[np.int32], before_ms: int, *, usable: bool) -> Readings:
        """The newest (usable) readings of those points that spoke lately. An export costs a fifth of asking for each one's last value."""
        found = []
        for group in self._names.groups(points, whole_above=_WHOLE_ABOVE):
            samples = Samples(self._names.ids(points))
            self._export(group, max(FIRST_MS, before_ms - _LATELY_MS.get(group.kind, _OFTEN_MS)), before_ms, samples)
            readings, _ = readings_of(samples)
            found.append(newest(readings.usable() if usable else readings))
        return newest(Readings.concat(found))

    def _last(self, points: NDArray[np.int32], before_ms: int, window_ms: int, *, usable: bool) -> Readings:
        """The newest (usable) readings within the window before this instant."""
        samples = Samples(self._names.ids(points))
        for group in self._names.groups(points, whole_above=_WHOLE_ABOVE):
            instants = {}
            for metric, last_s in self._instant("tlast_over_time", group, FIELDS, before_ms - 1, window_ms):
                instants[tuple(sorted(metric.items()))] = round(last_s * 1000)
            for metric, value in self._instant("last_over_time", group, FIELDS, before_ms - 1, window_ms):
                at = instants.get(tuple(sorted(metric.items())))
                if at is not None:
                    samples.add(metric, [at], [value])
        readings, _ = readings_of(samples)
        if not usable:
            return newest(readings)
        found = newest(readings.usable())
        seen = set(zip(found.point.tolist(), found.measured_at.tolist(), strict=True))
        # Behind a newer bad reading only the instant of the usable one is known: the rest is read.
        hidden = [(point, at) for point, at in samples.last_of("value").items() if (point, at) not in seen]
        return newest(Readings.concat([found, *(self.stored(np.array([point], np.int32), at, at + 1)[0].usable() for point, at in hidden)]))

    def _instant(
        self, function: str, group: Group, fields: tuple[str, ...], at_ms: int, window_ms: int
    ) -> Iterator[tuple[dict[str, str], float]]:
        """What the function says of each series over the window that ends at this instant.

        Of a whole town field by field: it looks at no more than 300 000 series for one answer (-search.maxUniqueTimeseries).
        """
        window_ms = min(window_ms, at_ms - EARLIEST_MS + DAY_MS)
        for some in (fields,) if group.subjects else ((field,) for field in fields):
            query = f"{function}({self._selector(group, some)}[{window_ms}ms]) keep_metric_names"
            for series in self._results("/api/v1/query", {"query": query, "time": _seconds(at_ms)}):
                yield series["metric"], float(series["value"][1])

    def _selector(self, group: Group, fields: tuple[str, ...]) -> str:
        subjects = f',subject=~"{one_of(group.subjects)}"' if group.subjects else ""
        return f'{{__name__=~"({one_of(group.quantities)})_({"|".join(fields)})",db="{self._db}",kind="{group.kind}"{subjects}}}'

    def _results(self, path: str, form: dict[str, str]) -> Iterator[dict[str, Any]]:
        for document in self._documents(path, {**form, "nocache": "1"}):
            yield from document["data"]["result"]

    def _documents(self, path: str, form: dict[str, str]) -> Iterator[Any]:
        """The answer's documents, one a line."""
        try:
            lines = self._endpoint.ask(path, form).splitlines()
            yield from map(orjson.loads, lines)
        except NotTakenError as error:
            raise StoreError(f"history: {error.words}") from error
        except orjson.JSONDecodeError as error:
            raise StoreError(f"history: its answer can't be read: {error}") from error


def _rollup(point: int, values: dict[str, dict[int, float]]) -> Rollup:
    """The stretches of one point, from what each function said of each."""
    low, mean, high, count = (values.get(function, {}) for function in _ROLLUPS)
    at = sorted(count.keys() & low.keys() & mean.keys() & high.keys())
    means = [np.array([column[instant] for instant in at]) for column in (low, mean, high)]
    counts = np.array([round(count[instant]) for instant in at], np.int64)
    return Rollup(np.full(len(at), point, np.int32), np.array(at, np.int64), means[0], means[1], means[2], counts)


def _seconds(instant_ms: int) -> str:
    return f"{instant_ms / 1000:.3f}"
