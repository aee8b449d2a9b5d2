"""Working days in China: weekends, statutory holidays and the make-up days on weekends (调休), which the State Council sets each year.

A site's ``workdays.csv`` goes before the package: for a year the package does not know yet, or a local arrangement.
"""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache


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
