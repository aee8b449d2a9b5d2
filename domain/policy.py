"""The policy (R1): effective-dated tables of limits, season, outage duties and deadlines, and the timeline they make.

The version in force *at the instant judged* applies, so a change of the law never rewrites the past.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from math import isnan
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from domain.deadlines import DeadlineTable

DAY_S = 86_400
DAY_FROM_S, DAY_TO_S = 6 * 3600, 21 * 3600  # what counts as day in every figure, for every class of premises (R2)


@dataclass(frozen=True)
class Window:
    """Local time of day [from_s, to_s) in seconds since midnight, and the limit in °C that holds in it."""

    from_s: int
    to_s: int
    limit_c: float


@dataclass(frozen=True)
class Refund:
    """One tier of what users get back: for an outage of at least ``outage_h`` hours, or for rooms below ``below_c`` (one of the two).

    ``share_pct`` is per cent of the day's charge. Keepwarm states it; it books nothing.
    """

    share_pct: float
    outage_h: float | None = None
    below_c: float | None = None


@dataclass(frozen=True)
class PolicyVersion:
    """The rules in force from local midnight of ``valid_from``. ``season`` is ((month, day), (month, day)), both days inside."""

    valid_from: date
    season: tuple[tuple[int, int], tuple[int, int]] | None
    schedules: Mapping[str, tuple[Window, ...]]
    notice_after_h: float = 8.0
    warn_after_h: tuple[float, ...] = (4.0, 6.0, 7.0)
    deadlines: str = "A"
    refunds: tuple["Refund", ...] = ()

    @property
    def outage_duties(self) -> tuple[tuple[float, str], ...]:
        """What an outage brings with it, as (hours from its earliest start, action), in order: warn, notice, refund."""
        duties = [(hours, "warn") for hours in self.warn_after_h] + [(self.notice_after_h, "notice")]
        duties += [(refund.outage_h, "refund") for refund in self.refunds if refund.outage_h is not None]
        return tuple(sorted(duties))

    def in_season(self, day: date) -> bool:
        """Whether this local day belongs to the heating season (R1)."""
        if self.season is None:
            return True
        first, last = self.season
        today = (day.month, day.day)
        if first <= last:
            return first <= today <= last
        return today >= first or today <= last

    def limit_c(self, table: str, second_of_day: int) -> float:
        """The limit in °C of this table at a local time of day. Raises KeyError for an unknown table."""
        for window in self.schedules[table]:
            if window.from_s <= second_of_day < window.to_s:
                return window.limit_c
        raise AssertionError("a validated schedule covers the whole day")


@dataclass(frozen=True)
class Timeline:
    """The limit a class of premises is held to, as steps: ``limit_c[k]`` holds from ``at[k]`` to ``at[k + 1]`` (UTC ms).

    A NaN limit means that nothing is judged (outside the season). ``day[k]`` tells local [06:00, 21:00).
    """

    at: NDArray[np.int64]
    limit_c: NDArray[np.float64]
    day: NDArray[np.bool_]


@dataclass(frozen=True)
class Policy:
    """A policy file's versions, in order of ``valid_from``; ``content`` is the file's bytes, ``sha256`` their hash.

    ``deadline_tables`` holds the service deadlines (R7) that its versions name.
    """

    name: str
    versions: tuple[PolicyVersion, ...]
    sha256: str
    content: bytes = b""
    deadline_tables: Mapping[str, DeadlineTable] = field(default_factory=dict)

    def version_at(self, day: date) -> PolicyVersion | None:
        """The version in force on this local day, None before the first."""
        found = bisect_right(self.versions, day, key=lambda version: version.valid_from)
        return self.versions[found - 1] if found else None

    def deadlines_at(self, day: date) -> DeadlineTable | None:
        """The service deadlines in force on this local day (R7), None before the first version."""
        version = self.version_at(day)
        return None if version is None else self.deadline_tables.get(version.deadlines)

    def timeline(self, table: str | None, zone: ZoneInfo, from_ms: int, to_ms: int) -> Timeline:
        """The steps of the limit over [from_ms, to_ms), exact to the second also where the zone's clocks are put forward or back.

        Without a table the limit is 0 in season: what is left is the season itself. Where a version has no such table there was no
        such contract, and nothing is judged.
        """
        at: list[int] = []
        limits: list[float] = []
        days: list[bool] = []
        for instant_ms in self._candidates(table, zone, from_ms, to_ms):
            local = datetime.fromtimestamp(instant_ms / 1000, zone)
            second = local.hour * 3600 + local.minute * 60 + local.second
            limit_c = self._limit_c(table, local.date(), second)
            day = DAY_FROM_S <= second < DAY_TO_S
            same = bool(at) and days[-1] == day and (limits[-1] == limit_c or (isnan(limits[-1]) and isnan(limit_c)))
            if not same:
                at.append(instant_ms)
                limits.append(limit_c)
                days.append(day)
        return Timeline(np.array(at, np.int64), np.array(limits, np.float64), np.array(days, np.bool_))

    def seasons(self, zone: ZoneInfo, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
        """The spans of [from_ms, to_ms) that lie in season, as (from, to) in UTC ms, in order and apart."""
        steps = self.timeline(None, zone, from_ms, to_ms)
        spans: list[tuple[int, int]] = []
        for start, stop, limit_c in zip(steps.at.tolist(), [*steps.at[1:].tolist(), to_ms], steps.limit_c.tolist(), strict=True):
            if isnan(limit_c):
                continue
            if spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], stop)
            else:
                spans.append((start, stop))
        return spans

    def _limit_c(self, table: str | None, day: date, second_of_day: int) -> float:
        version = self.version_at(day)
        if version is None or not version.in_season(day) or (table is not None and table not in version.schedules):
            return float("nan")
        return 0.0 if table is None else version.limit_c(table, second_of_day)

    def _candidates(self, table: str | None, zone: ZoneInfo, from_ms: int, to_ms: int) -> list[int]:
        """Every instant of [from_ms, to_ms) at which the limit may step, and from_ms itself."""
        edges_s = {0, DAY_FROM_S, DAY_TO_S}
        for version in self.versions:
            edges_s.update(window.from_s for window in version.schedules.get(table or "", ()))
        instants = {from_ms}
        for day in _local_days(zone, from_ms, to_ms):
            for edge_s in edges_s:
                wall = datetime.combine(day, time(edge_s // 3600, edge_s // 60 % 60, edge_s % 60))
                for fold in (0, 1):
                    instants.add(_utc_ms(wall.replace(tzinfo=zone, fold=fold)))
        instants.update(_clock_changes(zone, from_ms, to_ms))
        return sorted(instant for instant in instants if from_ms <= instant < to_ms)


def _utc_ms(moment: datetime) -> int:
    return round(moment.timestamp()) * 1000


def _local_days(zone: ZoneInfo, from_ms: int, to_ms: int) -> Iterator[date]:
    day = datetime.fromtimestamp(from_ms / 1000, zone).date() - timedelta(days=1)
    last = datetime.fromtimestamp(to_ms / 1000, zone).date() + timedelta(days=1)
    while day <= last:
        yield day
        day += timedelta(days=1)


def _clock_changes(zone: ZoneInfo, from_ms: int, to_ms: int) -> Iterator[int]:
    """The instants in [from_ms, to_ms) at which the zone's offset from UTC changes."""

    def offset(second: int) -> timedelta | None:
        return datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()

    last_s = -(-to_ms // 1000)
    start_s = from_ms // 1000
    while start_s < last_s:
        stop_s = min(start_s + DAY_S, last_s)
        before = offset(start_s)
        if offset(stop_s) != before:
            low, high = start_s, stop_s
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            yield high * 1000
        start_s = stop_s
