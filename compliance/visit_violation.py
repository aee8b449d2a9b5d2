"""Whether a measuring visit found the room below its limit (R1, R8): what a complaint of origin ``visit`` stands on (R6)."""

from math import isnan

from compliance.events import ExcludedAt
from compliance.verdict import AT_LIMIT_K
from domain.site import Room, Site
from domain.visit import Visit, visit_faults


def violated_limit_c(site: Site, visit: Visit) -> float | None:
    """The limit in °C that an official measurement found broken; None where it was kept, or nothing is judged, or the visit doesn't count.

    A home that rooms.csv does not name is judged as residential, as everywhere (R2). No sensor, so no ``offset_k``.
    """
    if visit_faults(visit, site.timezone) or visit.mean_c is None:
        return None
    room = site.rooms.get(visit.room_id, Room(visit.room_id))
    if ExcludedAt((one.room_id, one.from_ms, one.to_ms) for one in site.exclusions)(room.room_id, visit.measured_at):
        return None
    limits = site.policy.timeline(room.table, site.timezone, visit.measured_at, visit.measured_at + 1).limit_c
    limit_c = float(limits[0]) if len(limits) else float("nan")
    return limit_c if not isnan(limit_c) and visit.mean_c < limit_c - AT_LIMIT_K else None
