"""A policy file as it is written: read into a ``Policy``, every mistake in it found at once (R1).

TOML document ─▶ season, outage duties, schedules, refunds of each version ─▶ Policy
                 every fault: file, key, value, what would be right ─▶ ConfigError
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from hashlib import sha256
from math import isfinite
from typing import Any

from domain.errors import ConfigError, Mistake
from domain.policy import DAY_S, Policy, PolicyVersion, Refund, Window


def parse_policy(document: Mapping[str, Any], content: bytes, file: str) -> Policy:
    """The policy in a TOML document. ``content`` is the file's bytes, ``file`` its name for messages.

    Raises ConfigError with every mistake found.
    """
    reader = _PolicyReader(file)
    policy = replace(reader.read(document, sha256(content).hexdigest()), content=content)
    if reader.mistakes:
        raise ConfigError(*reader.mistakes)
    return policy


def clock_s(text: str) -> int:
    """Seconds since midnight of ``HH:MM`` or ``HH:MM:SS``, up to 24:00.

    Raises ValueError when the text is not a time of day.
    """
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(len(part) == 2 and part.isascii() and part.isdigit() for part in parts):
        raise ValueError(text)
    hour, minute, second = (int(part) for part in (*parts, "00")[:3])
    total = hour * 3600 + minute * 60 + second
    if minute > 59 or second > 59 or total > DAY_S:
        raise ValueError(text)
    return total


CLASSES = ("residential", "bungalow")  # the classes of premises that need no contract (R1)
_MIDSUMMER = (7, 15)
HOURS_MOST = 8_760
_VERSION_KEYS = {"valid_from", "season", "outage", "deadlines", "schedule", "refund"}


class _PolicyReader:
    """Reads a policy document and collects every mistake in it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []

    def wrong(self, key: str, value: object, remedy: str) -> None:
        self.mistakes.append(Mistake(self.file, remedy, key=key, value=None if value is None else str(value)))

    def read(self, document: Mapping[str, Any], digest: str) -> Policy:
        for key in document.keys() - {"name", "version"}:
            self.wrong(key, document[key], "no such key; a policy has name and [[version]] tables")
        name = document.get("name")
        if not isinstance(name, str) or not name:
            self.wrong("name", name, 'a policy needs a name, such as name = "default"')
            name = ""
        tables = document.get("version")
        if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
            self.wrong(
                "version", None, "a policy needs at least one [[version]] table, in two brackets each, and nothing else of this name"
            )
            tables = []
        versions = [self.version(table, f"version[{index}]") for index, table in enumerate(tables)]
        known: dict[date, PolicyVersion] = {}
        for index, version in enumerate(versions):
            if version is not None and version.valid_from in known:
                remedy = "another version is valid from this day already; each needs a day of its own"
                self.wrong(f"version[{index}].valid_from", version.valid_from, remedy)
            elif version is not None:
                known[version.valid_from] = version
        return Policy(name, tuple(known[day] for day in sorted(known)), digest)

    def version(self, table: Mapping[str, Any], where: str) -> PolicyVersion | None:
        for key in table.keys() - _VERSION_KEYS:
            self.wrong(f"{where}.{key}", table[key], f"no such key; a version has {', '.join(sorted(_VERSION_KEYS))}")
        valid_from = self.day(table.get("valid_from"), f"{where}.valid_from")
        season = self.season(table.get("season"), f"{where}.season")
        notice_after_h, warn_after_h = self.outage(table.get("outage", {}), f"{where}.outage")
        deadlines = table.get("deadlines", "A")
        if not isinstance(deadlines, str):
            self.wrong(f"{where}.deadlines", deadlines, 'the name of a profile of service deadlines, such as "A"')
        schedules = table.get("schedule")
        if not isinstance(schedules, dict) or not schedules:
            self.wrong(f"{where}.schedule", None, "a version needs at least one [version.schedule.NAME] table")
            schedules = {}
        for known in CLASSES:
            if known not in schedules and (close := get_close_matches(known, schedules, n=1, cutoff=0.7)):
                self.wrong(f"{where}.schedule.{close[0]}", close[0], f"no class of premises; the nearest known is {known}")
        windows = {name: self.schedule(rows, f"{where}.schedule.{name}") for name, rows in schedules.items()}
        if valid_from is None:
            return None
        refunds = self.refunds(table.get("refund", []), f"{where}.refund")
        return PolicyVersion(valid_from, season, windows, notice_after_h, warn_after_h, str(deadlines), refunds)

    def day(self, value: object, where: str) -> date | None:
        day = value
        if isinstance(value, datetime) and value.tzinfo is None and value.time() == time():
            day = value.date()
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                day = date.fromisoformat(value)
        if isinstance(day, date) and not isinstance(day, datetime):
            return day
        self.wrong(where, value, "a local date, such as 2026-11-15")
        return None

    def season(self, value: object, where: str) -> tuple[tuple[int, int], tuple[int, int]] | None:
        if value == "always":
            return None
        if isinstance(value, dict) and value.keys() == {"from", "to"}:
            first = self.month_day(value["from"], f"{where}.from")
            last = self.month_day(value["to"], f"{where}.to")
            if first is None or last is None:
                return None
            if (first, last) == ((1, 1), (12, 31)):
                return None
            if _eve(first) == last:
                self.wrong(where, f"{value['from']} to {value['to']}", 'a season that ends on the eve of its beginning is "always"')
            elif first <= _MIDSUMMER <= last:
                self.wrong(
                    where, f"{value['from']} to {value['to']}", 'a season that ends after it begins: "11-15" to "03-15" runs over New Year'
                )
            elif last < first and (first <= _MIDSUMMER or last >= _MIDSUMMER):
                self.wrong(where, f"{value['from']} to {value['to']}", 'a season that leaves midsummer out; for the whole year "always"')
            return first, last
        self.wrong(where, value, '{ from = "11-15", to = "03-15" }, both days inside, or "always"')
        return None

    def refunds(self, rows: object, where: str) -> tuple[Refund, ...]:
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            self.wrong(where, rows, "a list of { outage_h = 24, share_pct = 100 } or { below_c = 16.0, share_pct = 50 }")
            return ()
        found = []
        for place, row in enumerate(rows):
            kind = row.keys() - {"share_pct"}
            share = row.get("share_pct")
            value = row.get(next(iter(kind), ""))
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
            if kind not in ({"outage_h"}, {"below_c"}) or not number or (kind == {"outage_h"} and not _hours(value)):
                self.wrong(f"{where}[{place}]", row, "a tier is { outage_h = 24, share_pct = 100 } or { below_c = 16.0, share_pct = 50 }")
            elif not _positive(share) or share > 100:
                self.wrong(f"{where}[{place}].share_pct", share, "per cent of the day's charge, above 0 and at most 100")
            else:
                found.append(Refund(float(share), **{key: float(row[key]) for key in kind}))
        return tuple(found)

    def month_day(self, value: object, where: str) -> tuple[int, int] | None:
        try:
            day = date.fromisoformat(f"2024-{value}")
        except ValueError:
            self.wrong(where, value, 'month and day, such as "11-15"')
            return None
        return day.month, day.day

    def outage(self, value: object, where: str) -> tuple[float, tuple[float, ...]]:
        default = PolicyVersion.notice_after_h, PolicyVersion.warn_after_h
        if isinstance(value, list):
            return self.outage_list(value, where) or default
        if not isinstance(value, dict):
            self.wrong(where, value, "{ notice_after_h = 8, warn_after_h = [4, 6, 7] }")
            return default
        for key in value.keys() - {"notice_after_h", "warn_after_h"}:
            self.wrong(f"{where}.{key}", value[key], "no such key; notice_after_h and warn_after_h are")
        notice = value.get("notice_after_h", default[0])
        if not _hours(notice):
            self.wrong(f"{where}.notice_after_h", notice, f"hours above 0 and at most {HOURS_MOST} (a year)")
            notice = default[0]
        warn = value.get("warn_after_h", [hours for hours in default[1] if hours < notice])
        if not isinstance(warn, list) or not all(_positive(hours) and hours < notice for hours in warn) or sorted(set(warn)) != warn:
            self.wrong(f"{where}.warn_after_h", warn, "a list of rising hours, each above 0 and below notice_after_h")
            warn = list(default[1])
        return float(notice), tuple(float(hours) for hours in warn)

    def outage_list(self, rows: list[Any], where: str) -> tuple[float, tuple[float, ...]] | None:
        """Duties as a list of hours and actions: any number of warnings, then the one notice."""
        duties: list[tuple[float, str]] = []
        for place, row in enumerate(rows):
            good = isinstance(row, dict) and row.keys() == {"after_h", "action"}
            if not good or not _hours(row["after_h"]) or row["action"] not in ("warn", "notice"):
                remedy = '{ after_h = 8, action = "warn" }, hours above 0, the action "warn" or "notice"'
                self.wrong(f"{where}[{place}]", row, remedy)
                return None
            duties.append((float(row["after_h"]), row["action"]))
        hours = [after_h for after_h, _ in duties]
        if hours != sorted(set(hours)) or [action for _, action in duties].count("notice") != 1 or duties[-1][1] != "notice":
            self.wrong(where, None, 'duties in the order of their hours, each hour once, the last of them the one "notice"')
            return None
        return hours[-1], tuple(hours[:-1])

    def schedule(self, rows: object, where: str) -> tuple[Window, ...]:
        if not isinstance(rows, dict) or not rows:
            self.wrong(where, rows, '"HH:MM-HH:MM" = limit lines that cover the day')
            return ()
        windows: list[Window] = []
        known = len(self.mistakes)
        for key, limit in rows.items():
            windows.extend(self.window(key, limit, f'{where}."{key}"'))
        if len(self.mistakes) > known:  # what they leave uncovered is no mistake of its own
            return ()
        windows.sort(key=lambda window: window.from_s)
        at_s = 0
        for window in windows:
            if window.from_s != at_s:
                fault = "leaves a gap" if window.from_s > at_s else "overlaps another"
                self.wrong(
                    where, _text(window), f"this window {fault} at {_clock(min(at_s, window.from_s))}; windows must cover the day once"
                )
                return ()
            at_s = window.to_s
        if windows and at_s != DAY_S:
            self.wrong(where, None, f"the schedule leaves a gap from {_clock(at_s)} to 24:00; windows must cover the day once")
        return tuple(windows)

    def window(self, key: str, limit: object, where: str) -> list[Window]:
        try:
            start, stop = (clock_s(part.strip()) for part in key.split("-"))
        except ValueError:
            self.wrong(where, key, 'a window of local time, such as "06:00-21:00"')
            return []
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not -50 < limit < 50:
            self.wrong(where, limit, "a temperature in ℃, such as 18.0")
            return []
        if start in (stop, DAY_S):
            self.wrong(where, key, 'a window that is not empty; the whole day is "00:00-24:00"')
            return []
        if start < stop:
            return [Window(start, stop, float(limit))]
        halves = [Window(start, DAY_S, float(limit)), Window(0, stop, float(limit))]
        return [window for window in halves if window.to_s > window.from_s]


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value) and value > 0


def _hours(value: Any) -> bool:
    return _positive(value) and bool(value <= HOURS_MOST)


def _eve(month_day: tuple[int, int]) -> tuple[int, int]:
    """The day before, in a leap year."""
    day = date(2024, *month_day) - timedelta(days=1)
    return day.month, day.day


def _clock(second_of_day: int) -> str:
    return f"{second_of_day // 3600:02d}:{second_of_day // 60 % 60:02d}"


def _text(window: Window) -> str:
    return f"{_clock(window.from_s)}-{_clock(window.to_s)}"
