"""Supply curves filed on a page or by command (R9), beside those of the site's folder."""

from collections.abc import Mapping
from itertools import groupby

from sqlalchemy import Connection, Row, func, insert, select

from domain.curve import FiledCurve
from domain.site import Site
from store.records.tables import filed_curves as table

Curves = Mapping[str, tuple[FiledCurve, ...]]


def file_curve(connection: Connection, curve: FiledCurve, filed_at: int) -> int:
    """Stores a curve at an instant (UTC ms) and returns its id. Raises IntegrityError when one is in force from that very instant."""
    row = {
        "station_id": curve.station_id,
        "effective_from": curve.effective_from_ms,
        "outdoor_c": list(curve.outdoor_c),
        "supply_c": list(curve.supply_c),
        "offsets_k": list(curve.offsets_k),
        "filed_at": filed_at,
        "filed_by": curve.filed_by,
        "reason": curve.reason,
    }
    found = connection.execute(insert(table).values(row)).inserted_primary_key
    assert found is not None
    return int(found[0])


def last_filed(connection: Connection) -> int:
    """The id of the newest filed curve, 0 where there is none: whoever keeps curves sees by it that there are more."""
    return int(connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one())


def filed_curves(connection: Connection) -> dict[str, tuple[FiledCurve, ...]]:
    """All curves of the records by station, in order of ``effective_from``."""
    rows = connection.execute(select(table).order_by(table.c.station_id, table.c.effective_from)).all()
    return {station_id: tuple(_curve(row) for row in group) for station_id, group in groupby(rows, key=lambda row: str(row.station_id))}


def in_force(site: Site, filed: Curves) -> dict[str, tuple[FiledCurve, ...]]:
    """The curves of the site's folder and the filed ones together; of one instant the filed one counts."""
    together = {}
    for station_id in {*site.curves, *filed}:
        by_start = {curve.effective_from_ms: curve for curve in (*site.curves.get(station_id, ()), *filed.get(station_id, ()))}
        together[station_id] = tuple(by_start[start] for start in sorted(by_start))
    return together


def _curve(row: Row[tuple[object, ...]]) -> FiledCurve:
    return FiledCurve(
        row.station_id, row.effective_from, tuple(row.outdoor_c), tuple(row.supply_c), row.filed_by, row.reason, tuple(row.offsets_k)
    )
