"""R1 and R2 read word by word, without a thought for speed: what ``keepwarm audit`` is compared with.

Written from the rules and the contract alone: whole milliseconds, fractions for kelvins, one piece of time after another.

    rows ──▶ stands of a room ──▶ cut at every edge there may be ──▶ each piece: judged? known? below the limit? ──▶ sums
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

QUARTER_MS = 900_000  # every edge of a schedule here, and every offset of a zone today, is a multiple of it
FOR_EVER_MS = 1 << 60
AT_THE_LIMIT = Fraction(1, 10**9)
DAY_FROM, DAY_TO = time(6), time(21)
SUSPECT = [
    *("suspect", "suspect_range", "rate", "return_above_supply", "no_flow", "counter_backwards"),
    *("clock", "below_secondary", "feedback", "outdoor", "pressure"),
]
USED = ("", "good", *SUSPECT)
SECONDS = ("judged_s", "compliant_s", "breach_s", "unknown_s", "breach_day_s", "breach_night_s")
SUMS = (*SECONDS, "deficit_kh", "readings", "readings_breach")


@dataclass(frozen=True)
class Row:
    """A row of a readings file: instants in UTC ms, None where the cell is empty."""

    room: str
    measured_ms: int
    value: float | None
    quality: str = ""
    received_ms: int | None = None


@dataclass(frozen=True)
class Home:
    """A row of a rooms file."""

    room: str
    building: str | None = None
    station: str | None = None
    schedule: str = "residential"
    offset_k: float = 0.0
    hold_min: float | None = None


@dataclass(frozen=True)
class Out:
    """A row of an exclusions file; None is an open end."""

    room: str
    from_ms: int
    to_ms: int | None


@dataclass(frozen=True)
class Asked:
    """What an audit is asked."""

    rows: Sequence[Row]
    homes: Sequence[Home]
    outs: Sequence[Out]
    policy: str  # the file's text
    zone: str
    hold_min: float = 30.0
    from_ms: int | None = None
    to_ms: int | None = None
    by: str = "room"


@dataclass
class Tally:
    """Sums over pieces of time, in ms and K·ms."""

    ms: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SECONDS, 0))
    deficit: Fraction = Fraction(0)
    weighted: Fraction = Fraction(0)
    values: list[Fraction] = field(default_factory=list)
    readings: int = 0
    readings_breach: int = 0
    run_ms: int = 0
    longest_ms: int = 0

    @property
    def known_ms(self) -> int:
        """Judged time on which a reading stands."""
        return self.ms["compliant_s"] + self.ms["breach_s"]

    def sums(self) -> dict[str, Any]:
        """The contract's sums."""
        seconds = {key: Fraction(ms, 1000) for key, ms in self.ms.items()}
        return {**seconds, "deficit_kh": self.deficit / 3_600_000, "readings": self.readings, "readings_breach": self.readings_breach}


def naive_audit(asked: Asked) -> dict[str, Any]:
    """The answer's from, to (UTC ms), rooms, totals and groups, times in seconds as fractions."""
    used = [row for row in asked.rows if row.quality in USED and row.value is not None and isfinite(row.value)]
    homes = {home.room: home for home in asked.homes}
    for row in asked.rows:  # bad ones only: the room is there, and unknown
        homes.setdefault(row.room, Home(row.room))
    stands = {room: list(_stands(home, used, asked.hold_min)) for room, home in homes.items()}
    all_stands = [stand for one in stands.values() for stand in one]
    start = asked.from_ms if asked.from_ms is not None else min((begin for begin, _, _ in all_stands), default=None)
    end = asked.to_ms if asked.to_ms is not None else max((end for _, end, _ in all_stands), default=None)
    if start is not None and end is not None and end < start:  # the end not asked for gives way
        start, end = (start, start) if asked.to_ms is None else (end, end)
    rooms, parts = [], {}
    for room, home in homes.items():
        whole = Tally()
        if start is not None and end is not None:
            for day, tally in _judge(asked, home, stands[room], start, end, whole).items():
                parts[room, day] = tally
        rooms.append(_figures(home, whole))
    answer = {"from": start, "to": end, "rooms": rooms, "totals": totals(rooms)}
    if asked.by == "day":
        days = sorted({day for _, day in parts})
        answer["groups"] = [
            {"key": str(day), **totals([_with_rates(part.sums()) for (_, at), part in parts.items() if at == day])} for day in days
        ]
    elif asked.by != "room":
        column = f"{asked.by}_id"
        keys = {room[column] for room in rooms}
        answer["groups"] = [{"key": key, **totals([room for room in rooms if room[column] == key])} for key in keys]
    return answer


def _stands(home: Home, used: Iterable[Row], hold_min: float) -> Iterable[tuple[int, int, Fraction]]:
    """(begin, end, value) of each reading of a room that counts."""
    last: dict[int, Row] = {}
    for row in used:
        if row.room == home.room:
            before = last.get(row.measured_ms)
            if before is None or _received(row) >= _received(before):
                last[row.measured_ms] = row
    hold_ms = round((home.hold_min if home.hold_min is not None else hold_min) * 60_000)
    for begin, following in pairwise([*sorted(last), FOR_EVER_MS]):
        end = min(following, begin + hold_ms)
        yield begin, end, Fraction(last[begin].value or 0) + Fraction(home.offset_k)


def _received(row: Row) -> int:
    return row.measured_ms if row.received_ms is None else row.received_ms


def _judge(
    asked: Asked, home: Home, stands: Sequence[tuple[int, int, Fraction]], start: int, end: int, whole: Tally
) -> Mapping[date, Tally]:
    """Adds up a room's pieces, in ``whole`` and by local day."""
    outs = [out for out in asked.outs if out.room == home.room]
    days: dict[date, Tally] = {}
    edges = {start, end, *range(start - start % QUARTER_MS, end, QUARTER_MS)}
    edges |= {edge for begin, stop, _ in stands for edge in (begin, stop)}
    edges |= {edge for out in outs for edge in (out.from_ms, out.to_ms) if edge is not None}
    for begin, stop in pairwise(sorted(edge for edge in edges if start <= edge <= end)):
        local = local_time(begin, asked.zone)
        standing = next((value for since, until, value in stands if since <= begin < until), None)
        limit = None if any(_holds(out, begin) for out in outs) else limit_at(local, asked.policy, home.schedule)
        for tally in (whole, days.setdefault(local.date(), Tally())):
            _add(tally, stop - begin, local.time(), limit, standing)
        if limit is not None and any(since == begin for since, _, _ in stands):
            for tally in (whole, days[local.date()]):
                tally.readings += 1
                tally.readings_breach += standing is not None and below(standing, limit)
    return days


def _add(tally: Tally, ms: int, clock: time, limit: Fraction | None, value: Fraction | None) -> None:
    if limit is None or value is None or not below(value, limit):
        tally.run_ms = 0
    if limit is None:
        return
    tally.ms["judged_s"] += ms
    if value is None:
        tally.ms["unknown_s"] += ms
        return
    tally.values.append(value)
    tally.weighted += value * ms
    if not below(value, limit):
        tally.ms["compliant_s"] += ms
        return
    tally.ms["breach_s"] += ms
    tally.ms["breach_day_s" if DAY_FROM <= clock < DAY_TO else "breach_night_s"] += ms
    tally.deficit += (limit - value) * ms
    tally.run_ms += ms
    tally.longest_ms = max(tally.longest_ms, tally.run_ms)


def below(value: Fraction, limit: Fraction) -> bool:
    """A breach; within 1e-9 K a value is at the limit."""
    return value < limit - AT_THE_LIMIT


def _holds(out: Out, at_ms: int) -> bool:
    return out.from_ms <= at_ms and (out.to_ms is None or at_ms < out.to_ms)


@cache
def local_time(at_ms: int, zone: str) -> datetime:
    """What the clock on the wall shows, without its zone (aware times of two zones are equal, and would share a limit)."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@cache
def _versions(policy: str) -> list[dict[str, Any]]:
    return sorted(tomllib.loads(policy)["version"], key=lambda version: version["valid_from"])


@cache
def limit_at(local: datetime, policy: str, schedule: str) -> Fraction | None:
    """The limit in force at a local time; None outside the season."""
    version = [one for one in _versions(policy) if one["valid_from"] <= local.date()][-1]
    season, today = version["season"], f"{local:%m-%d}"
    if season != "always":
        first, last = season["from"], season["to"]
        if not (first <= today <= last if first <= last else today >= first or today <= last):
            return None
    now = f"{local:%H:%M}"
    for window, limit in version["schedule"][schedule].items():
        first, last = window.split("-")
        if first <= now < last if first < last else now >= first or now < last:
            return Fraction(limit)
    raise AssertionError(f"{schedule} has no window at {now}")


def _figures(home: Home, tally: Tally) -> dict[str, Any]:
    known = tally.known_ms
    return {
        "room_id": home.room, "building_id": home.building, "station_id": home.station,
        **_with_rates(tally.sums()),
        "longest_breach_s": Fraction(tally.longest_ms, 1000),
        "min_c": min(tally.values, default=None), "max_c": max(tally.values, default=None),
        "mean_c": tally.weighted / known if known else None,
    }  # fmt: skip


def _with_rates(sums: Mapping[str, Any]) -> dict[str, Any]:
    known, judged = sums["compliant_s"] + sums["breach_s"], sums["judged_s"]
    return {**sums, "compliance_rate": sums["compliant_s"] / known if known else None, "coverage": known / judged if judged else None}


def totals(rooms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums over rooms, their ratios, and the households' rate."""
    known = [room for room in rooms if room["coverage"] is not None and room["coverage"] >= Fraction(1, 2)]
    good = [room for room in known if not room["breach_s"]]
    return {
        **_with_rates({key: sum((room[key] for room in rooms), Fraction(0)) for key in SUMS}),
        "rooms": len(rooms), "rooms_known": len(known), "rooms_without_breach": len(good),
        "households_rate": Fraction(len(good), len(known)) if known else None,
    }  # fmt: skip
