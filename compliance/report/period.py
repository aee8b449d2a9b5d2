"""The period of a report as people write it: a month, a quarter, a heating season."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from domain.errors import ConfigError, Mistake
from domain.policy import Policy

FORMS = "a month (2026-11), a quarter (2026-Q4) or a heating season (2026-2027)"


@dataclass(frozen=True)
class Period:
    """Local days [first, after) as ``from_ms`` to ``to_ms`` (UTC ms); ``months`` are the months it touches, as YYYY-MM."""

    name: str
    from_ms: int
    to_ms: int
    first: date
    after: date

    @property
    def months(self) -> list[str]:
        """In order."""
        found, month = [], self.first.replace(day=1)
        while month < self.after:
            found.append(f"{month:%Y-%m}")
            month = _next_month(month)
        return found


def parse_period(text: str, policy: Policy, zone: ZoneInfo, now_ms: int) -> Period:
    """The period of this name. A season is the policy's, from its first day to its last; without one it runs from July to June.

    Raises ConfigError for anything else, and for a period that has not begun.
    """
    try:
        first, after = _days(text, policy, zone)
    except ValueError as error:
        raise ConfigError(Mistake("--period", FORMS, value=text)) from error
    from_ms, to_ms = _midnight_ms(first, zone), _midnight_ms(after, zone)
    if from_ms >= now_ms:
        now = datetime.fromtimestamp(now_ms / 1000, zone).date()
        raise ConfigError(Mistake("--period", f"it begins on {first} and today is {now}; a period that has begun", value=text))
    return Period(text, from_ms, to_ms, first, after)


def _days(text: str, policy: Policy, zone: ZoneInfo) -> tuple[date, date]:
    if found := re.fullmatch(r"(\d{4})-(\d{2})", text, re.ASCII):
        first = date(int(found[1]), int(found[2]), 1)
        return first, _next_month(first)
    if found := re.fullmatch(r"(\d{4})-Q([1-4])", text, re.ASCII):
        first = date(int(found[1]), 3 * int(found[2]) - 2, 1)
        return first, _next_month(_next_month(_next_month(first)))
    found = re.fullmatch(r"(\d{4})-(\d{4})", text, re.ASCII)
    if found is None or int(found[2]) != int(found[1]) + 1:
        raise ValueError(text)
    first, after = date(int(found[1]), 7, 1), date(int(found[2]), 7, 1)
    spans = policy.seasons(zone, _midnight_ms(first, zone), _midnight_ms(after, zone))
    if not spans:
        return first, after
    begin, end = (datetime.fromtimestamp(at / 1000, zone).date() for at in (spans[0][0], spans[-1][1]))
    return begin, end


def _next_month(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000
