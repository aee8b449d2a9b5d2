"""The whole report as one document; its renderings add nothing and leave nothing out.

room days ─▶ rooms ────┐
readings ─▶ stations ──┼─▶ indicators (period, each month) ─▶ document, signed with the hash of its inputs
records ─▶ desk ───────┘
"""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import numpy as np
from sqlalchemy import Engine

from compliance.report.area import area_of
from compliance.report.desk import (
    Reported,
    cause_counts,
    complaint_counts,
    desk_indicators,
    duty_rows,
    indicator,
    outage_register,
    reported,
)
from compliance.report.period import Period
from compliance.report.rooms import RoomSum, over_months, ratio, room_sums, total_of, worst_buildings
from compliance.report.stations import StationDays, station_day_rows, station_days, station_rows
from compliance.room_days import day_span
from compliance.service_duties import Case
from domain.clock import iso
from domain.site import Site
from store.history import History
from store.journal import Journal
from store.points import PointRegistry
from store.records import reading
from store.records.filed_curves import filed_curves, in_force
from store.records.visits import chain_head

LAYOUT = 1
SETTLED_AFTER_MS = 7 * 86_400_000  # call-backs after the period's last repairs are due by then (R7)


def build_report(
    site: Site, records: Engine, stores: tuple[History, Journal, PointRegistry], period: Period, now_ms: int, area: str = ""
) -> dict[str, Any]:
    """The report on a period, of the whole site or of an area of it (``area_of``).

    What was stored up to a week after its end counts, or up to ``now_ms`` where that is earlier.

    The same inputs give the same document but for ``created_at``. Raises StoreError when readings or records can't be read,
    ConfigError for an area that the site does not have.
    """
    site = area_of(site, area)
    stations_of = frozenset(site.stations) if area else None
    as_of_ms = min(now_ms, period.to_ms + SETTLED_AFTER_MS)
    until_ms = min(now_ms, period.to_ms)
    days = _days(period.first, period.after, site, until_ms)
    edges = np.array([day_span(day, site.timezone)[0] for day in days] + [until_ms], np.int64)
    with reading(records).connect() as connection:
        sums, rooms_sha256 = room_sums(connection, period, frozenset(site.rooms) if area else None)
        desk = reported(connection, site, (period.from_ms, period.to_ms), as_of_ms, stations_of)
        outages = outage_register(connection, site, (period.from_ms, period.to_ms), as_of_ms, stations_of)
        curves = {key: own for key, own in in_force(site, filed_curves(connection)).items() if stations_of is None or key in stations_of}
        head = chain_head(connection)
    stations = list(station_days(site, stores, curves, edges))
    whole = over_months(sums, sums)
    inputs = [rooms_sha256, [_known(one) for one in desk], outages, [(one.station_id, one.readings_sha256) for one in stations]]
    inputs += [[site.policy.sha256], sorted((key, [_point(curve) for curve in found]) for key, found in curves.items())]
    names = [day.isoformat() for day in days]
    return {
        "report": {
            **_head(site, period, area, as_of_ms, now_ms),
            "visits": {"count": head[0], "head": head[1]},
            "inputs_sha256": sha256(json.dumps(inputs, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest(),
        },
        "indicators": _indicators(whole, desk, stations, np.arange(len(names))),
        "months": [
            {"month": month, "indicators": _of_month(month, sums.get(month, {}), desk, stations, names)}
            for month in period.months
            if any(name.startswith(month) for name in names)
        ],
        "rooms": total_of(whole),
        "worst_buildings": worst_buildings(site, whole),
        "outages": outages,
        "stations": station_rows(site, stations),
        "station_days": station_day_rows(stations, names),
        "complaints": complaint_counts(desk),
        "causes": cause_counts(desk),
        "duties": duty_rows(desk),
    }


def _head(site: Site, period: Period, area: str, as_of_ms: int, now_ms: int) -> dict[str, Any]:
    """What is reported on, as of when, by which software and policy."""
    versions = [one for one in site.policy.versions if one.valid_from < period.after]
    return {
        "layout": LAYOUT,
        "site": site.name,
        "area": area or None,
        "period": period.name,
        "from": iso(period.from_ms, site.timezone),
        "to": iso(period.to_ms, site.timezone),
        "as_of": iso(as_of_ms, site.timezone),
        "complete": now_ms >= period.to_ms + SETTLED_AFTER_MS,
        "created_at": iso(now_ms, site.timezone),
        "software": f"keepwarm {version('keepwarm')}",
        "policy": {
            "name": site.policy.name,
            "sha256": site.policy.sha256,
            "valid_from": versions[-1].valid_from.isoformat() if versions else None,
            "deadlines": versions[-1].deadlines if versions else None,
        },
    }


def _of_month(
    month: str, rooms: dict[str, RoomSum], desk: Sequence[Reported], stations: Sequence[StationDays], names: Sequence[str]
) -> list[dict[str, Any]]:
    """The indicators of one month of the period; ``names`` are its days."""
    days = np.array([index for index, name in enumerate(names) if name.startswith(month)], np.int64)
    return _indicators(rooms, [one for one in desk if one.month == month], stations, days)


def _days(first: date, after: date, site: Site, until_ms: int) -> list[date]:
    days, day = [], first
    while day < after and day_span(day, site.timezone)[0] < until_ms:
        days.append(day)
        day += timedelta(days=1)
    return days


def _indicators(rooms: dict[str, RoomSum], desk: Sequence[Reported], stations: Sequence[StationDays], days: Any) -> list[dict[str, Any]]:
    figures = total_of(rooms)
    makeup, circulation, known_ms, season_ms = (
        sum(float(getattr(one, name)[days].sum()) for one in stations)
        for name in ("makeup_m3", "circulation_m3", "water_known_ms", "season_ms")
    )
    share = ratio(figures["rooms_known"], figures["rooms_judged"])
    return [
        indicator("rooms_compliant", figures["rooms_without_breach"], figures["rooms_known"], share),
        *desk_indicators(desk),
        indicator("water_loss", round(makeup, 3), round(circulation, 1), ratio(known_ms, season_ms)),
    ]


def _known(one: Reported) -> list[Any]:
    return [one.id, one.cause, *_case(one.case)]


def _case(case: Case) -> list[Any]:
    steps = [[step.to_state, step.at] for step in case.steps]
    deeds = [[deed.kind, deed.at, deed.reached, deed.satisfied, deed.cause] for deed in case.deeds]
    merged = [_case(one) for one in case.merged]
    return [case.category, case.severity, case.origin, case.reported_at, steps, deeds, merged]


def _point(curve: Any) -> list[Any]:
    return [curve.effective_from_ms, list(curve.outdoor_c), list(curve.supply_c), list(curve.offsets_k)]
