"""The loop that feeds the rules: journal → verdicts, alarms → outages, notices → complaints → records.

    journal ─▶ Watch.step: read ─▶ rooms, stations ─▶ one transaction ─▶ live tables
                            ▲      alarms · outages · notices · complaints
                            └── restart: folded states and their cursor come from the records, then the journal is read on

What is found again after a restart stands in the log of events already, so nothing is decided twice.
"""

import json
import os
from datetime import date, datetime
from itertools import groupby
from pwd import getpwuid

import numpy as np
import structlog
from sqlalchemy import Connection, Engine, delete, select

from compliance.alarm_pass import AlarmPass
from compliance.complaint import Estate, RaisedRoom
from compliance.desk_pass import DeskPass
from compliance.evidence import RoomEvidence, gather
from compliance.incident_pass import IncidentPass
from compliance.kernel import I64
from compliance.late_pass import LatePass
from compliance.late_rooms import LateRooms
from compliance.live_tables import room_table, station_state, station_table
from compliance.points_map import PointsMap, measured_quantities
from compliance.recording.alarm_rows import counted_since, re_annunciate, silenced_subjects, suppress
from compliance.recording.complaint_rows import open_book, record_change
from compliance.recording.episode_rows import note_recorded, recorded_upto
from compliance.recording.removed_rows import end_removed
from compliance.room_alarm import Verdict
from compliance.room_book import RoomBook
from compliance.room_days import days_of_changed_rooms, held_to, local_days, record_days
from compliance.station_book import StationBook
from domain.reading import Readings
from domain.site import Site
from store.history import History
from store.journal import Journal
from store.live import write_live
from store.points import PointRegistry
from store.records import reading, tables
from store.records.filed_curves import filed_curves, in_force, last_filed
from store.records.planned_stops import registered_stops, stops_version, with_registered
from store.records.policies import use_policy

CONSUMER = "watch"
LAYOUT = 2  # of the snapshot; one of another layout is not taken up: the journal is judged again, and nothing is decided twice
TWO_HOURS_MS = 2 * 3_600_000

_log = structlog.get_logger()


class Watch:
    """The rules' state over the journal of one site. ``step`` is one pass; it tells whether there was work."""

    def __init__(self, site: Site, journal: Journal, history: History, points: PointRegistry, records: Engine, now_ms: int) -> None:
        self.site = site
        self.journal = journal
        self.history = history
        self.points = points
        self.records = records
        self._stores = (history, journal, points)
        self.estate = Estate.of(site.rooms.values(), site.buildings.values())
        self.map = PointsMap(site, points)
        self.map.refresh()
        self.cursor = 0
        self.behind = False  # whether the journal held more than the last pass took
        self.judged_at = 0
        self.start_ms = now_ms
        self.counts = {"readings": 0, "raised": 0, "too_late": 0, "late_rooms": 0, "late_stations": 0, "passes": 0}
        self.days: set[date] = set()
        kept = self._kept()
        before = json.loads(kept.get(self._name("held_to"), b"{}"))
        self.day_reasons = days_of_changed_rooms(records, site.timezone, before, held_to(site))
        self.days.update(self.day_reasons)
        state = json.loads(kept.get(self._name("state"), b"{}"))
        if state.get("layout") == LAYOUT and state.get("dealt") == self._dealt():
            self.cursor, self.judged_at, self.start_ms = state["cursor"], state["judged_at"], state["start_ms"]
        else:
            first = journal.read(0, 1)[1]
            self.start_ms = min(now_ms, int(first.measured_at.min())) if len(first) else now_ms
            self.judged_at = self.start_ms
            kept = {name: value for name, value in kept.items() if name == self._name("recorded")}
        self.rooms = self._room_book()
        self.stations = StationBook(site, self.start_ms)
        for device in site.devices.values():
            for quantity in measured_quantities(site, device):
                self.stations.measure(device.station_id, quantity)
        if self._name("rooms") in kept:
            self.rooms.restore(kept[self._name("rooms")], self.judged_at)
            self.stations.restore(kept[self._name("stations")])
        recorded = min(recorded_upto(kept, self._name("recorded")), journal.last())  # another journal has its own places
        self.alarms = AlarmPass(site, self.estate, self.rooms, recorded)
        self.incidents = IncidentPass(site, self.stations, self._stores)
        self.late = LatePass(self.stations, self._stores)
        self.late_rooms = LateRooms(self.rooms, records, self._stores)
        self.desk = DeskPass(site, records, self._stores)
        self.last_filed = 0
        self.stops_version = (0, 0)
        with records.begin() as connection:
            if use_policy(connection, site.policy, now_ms, _who()):
                _log.info("judging by another policy", policy=site.policy.name, sha256=site.policy.sha256[:12])
            end_removed(connection, site, max(now_ms, self.judged_at))

    def _refile(self) -> None:
        """Takes up curves filed (R9) and planned stops registered since (R4). They begin later than that, so nothing is judged again."""
        with reading(self.records).connect() as connection:
            last = last_filed(connection)
            if last != self.last_filed:
                self.stations.refile(in_force(self.site, filed_curves(connection)))
                self.last_filed = last
            version = stops_version(connection)
            if version != self.stops_version:
                site = with_registered(self.site, registered_stops(connection))
                self.stations.site = site
                self.incidents.replan(site)
                self.stops_version = version

    def _room_book(self) -> RoomBook:
        site = self.site
        rooms = list(site.rooms.values())
        hold_ms = np.array([site.hold_ms(room) for room in rooms], np.int64)
        return RoomBook(rooms, site.exclusions, site.policy, site.timezone, hold_ms, self.start_ms)

    @property
    def consumer(self) -> str:
        """The name of this node's watch: of its cursor in the journal, its health, its folded states."""
        return f"{CONSUMER}{self.site.share.mark}"

    def _dealt(self) -> str:
        """What this node of several has to judge: another part of the town is judged from the journal's beginning."""
        return " ".join(sorted(self.site.stations)) if self.site.share.mark else ""

    def _name(self, what: str) -> str:
        return f"{self.consumer}.{what}"

    def _kept(self) -> dict[str, bytes]:
        kept = tables.kept.c
        with self.records.connect() as connection:
            return {row.name: row.value for row in connection.execute(select(kept.name, kept.value).where(kept.name.like(self._name("%"))))}

    def step(self, now_ms: int) -> bool:
        """One pass: what has arrived is judged to ``now_ms``, or to its own arrival while there is a backlog."""
        self._refile()
        cursor, readings = self.journal.read(self.cursor)
        came = cursor > self.cursor
        self.behind = came and self.journal.last() > cursor
        upto_ms = min(now_ms, int(readings.received_at.max())) if self.behind and len(readings) else now_ms
        upto_ms = max(upto_ms, self.judged_at)
        room_row = self.map.rooms_of(readings.point)
        of_rooms = room_row >= 0
        self._judge(room_row[of_rooms], readings.take(of_rooms), readings.take(~of_rooms), cursor, upto_ms)
        self.rooms.tidy(upto_ms)
        self._note_days(readings.take(of_rooms), upto_ms)
        self.cursor, self.judged_at = cursor, upto_ms
        self.counts["readings"] += len(readings)
        self.counts["too_late"] = self.late_rooms.too_late + self.stations.too_late
        self.counts["late_rooms"], self.counts["late_stations"] = self.late_rooms.rejudged, self.late.rejudged
        self.counts["passes"] += 1
        return len(readings) > 0

    def _judge(self, room_row: I64, of_rooms: Readings, of_stations: Readings, cursor: int, upto_ms: int) -> None:
        """Judges and records; after a restart not before the journal has been read up to where the last process had recorded.

        A journal that holds nothing more will not tell again what was recorded: duties of time don't wait for that.
        """
        waits = cursor > self.cursor and cursor < self.alarms.recorded
        caught_up = self.cursor < self.alarms.recorded and not waits
        late = self.late_rooms.reopen(room_row, of_rooms, few=not waits, every=caught_up)
        changes = self.rooms.advance(room_row, of_rooms, upto_ms)
        self.stations.advance(of_stations, self.map.subjects, upto_ms)
        if waits:
            self.alarms.wait(changes)
            return
        again = self.late.at_once(upto_ms, every=caught_up)
        with self.records.begin() as connection:
            turned, raised = self.alarms.run(connection, changes, late, upto_ms)
            if self.incidents.run(connection, upto_ms, again) or turned:
                self._note_recorded(connection, cursor, upto_ms)
            self._complaints(connection, raised, upto_ms)
            re_annunciate(connection, upto_ms)
        self.counts["raised"] += len(raised)

    def _note_recorded(self, connection: Connection, cursor: int, now_ms: int) -> None:
        note_recorded(connection, self._name("recorded"), cursor, now_ms)

    def _complaints(self, connection: Connection, raised: list[tuple[int, int, int]], now_ms: int) -> None:
        """Turns the alarms newly raised into complaints, instant by instant; with those learned of late, later ones may roll up."""
        if not raised:
            return
        raised.sort()
        first_at, last_at = raised[0][0], raised[-1][0]
        room_ids = [self.rooms.rooms[row].room_id for _, row, _ in raised]
        fed_by = {station_id for room_id in room_ids if (station_id := self.estate.station_of.get(room_id)) in self.stations.stations}
        states = {station_id: station_state(self.stations, self.incidents, station_id, now_ms) for station_id in fed_by if station_id}
        evidence = gather(self.site, self.estate, self._stores, room_ids, (first_at, min(last_at, now_ms)), states)
        new = {(at, room_id) for (at, *_), room_id in zip(raised, room_ids, strict=True)}
        known = [one for one in counted_since(connection, first_at - TWO_HOURS_MS, last_at + TWO_HOURS_MS + 1) if one not in new]
        book = open_book(connection, self.estate, [one for one in known if one[0] < first_at])
        later = [(at, room_id, 0) for at, room_id in known if at >= first_at]
        both = [*later, *((at, room_id, alarm_id) for (at, _, alarm_id), room_id in zip(raised, room_ids, strict=True))]
        for at, group in groupby(sorted(both), key=lambda one: one[0]):
            rooms = list(group)
            together = self._met(connection, at, [(room_id, alarm_id) for _, room_id, alarm_id in rooms if alarm_id], evidence)
            for change in book.raise_together(at, together, [room_id for _, room_id, alarm_id in rooms if not alarm_id]):
                record_change(connection, change, self.estate, evidence)

    def _met(self, connection: Connection, at: int, raised: list[tuple[str, int]], evidence: RoomEvidence) -> list[RaisedRoom]:
        """What the alarms raised at one instant (room and alarm id of each) meet: an outage, a shelf, a doubtful sensor."""
        silenced = silenced_subjects(connection, at) if raised else {}
        together = []
        for room_id, alarm_id in raised:
            covered_by = self.incidents.covering(connection, self.estate.station_of.get(room_id), at)
            by_person = silenced.get(f"room/{room_id}")
            doubt = None if covered_by or by_person else evidence.suspicion(room_id, at)
            together.append(RaisedRoom(room_id, covered_by, by_person is not None, doubt))
            reason = covered_by or by_person or (f"sensor:{doubt}" if doubt else None)
            if reason:
                suppress(connection, alarm_id, reason)
        return together

    def _note_days(self, readings: Readings, now_ms: int) -> None:
        zone = self.site.timezone
        if len(readings):
            self.days.update(local_days(max(self.start_ms, int(readings.measured_at.min())), now_ms, zone))
        self.days.add(datetime.fromtimestamp(now_ms / 1000, zone).date())

    def late_waiting(self) -> int:
        """How many stations and rooms wait to be judged again."""
        return len(self.stations.late()) + len(self.rooms.late())

    def judge_late(self) -> bool:
        """Judges stations and rooms again whose readings came later than a pass keeps them; tells whether there were any.

        What becomes of rooms the next pass records. Raises StoreError when the history can't be read: they wait, also over a restart.
        """
        again = self.late.rejudge(self.judged_at)
        if again:
            with self.records.begin() as connection:
                if self.incidents.run(connection, self.judged_at, again):
                    self._note_recorded(connection, self.cursor, self.judged_at)
        return self.late_rooms.read() or bool(again)

    def judge_days(self) -> None:
        """Recomputes the figures of the days that changed. Raises StoreError when the history can't be read."""
        today = datetime.fromtimestamp(self.judged_at / 1000, self.site.timezone).date()
        record_days(self.site, self.records, self._stores, sorted(self.days), self.judged_at, self.day_reasons)
        self.days, self.day_reasons = {today}, {}
        with self.records.begin() as connection:
            connection.execute(delete(tables.kept).where(tables.kept.c.name == self._name("held_to")))
            value = json.dumps(held_to(self.site)).encode()
            connection.execute(tables.kept.insert().values(name=self._name("held_to"), value=value, at=self.judged_at))

    def look_after_desk(self) -> None:
        """Overdue duties and cured rooms, as of the instant judged last. Raises StoreError when the history can't be read."""
        cold = np.flatnonzero(self.rooms.states["verdict"] == Verdict.BREACH).tolist()
        self.desk.run(self.judged_at, frozenset(self.rooms.rooms[row].room_id for row in cold))

    def snapshot(self) -> None:
        """Keeps the folded states and their place in the journal, all in one transaction."""
        state = json.dumps(
            {"layout": LAYOUT, "cursor": self.cursor, "judged_at": self.judged_at, "start_ms": self.start_ms, "dealt": self._dealt()}
        ).encode()
        parts = {"state": state, "rooms": self.rooms.dump(), "stations": self.stations.dump()}
        parts = {self._name(name): value for name, value in parts.items()}
        with self.records.begin() as connection:
            connection.execute(delete(tables.kept).where(tables.kept.c.name.in_(parts)))
            connection.execute(
                tables.kept.insert(), [{"name": name, "value": value, "at": self.judged_at} for name, value in parts.items()]
            )
        self.journal.advance(self.consumer, self.cursor)

    def write_live(self) -> None:
        """Shows the pages what was judged last."""
        rooms = room_table(self.rooms, self.judged_at)
        stations = station_table(self.stations, self.incidents, self.judged_at)
        write_live(self.site.data / "live", rooms, stations, self.judged_at, self.site.share.mark)


def _who() -> str:
    """The account that this process runs under; its number where it has no name, as in containers."""
    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
