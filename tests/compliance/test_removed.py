"""Rooms and stations that are taken out of a site: what stood of them ends, for no reading will ever end it."""

import random
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import select

from compliance.watch import Watch
from domain.site import Room, Share, Site, Station
from store.records import tables
from tests.compliance.feeding import Feed, every, local_ms

NOON, TWO, FIVE = "2026-01-14 12:00", "2026-01-14 14:00", "2026-01-14 17:00"


def stood(fed: Feed) -> tuple[dict[str, str | None], dict[str, str]]:
    """Why each room's alarm was cleared (None: it stands), and the state of each station's outage."""
    alarms, outages = tables.alarms.c, tables.outages.c
    with fed.records.connect() as connection:
        cleared = {row.subject: row.cleared_reason for row in connection.execute(select(alarms.subject, alarms.cleared_reason))}
        return cleared, {row.subject: row.state for row in connection.execute(select(outages.subject, outages.state))}


def test_what_stood_of_removed_rooms_and_stations_ends_with_the_next_watch(site: Site, feed: Callable[[Site], Feed]) -> None:
    stations = {one: Station(one, design_flow_m3h=100.0) for one in ("S1", "S2")}
    fed = feed(replace(site, stations=stations, rooms={one: Room(one) for one in ("R1", "R2")}))
    rows = [row for one in ("R1", "R2") for row in every(f"room/{one}/indoor_temp_c", NOON, TWO, 17.0)]
    rows += [row for one in ("S1", "S2") for row in every(f"station/{one}/secondary_flow_m3h", NOON, TWO, 0.0, 1)]
    fed.run(rows, local_ms(TWO), random.Random(1))
    assert stood(fed) == ({"room/R1": None, "room/R2": None}, {"station/S1": "open", "station/S2": "open"})

    left = replace(fed.site, stations={"S1": stations["S1"]}, rooms={"R1": Room("R1")})
    stores = fed.journal, fed.history, fed.points, fed.records
    Watch(replace(left, share=Share(1, 2)), *stores, local_ms(FIVE))  # the others may be another node's
    assert stood(fed) == ({"room/R1": None, "room/R2": None}, {"station/S1": "open", "station/S2": "open"})
    for _ in range(2):
        Watch(left, *stores, local_ms(FIVE)).step(local_ms(FIVE))
    assert stood(fed) == ({"room/R1": None, "room/R2": "removed"}, {"station/S1": "open", "station/S2": "ended"})
    said = [(event.event, event.subject, event.body) for event in fed.events() if event.at == local_ms(FIVE)]
    assert [one for one in said if one[1].endswith("2")] == [
        ("alarm.cleared", "room/R2", {"reason": "removed"}),
        ("outage.ended", "station/S2", {"reason": "removed"}),
    ]
