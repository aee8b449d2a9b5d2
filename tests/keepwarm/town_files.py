"""A town written as its staff and its instruments would: a site folder and a readings file."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from domain.reading import FIRST_BAD
from domain.site import Site
from tests.compliance.oracle_rooms import Row
from tests.keepwarm.file_forms import instant


def write_town(folder: Path, site: Site, rows: Sequence[Row]) -> Path:
    """Writes the folder of a site under the shipped policy; returns the readings file in it."""
    folder.mkdir(parents=True, exist_ok=True)
    minutes = f"hold_max_min = {site.hold_max_min}\nstation_hold_min = {site.station_hold_min}\n"
    (folder / "site.toml").write_text(f'name = "{site.name}"\ntimezone = "{site.timezone.key}"\n{minutes}')
    stations = site.stations.values()
    columns = ["station_id", "source_id", "design_flow_m3h", "heating", "primary_meter_m3h", "secondary_meter_m3h"]
    _table(folder / "stations.csv", columns, ([getattr(one, column) for column in columns] for one in stations))
    if all(room.building_id for room in site.rooms.values()):  # where there are buildings, each room must be in one
        columns = ["building_id", "station_id"]
        _table(folder / "buildings.csv", columns, ([one.building_id, one.station_id] for one in site.buildings.values()))
    columns = ["room_id", "building_id", "station_id", "premises", "schedule", "offset_k", "hold_max_min"]
    _table(folder / "rooms.csv", columns, ([getattr(one, column) for column in columns] for one in site.rooms.values()))
    stops = ([one.station_id, _time(one.from_ms), _time(one.to_ms), "检修", "Li"] for one in site.planned_stops)
    _table(folder / "planned_stops.csv", ["station_id", "from", "to", "reason", "who"], stops)
    spans = ([one.room_id, _time(one.from_ms), _time(one.to_ms), "报停", "Li"] for one in site.exclusions)
    _table(folder / "exclusions.csv", ["room_id", "from", "to", "reason", "who"], spans)
    columns = ["station_id", "effective_from", "outdoor_c", "supply_c", "filed_by", "reason", "offsets_k"]
    _table(folder / "curves.csv", columns, _curves(site))
    points = ([name, _time(at), value, _word(quality), _time(got)] for name, at, value, quality, got in rows)
    return _table(folder / "readings.csv", ["point", "measured_at", "value", "quality", "received_at"], points)


def _curves(site: Site) -> Iterable[list[object]]:
    for curve in (one for versions in site.curves.values() for one in versions):
        offsets = " ".join(str(offset) for offset in curve.offsets_k)
        for outdoor_c, supply_c in zip(curve.outdoor_c, curve.supply_c, strict=True):
            yield [curve.station_id, _time(curve.effective_from_ms), outdoor_c, supply_c, "Gao", "备案", offsets]


def _word(quality: int) -> str:
    return "bad" if quality >= FIRST_BAD else "suspect" if quality else ""


def _time(at_ms: int | None) -> str:
    return "" if at_ms is None else instant(at_ms).isoformat(timespec="milliseconds")


def _table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path
