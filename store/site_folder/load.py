"""The whole folder: site.toml, its tables and profiles, checked against each other; every mistake at once.

site.toml ─▶ zone, policy ─┐
profiles/*.toml ───────────┤
notices.toml, map.geojson ─┤
stations ─▶ buildings ─▶ rooms ─▶ exclusions
    ├─▶ devices, curves, planned_stops        └──▶ Site, or every mistake
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from domain.errors import ConfigError, Mistake
from domain.policy import Policy
from domain.profile import Profile
from domain.site import Site
from store.site_folder.brokers import read_brokers
from store.site_folder.channels import read_channels
from store.site_folder.devices import DEVICES, read_devices
from store.site_folder.fields import TomlTables
from store.site_folder.map_file import MAP_FILE, read_outlines
from store.site_folder.notices import NOTICES_FILE, read_notice_texts
from store.site_folder.openid import read_openid
from store.site_folder.profiles import load_profiles
from store.site_folder.settings import Settings, read_gateways, read_settings
from store.site_folder.table import OLD_WORKBOOK, Columns, Table, read_table
from store.site_folder.tables import (
    BUILDINGS,
    CURVES,
    EXCLUSIONS,
    PLANNED_STOPS,
    ROOMS,
    STATIONS,
    WORKDAYS,
    read_buildings,
    read_curves,
    read_exclusions,
    read_planned_stops,
    read_rooms,
    read_stations,
    read_workdays,
)
from store.site_folder.toml_file import TomlFile, read_toml

SITE_FILE = "site.toml"
TABLES = {
    "stations": STATIONS,
    "buildings": BUILDINGS,
    "rooms": ROOMS,
    "devices": DEVICES,
    "curves": CURVES,
    "planned_stops": PLANNED_STOPS,
    "exclusions": EXCLUSIONS,
    "workdays": WORKDAYS,
}
OWN_FILES = (NOTICES_FILE, MAP_FILE)
_SUFFIXES = (".csv", ".xlsx")


def load_site(folder: Path, *, policy: Policy | None = None, complete: bool = True) -> Site:
    """The site in this folder, held to ``policy`` instead of its own where one is given.

    ``complete``: whether each building must have its station and each room its building where there are tables of them.
    Raises ConfigError with every mistake of the whole folder.
    """
    site, mistakes = _read(folder, policy, complete=complete)
    mistakes = _in_order(mistakes)
    if site is None:
        raise ConfigError(*mistakes)
    return site


def check_site(folder: Path) -> list[Mistake]:
    """Every mistake of the whole folder; none when it can be loaded.

    Raises ConfigError when there is nothing to check: no such folder, no site.toml in it, or one that can't be opened.
    """
    return read_site(folder)[1]


def read_site(folder: Path) -> tuple[Site | None, list[Mistake]]:
    """The site, or None and every mistake of the whole folder.

    Raises ConfigError when there is nothing to read: no such folder, no site.toml in it, or one that can't be opened.
    """
    site, mistakes = _read(folder)
    return site, _in_order(mistakes)


def _in_order(mistakes: list[Mistake]) -> list[Mistake]:
    """File by file, each from its first line to its last."""
    files = list(dict.fromkeys(mistake.file for mistake in mistakes))
    return sorted(mistakes, key=lambda mistake: (files.index(mistake.file), mistake.line or 0))


def _read(folder: Path, policy: Policy | None = None, *, complete: bool = True) -> tuple[Site | None, list[Mistake]]:
    if not folder.is_dir():
        raise ConfigError(Mistake(str(folder), f"no such folder; a site is a folder with {SITE_FILE} in it"))
    if not (folder / SITE_FILE).is_file():
        raise ConfigError(Mistake(str(folder / SITE_FILE), "no such file; every site folder has one, with at least a name"))
    folder = folder.absolute()
    mistakes: list[Mistake] = []
    file = _site_file(folder, mistakes)
    tables = TomlTables(file or TomlFile(SITE_FILE, b"", {}, {}), mistakes)
    settings = read_settings(tables, folder)
    if file is None:
        settings = replace(settings, policy=None)  # whatever it names, it is not the default for certain
    if policy is not None:
        settings = replace(settings, policy=policy)
    profiles = load_profiles(folder / "profiles", mistakes)
    names = {*profiles, *(path.stem for path in (folder / "profiles").glob("*.toml"))}
    brokers = read_brokers(tables, folder, settings.name, profiles, names)
    channels = read_channels(tables, folder)
    openid = read_openid(tables, folder)
    texts = read_notice_texts(folder, mistakes)
    outlines = read_outlines(folder, mistakes)
    parts = _read_tables(folder, settings, profiles, names, mistakes, complete=complete)
    modbus = {device.address for device in parts["devices"].values() if device.protocol != "opcua"}
    gateways = read_gateways(tables, modbus)
    if mistakes or settings.policy is None:
        return None, mistakes
    values = {**vars(settings), "policy": settings.policy}
    parts |= {
        "gateways": gateways,
        "brokers": brokers,
        "channels": channels,
        "openid": openid,
        "profiles": profiles,
        "notice_texts": texts,
        "outlines": outlines,
    }
    return Site(**values, **parts, folder=folder), mistakes


def _site_file(folder: Path, mistakes: list[Mistake]) -> TomlFile | None:
    """site.toml; None (noted) when it is no TOML."""
    path = folder / SITE_FILE
    try:
        with path.open("rb"):
            pass
        return read_toml(path, SITE_FILE)
    except OSError as error:
        raise ConfigError(Mistake(str(path), f"can't be read: {(error.strerror or str(error)).lower()}")) from error
    except ConfigError as error:
        mistakes.extend(error.mistakes)
        return None


def _read_tables(
    folder: Path,
    settings: Settings,
    profiles: Mapping[str, Profile],
    profile_names: Collection[str],
    mistakes: list[Mistake],
    *,
    complete: bool,
) -> dict[str, Any]:
    """The tables' rows as the arguments of a Site. What a table refers to is looked up only where that table is there."""
    found = {name: _table(folder, name, columns, mistakes) for name, columns in TABLES.items()}
    mistakes.extend(_misnamed(folder))
    zone = settings.timezone
    stations = read_stations(found["stations"])
    known_stations = stations if found["stations"].readable else None
    buildings = read_buildings(found["buildings"], known_stations, complete=complete)
    known_buildings = buildings if found["buildings"].readable else None
    rooms = read_rooms(found["rooms"], settings.policy, known_buildings, known_stations, complete=complete)
    return {
        "stations": stations,
        "buildings": buildings,
        "rooms": rooms,
        "devices": read_devices(found["devices"], known_stations, profiles, profile_names),
        "curves": read_curves(found["curves"], known_stations, zone),
        "planned_stops": read_planned_stops(found["planned_stops"], known_stations, zone),
        "exclusions": read_exclusions(found["exclusions"], rooms if found["rooms"].readable else None, zone),
        "working_days": read_workdays(found["workdays"], zone),
    }


def _table(folder: Path, name: str, columns: Columns, mistakes: list[Mistake]) -> Table:
    """The table of this name, from its CSV or XLSX file; not readable where there is none."""
    files = [f"{name}{suffix}" for suffix in _SUFFIXES if (folder / f"{name}{suffix}").exists()]
    if len(files) > 1:
        mistakes.append(Mistake(files[1], f"{files[0]} is there as well; one of them must go"))
    if not files:
        return Table(f"{name}.csv", folder, mistakes, readable=False)
    return read_table(folder / files[0], files[0], columns, mistakes)


def _misnamed(folder: Path) -> list[Mistake]:
    """Files that nobody reads although they are meant to be: ``station.csv``, ``rooms.xls``."""
    mistakes = []
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if suffix == ".xls" and path.stem in TABLES:
            mistakes.append(Mistake(path.name, OLD_WORKBOOK))
        elif path.name not in OWN_FILES and (meant := get_close_matches(path.name.lower(), OWN_FILES, n=1, cutoff=0.9)):
            mistakes.append(Mistake(path.name, f"nobody reads this file; did you mean {meant[0]}?"))
        elif suffix in _SUFFIXES and path.stem not in TABLES:
            close = get_close_matches(path.stem.lower(), TABLES, n=1, cutoff=0.8)
            if close and not any((folder / f"{close[0]}{other}").exists() for other in _SUFFIXES):
                mistakes.append(Mistake(path.name, f"no table of a site; did you mean {close[0]}{suffix}?"))
    return mistakes
