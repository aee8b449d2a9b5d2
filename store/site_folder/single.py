"""Single tables outside a site folder: the rooms and exclusions of ``audit``, the curves of ``curves file``."""

from collections.abc import Collection
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.curve import FiledCurve
from domain.errors import ConfigError, Mistake
from domain.policy import Policy
from domain.site import Exclusion, Room
from store.site_folder.table import read_table
from store.site_folder.tables import CURVES, EXCLUSIONS, ROOMS, read_curves, read_exclusions, read_rooms


def load_rooms(path: Path, policy: Policy) -> list[Room]:
    """The rooms of a CSV or XLSX file, in its order.

    Raises ConfigError with every mistake in it.
    """
    mistakes: list[Mistake] = []
    rooms = read_rooms(read_table(path, str(path), ROOMS, mistakes), policy)
    if mistakes:
        raise ConfigError(*mistakes)
    return list(rooms.values())


def load_exclusions(path: Path, zone: ZoneInfo) -> list[Exclusion]:
    """The excluded intervals of a CSV or XLSX file, in its order; times without offset are local in ``zone``.

    Raises ConfigError with every mistake in it.
    """
    mistakes: list[Mistake] = []
    exclusions = read_exclusions(read_table(path, str(path), EXCLUSIONS, mistakes), None, zone)
    if mistakes:
        raise ConfigError(*mistakes)
    return list(exclusions)


def load_curves(path: Path, stations: Collection[str], zone: ZoneInfo) -> list[FiledCurve]:
    """The curves of a CSV or XLSX file in the form of curves.csv, by station and instant; times without offset are local in ``zone``.

    Raises ConfigError with every mistake in it, an unknown station included.
    """
    mistakes: list[Mistake] = []
    curves = read_curves(read_table(path, str(path), CURVES, mistakes), stations, zone)
    if mistakes:
        raise ConfigError(*mistakes)
    return [curve for versions in curves.values() for curve in versions]
