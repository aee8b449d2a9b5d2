"""What the live loop asks of the records pass by pass never reads a table through that grows with the years: by the database's own plan."""

from collections.abc import Callable
from dataclasses import replace

from domain.site import Building, Room, Site, Station
from tests.compliance.feeding import Feed, every
from tests.compliance.test_late_outages import FLOW, Live
from tests.dashboard.test_query_plans import by_sqlite, plans, scanned

START, STOP, END = "2026-01-15 00:00", "2026-01-15 12:00", "2026-01-16 00:00"
NIGHT, LATER = "2026-01-14 20:00", "2026-01-18 00:00"


def test_no_pass_reads_through_what_grows(site: Site, feed: Callable[[Site], Feed]) -> None:
    rooms = {f"R{n}": Room(f"R{n}", "B1", "S1") for n in range(8)}
    town = replace(site, rooms=rooms, buildings={"B1": Building("B1", "S1")}, stations={"S1": Station("S1", design_flow_m3h=100.0)})
    points = [f"room/{room_id}/indoor_temp_c" for room_id in rooms]
    live = Live(feed(town))
    with plans(live.live.records, by_sqlite) as found:
        live.arrive([row for point in points for row in every(point, NIGHT, STOP, 15.0 if point in points[:6] else 19.0)], STOP)
        live.arrive([*every(FLOW, START, STOP, 80.0, 2), *every(FLOW, STOP, END, 0.0, 2)], END)
        live.arrive([row for point in points for row in every(point, STOP, LATER, 19.0)], LATER)
        live.arrive([row for point in points[6:] for row in every(point, "2026-01-15 01:05", "2026-01-15 04:05", 15.0)], LATER)
        live.arrive(every(FLOW, END, LATER, 80.0, 2), LATER)
        live.watch.look_after_desk()
    said = {event.event for event in live.live.events()}
    assert said >= {"alarm.raised", "alarm.cleared", "complaint.opened", "outage.opened", "outage.ended", "notice.due", "notice.closed"}
    assert {statement: lines for statement, lines in found if scanned(statement, lines)} == {}
