"""What people do with measuring visits (R8): file them. A record is never changed; a correction names the one it replaces."""

import io
import warnings
from typing import Final

from PIL import Image, UnidentifiedImageError
from sqlalchemy import Connection, Engine, select

from dashboard.actions.acting import COMMENT_MOST, RefusedError, demand, note
from dashboard.roles import Account
from dashboard.text import N_
from domain.site import Site
from domain.visit import Visit
from store.records.tables import complaints, visits
from store.records.visits import FILED, FiledVisit, append_visit

SIGNATURE_BYTES_MOST: Final = 256 * 1024
SIGNATURE_PX: Final = (16, 4_000)
READING_C: Final = (-10.0, 50.0)  # what a room can have (domain.md)
READINGS_MOST: Final = 100
NAME_MOST: Final = 128


def file_visit(engine: Engine, who: Account, site: Site, visit: Visit, now_ms: int) -> FiledVisit:
    """Adds a visit to the chain. One without signature or with other faults is kept, and is no official measurement (``visit_faults``).

    Raises RefusedError without the right, or for what can't be a visit at all.
    """
    demand(engine, who, "file_visit", FILED, f"room/{visit.room_id}", now_ms)
    fault = visit_refusal(visit, site, now_ms)
    if fault:
        raise RefusedError(fault)
    with engine.begin() as connection:
        _check_named(connection, visit)
        filed = append_visit(connection, visit, now_ms, who.name)
        note(connection, now_ms, who, FILED, f"visit/{filed.id}", None, {"id": filed.id, "hash": filed.hash, "room_id": visit.room_id})
    return filed


def visit_refusal(visit: Visit, site: Site, now_ms: int) -> str:
    """Why this can't be a visit, empty when it can."""
    low, high = READING_C
    if not _is_home(visit.room_id, site):
        return N_("A visit is to a room of the site, or to BUILDING:FLAT where no sensor measures.")
    if visit.measured_at > now_ms:
        return N_("A visit can't be in the future.")
    if not 0 < len(visit.measured_by) <= NAME_MOST or not 0 < len(visit.instrument) <= NAME_MOST:
        return N_("A visit names who measured and the instrument, each with at most 128 characters.")
    if visit.calibrated_until < visit.calibrated_on:
        return N_("A calibration can't end before it was made.")
    if len(visit.readings_c) > READINGS_MOST or not all(low <= value <= high for value in visit.readings_c):
        return N_("Readings of a room lie between -10 and 50 ℃.")
    if not 0 <= visit.windows_shut_min <= 100_000 or not 0 <= visit.height_m <= 10 or len(visit.remark) > COMMENT_MOST:
        return N_("Minutes, height or remark can't be right.")
    return "" if visit.signature is None else signature_fault(visit.signature)


def _is_home(room_id: str, site: Site) -> bool:
    """Whether this is a room of the site, or a home without a sensor in a building of it."""
    building_id, colon, flat = room_id.partition(":")
    return room_id in site.rooms or (bool(colon) and building_id in site.buildings and bool(flat.strip()) and len(room_id) <= NAME_MOST)


def signature_fault(content: bytes) -> str:
    """Why this is no signature, empty when it is: a PNG of bounded size, whole, with something drawn on it."""
    if len(content) > SIGNATURE_BYTES_MOST:
        return N_("A signature is a PNG image of at most 256 KiB.")
    low, high = SIGNATURE_PX
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=("PNG",))
            if not all(low <= side <= high for side in image.size):
                return N_("A signature is an image of 16 to 4000 pixels a side.")
            image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return N_("A signature is a PNG image; this is none, or only a part of one.")
    if len(image.convert("RGBA").getcolors(2) or (0, 1)) == 1:
        return N_("The signature is empty: nothing is drawn on it.")
    return ""


def _check_named(connection: Connection, visit: Visit) -> None:
    """Raises RefusedError when the record to be corrected or the complaint is not there."""
    if visit.corrects is not None:
        old = connection.execute(select(visits.c.room_id).where(visits.c.id == visit.corrects)).scalar()
        if old != visit.room_id:
            raise RefusedError(N_("A correction names a record of the same room."))
        if connection.execute(select(visits.c.id).where(visits.c.corrects == visit.corrects)).first() is not None:
            raise RefusedError(N_("This record was corrected already; correct the correction."))
    if visit.complaint_id is not None and (
        connection.execute(select(complaints.c.id).where(complaints.c.id == visit.complaint_id)).first() is None
    ):
        raise RefusedError(N_("There is no such complaint."))
