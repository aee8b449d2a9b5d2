"""Working days in China: weekends, statutory holidays and the make-up days on weekends (调休), which the State Council sets each year.

A site's ``workdays.csv`` goes before the package: for a year the package does not know yet, or a local arrangement.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)


@lru_cache(maxsize=16)
def _chinese_year(year: int) -> tuple[frozenset[date], frozenset[date]]:
    """The days off and the working weekend days of one year."""
    import holidays  # half a second, and only duties in working days need it

    days = holidays.country_holidays("CN", years=year)
    return frozenset(day for day in days if day.year == year), frozenset(day for day in days.weekend_workdays if day.year == year)


def is_working_day(day: date, site_days: Mapping[date, bool]) -> bool:
    """Whether people work on this day; ``site_days`` says it first."""
    if day in site_days:
        return site_days[day]
    off, make_up = _chinese_year(day.year)
    return day in make_up or (day.weekday() < 5 and day not in off)


def after_working_days(start_ms: int, count: int, zone: ZoneInfo, site_days: Mapping[date, bool]) -> int:
    """The end (24:00 local, as UTC ms) of the ``count``-th working day after the day of ``start_ms``.

    The day of the report itself does not count, and the last day runs to its end (Civil Code of China, Art. 201 and 203).
    """
    day = datetime.fromtimestamp(start_ms / 1000, zone).date()
    while count > 0:
        day += DAY
        count -= is_working_day(day, site_days)
    return round(datetime.combine(day + DAY, time(), zone).timestamp() * 1000)
