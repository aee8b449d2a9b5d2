"""A file of measuring visits (R8), one a row: what ``keepwarm visits file`` takes."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.errors import ConfigError, Mistake
from domain.visit import Visit
from store.site_folder.cells import Cells
from store.site_folder.table import Columns, read_table

VISITS = Columns(
    ("room_id", "measured_at", "measured_by", "instrument", "calibrated_on", "windows_shut_min", "at_centre", "height_m", "readings_c"),
    ("calibrated_until", "signature", "complaint_id", "corrects", "remark"),
)
A_YEAR = timedelta(days=365)  # how long a calibration holds where its certificate says nothing else


def load_visits(path: Path, rooms: Collection[str], zone: ZoneInfo) -> list[tuple[int, Visit]]:
    """The visits of a CSV or XLSX file with their lines; ``signature`` is the path of a PNG beside the file.

    Raises ConfigError with every mistake in it.
    """
    mistakes: list[Mistake] = []
    table = read_table(path, str(path), VISITS, mistakes)
    found = [(row.line, visit) for row in table.rows if (visit := _visit(Cells(table, row), rooms, zone)) is not None]
    if mistakes:
        raise ConfigError(*mistakes)
    return found


def _visit(cells: Cells, rooms: Collection[str], zone: ZoneInfo) -> Visit | None:
    room_id = cells.reference("room_id", rooms, "room", needed=True)
    measured_at = cells.instant("measured_at", zone, needed=True)
    calibrated_on = _day(cells, "calibrated_on", zone, needed=True)
    calibrated_until = _day(cells, "calibrated_until", zone, needed=False)
    at_centre = cells.choice("at_centre", ("yes", "no"), None)
    shut_min = cells.number("windows_shut_min", 0, 100_000, 0.0)
    height_m = cells.number("height_m", 0, 10, 0.0)
    for column in ("measured_by", "instrument", "windows_shut_min", "height_m"):
        if not cells.text(column):
            cells.wrong(column, "this cell is empty; a visit says it")
    readings = _readings(cells)
    signature = _signature(cells)
    complaint_id, corrects = (cells.whole(column, 1, 2**31, None) for column in ("complaint_id", "corrects"))
    if room_id is None or measured_at is None or calibrated_on is None or at_centre is None or readings is None:
        return None
    until = calibrated_on + A_YEAR if calibrated_until is None else calibrated_until
    return Visit(
        room_id, measured_at, cells.text("measured_by"), cells.text("instrument"), calibrated_on, until,
        shut_min, at_centre == "yes", height_m, readings, signature, complaint_id, corrects, cells.text("remark"),
    )  # fmt: skip


def _day(cells: Cells, column: str, zone: ZoneInfo, *, needed: bool) -> date | None:
    instant_ms = cells.instant(column, zone, needed=needed)
    return None if instant_ms is None else datetime.fromtimestamp(instant_ms / 1000, zone).date()


def _readings(cells: Cells) -> tuple[float, ...] | None:
    try:
        found = tuple(float(word) for word in cells.text("readings_c").replace(";", " ").split())
    except ValueError:
        found = ()
    if not found or not all(-10 <= value <= 50 for value in found):
        cells.wrong("readings_c", "temperatures in ℃ between -10 and 50, parted by blanks, such as 18.4 18.5 18.4")
        return None
    return found


def _signature(cells: Cells) -> bytes | None:
    name = cells.text("signature")
    if not name:
        return None
    try:
        return (cells.table.folder / name).read_bytes()
    except OSError as error:
        cells.wrong("signature", f"this file can't be read: {(error.strerror or str(error)).lower()}")
        return None
