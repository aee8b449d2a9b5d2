"""Rooms over a period (R2), from their stored days: 室温合格率, and the buildings that are worst off."""

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, select

from compliance.report.period import Period
from domain.site import Site
from store.records.tables import room_days

WORST = 20
ROWS_AT_ONCE = 10_000
HOUR_MS = 3_600_000


@dataclass(slots=True)  # a town has a hundred thousand for each month
class RoomSum:
    """R2 of one room, or of several, over some days. Times in ms."""

    judged_ms: int = 0
    compliant_ms: int = 0
    breach_ms: int = 0
    deficit_kh: float = 0.0
    min_c: float | None = None

    def add(self, other: "RoomSum") -> None:
        """Takes another's figures in."""
        self.judged_ms += other.judged_ms
        self.compliant_ms += other.compliant_ms
        self.breach_ms += other.breach_ms
        self.deficit_kh += other.deficit_kh
        self.min_c = min((low for low in (self.min_c, other.min_c) if low is not None), default=None)

    @property
    def known_ms(self) -> int:
        """Judged time of which the verdict is known."""
        return self.compliant_ms + self.breach_ms

    @property
    def known(self) -> bool:
        """Whether at least half of its judged time is known (coverage ≥ 0.5)."""
        return self.judged_ms > 0 and 2 * self.known_ms >= self.judged_ms


ByMonth = Mapping[str, Mapping[str, RoomSum]]  # month → room → its figures


def room_sums(connection: Connection, period: Period, wanted: Container[str] | None = None) -> tuple[dict[str, dict[str, RoomSum]], str]:
    """Figures by month and room, and the SHA-256 of the rows they come from; of the rooms ``wanted``, all for None."""
    days = room_days.c
    month = func.substr(days.day, 1, 7)
    judged_ms, compliant_ms, breach_ms = (func.sum(column) for column in (days.judged_ms, days.compliant_ms, days.breach_ms))
    query = (
        select(month, days.room_id, judged_ms, compliant_ms, breach_ms, func.sum(days.deficit_kh), func.min(days.min_c))
        .where(days.day >= period.first.isoformat(), days.day < period.after.isoformat())
        .group_by(month, days.room_id)
        .order_by(month, days.room_id)
    )
    found: dict[str, dict[str, RoomSum]] = {}
    names: dict[str, str] = {}  # one string for a room of all months
    digest = sha256()
    for name, room_id, judged, compliant, breach, deficit, low in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}):
        if wanted is not None and room_id not in wanted:
            continue
        one = RoomSum(int(judged), int(compliant), int(breach), round(float(deficit), 9), low)
        found.setdefault(name, {})[names.setdefault(room_id, room_id)] = one
        digest.update(json.dumps([name, room_id, one.judged_ms, one.compliant_ms, one.breach_ms, one.deficit_kh, low]).encode())
    return found, digest.hexdigest()


def over_months(sums: ByMonth, months: Iterable[str]) -> dict[str, RoomSum]:
    """Each room over these months together."""
    found: dict[str, RoomSum] = {}
    for month in months:
        for room_id, one in sums.get(month, {}).items():
            found.setdefault(room_id, RoomSum()).add(one)
    return found


def total_of(rooms: Mapping[str, RoomSum]) -> dict[str, Any]:
    """The sums of R2 over rooms, as ``keepwarm audit`` names them."""
    whole = RoomSum()
    for one in rooms.values():
        whole.add(one)
    known = [one for one in rooms.values() if one.known]
    return {
        "rooms": len(rooms),
        "rooms_judged": sum(one.judged_ms > 0 for one in rooms.values()),
        "rooms_known": len(known),
        "rooms_without_breach": sum(one.breach_ms == 0 for one in known),
        **_figures(whole),
    }


def _figures(one: RoomSum) -> dict[str, Any]:
    return {
        "judged_h": round(one.judged_ms / HOUR_MS, 2),
        "breach_h": round(one.breach_ms / HOUR_MS, 2),
        "unknown_h": round((one.judged_ms - one.known_ms) / HOUR_MS, 2),
        "deficit_kh": round(one.deficit_kh, 2),
        "min_c": None if one.min_c is None else round(one.min_c, 2),
        "compliance_rate": ratio(one.compliant_ms, one.known_ms),
        "coverage": ratio(one.known_ms, one.judged_ms),
    }


def worst_buildings(site: Site, rooms: Mapping[str, RoomSum]) -> list[dict[str, Any]]:
    """The buildings with the greatest deficit for each room, those without a breach left out."""
    members: dict[str, dict[str, RoomSum]] = {}
    for room_id, one in rooms.items():
        room = site.rooms.get(room_id)
        if room is not None and room.building_id is not None:
            members.setdefault(room.building_id, {})[room_id] = one
    found = []
    for building_id, own in members.items():
        building = site.buildings.get(building_id)
        total = total_of(own)
        station_id = (building.station_id if building else None) or next((site.rooms[one].station_id for one in own), None)
        found.append({"building_id": building_id, "name": building.name if building else "", "station_id": station_id, **total})
    found = [row for row in found if row["breach_h"] > 0]
    return sorted(found, key=lambda row: (-row["deficit_kh"] / row["rooms"], row["building_id"]))[:WORST]


def ratio(part: float, whole: float) -> float | None:
    """The share, None of nothing."""
    return round(part / whole, 6) if whole else None
