"""The columns of the live tables: what the rules think of every room and station now."""

from typing import Any

import numpy as np

from compliance.incident_pass import IncidentPass
from compliance.outage import planned_at
from compliance.room_book import RoomBook
from compliance.station_book import StationBook

VERDICTS = np.array(["unjudged", "unknown", "compliant", "breach"])
PHASES = np.array(["normal", "pending", "raised"])
HEATS = ("unjudged", "unknown", "supplying", "stopped")


def room_table(book: RoomBook, now_ms: int) -> dict[str, Any]:
    """Columns by room, in the order of the site's rooms."""
    states = book.states
    value_c, measured_at = book.newest()
    since = states["verdict_at"]
    alarm_since = np.where(states["phase"] == 2, states["raised_at"], states["pending_at"])
    return {
        "room_id": [room.room_id for room in book.rooms],
        "verdict": VERDICTS[states["verdict"]],
        "since_ms": np.ma.masked_less(since, 0).filled(now_ms),
        "value_c": value_c,
        "measured_at": [None if at < 0 else at for at in measured_at.tolist()],
        "limit_c": book.limits_c(now_ms),
        "alarm": PHASES[states["phase"]],
        "alarm_since_ms": [at if phase else None for at, phase in zip(alarm_since.tolist(), states["phase"].tolist(), strict=True)],
        "no_data": states["no_data"] > 0,
    }


def station_state(book: StationBook, incidents: IncidentPass, station_id: str, now_ms: int) -> dict[str, Any]:
    """One station's three states (R4) and its open outage, as a complaint's evidence keeps them."""
    heat, heat_since = book.stations[station_id].heat
    return {
        "heat": HEATS[heat],
        "heat_since_ms": heat_since,
        "comm": book.comm_of(station_id, now_ms)[0],
        "data": book.data_of(station_id, now_ms),
        "outage_id": incidents.open_outage(station_id, now_ms),
    }


def station_table(book: StationBook, incidents: IncidentPass, now_ms: int) -> dict[str, Any]:
    """Columns by station, in the order of the site's stations."""
    rows = []
    for station_id, state in book.stations.items():
        heat, heat_since = state.heat
        comm, comm_since = book.comm_of(station_id, now_ms)
        planned = planned_at(book.site.planned_stops, station_id, now_ms)
        rows.append(
            {
                "station_id": station_id,
                "heat": HEATS[heat],
                "heat_since_ms": heat_since,
                "comm": comm,
                "comm_since_ms": comm_since or None,
                "data": book.data_of(station_id, now_ms),
                "target_c": state.target_c(now_ms),
                "outage_id": incidents.open_outage(station_id, now_ms),
                "planned": planned,
            }
        )
    names = ("station_id", "heat", "heat_since_ms", "comm", "comm_since_ms", "data", "target_c", "outage_id", "planned")
    return {name: [row[name] for row in rows] for name in names}
