"""One pass over outages: what the stations' timers derived is matched with the records, and duties follow (R4, R5)."""

from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import Connection

from compliance.adherence import Turn, told_at
from compliance.cause import AFTER_MS, BEFORE_MS, Cause, Signals, cause_of_source, outage_cause
from compliance.events import Event, outage_body, own_marks, subject_of, turn_event
from compliance.late_pass import stored_signals
from compliance.notice import HOUR_MS
from compliance.notice_text import Facts
from compliance.outage import Outage, SourceOutage, planned_at, source_outages
from compliance.recording.alarm_rows import correct_station_alarms, station_alarm
from compliance.recording.event_rows import record_event
from compliance.recording.outage_rows import (
    Recorded,
    amend_notice,
    close_notice,
    insert_outage,
    open_then,
    owe_notice,
    reconcile,
    set_parent,
    standing_rows,
    update_outage,
    warn,
)
from compliance.recording.planned_rows import planned_notices
from compliance.replay import duty_at
from compliance.station_book import StationBook
from compliance.station_state import StationState
from domain.errors import StoreError
from domain.site import Site
from store.history import History
from store.journal import Journal
from store.points import PointRegistry


class IncidentPass:
    """Keeps the records' outages in step with what is derived; remembers which row is whose for the pages and complaints."""

    def __init__(self, site: Site, stations: StationBook, stores: tuple[History, Journal, PointRegistry]) -> None:
        self.site = site
        self.stations = stations
        self.recorded: list[Recorded] = []
        self._stores = stores
        self._again: Mapping[str, Signals] = {}
        self._stored: dict[tuple[int, int, tuple[str, ...]], Mapping[str, Signals]] = {}  # of this pass, by their span and stations
        self._comm: dict[str, str] = {}
        self._turns: set[tuple[str, str, int]] = set()
        self._planned_due = 0
        self._changed = False
        self._told: dict[int, Facts] = {}  # what each notice was last compared with

    def replan(self, site: Site) -> None:
        """Takes other planned stops, for what is decided from now on."""
        self.site, self._planned_due = site, 0

    def run(self, connection: Connection, now_ms: int, again: Mapping[str, Signals] | None = None) -> bool:
        """Matches, records and warns; everything with an instant up to ``now_ms``. Tells whether any outage is otherwise than before.

        ``again`` holds the stored signals of the stations that were judged again, from a checkpoint further back (late readings).
        """
        self._again = again or {}
        self._changed = False
        recorded: list[Recorded] = []
        for station_id, state in self.stations.stations.items():
            subject = f"station/{station_id}"
            if state.outages or station_id in self._again or self._stands(subject):
                recorded += self._match(connection, subject, state.outages, state.checkpoint_at, now_ms)
        sources: list[SourceOutage] = []
        for source_id, station_ids in self.site.sources.items():
            since_ms = self._since(connection, source_id, station_ids)
            if since_ms is not None:
                members = [one for station_id in station_ids for one in self.stations.stations[station_id].outages_after(since_ms)]
                derived = source_outages(members, {source_id: station_ids})
                recorded += self._match(connection, f"source/{source_id}", derived, since_ms, now_ms, members)
                sources += derived
        self.recorded = recorded
        self._join_parts(connection)
        for one in recorded:
            self._duties(connection, one, sources, now_ms)
        self._comm_changes(connection, now_ms)
        self._keeping(connection, now_ms)
        if now_ms >= self._planned_due:
            self._planned_due = planned_notices(connection, self.site, now_ms)
        self._stored.clear()
        return self._changed

    def _since(self, connection: Connection, source_id: str, station_ids: Sequence[str]) -> int | None:
        """From when on the source's outages must be found anew: nothing before has changed. None where nothing can have.

        An outage of the source that was open then is found anew from its opening: none other was open at that instant.
        """
        states = self.stations.stations
        changed = [one for one in station_ids if states[one].outages or one in self._again or self._stands(f"station/{one}")]
        if not changed:
            return None
        since_ms = min(states[one].checkpoint_at for one in changed)
        then = open_then(connection, f"source/{source_id}", since_ms)
        return since_ms if then is None else then[1]

    def _match(
        self,
        connection: Connection,
        subject: str,
        derived: Sequence[Outage] | Sequence[SourceOutage],
        since_ms: int,
        now_ms: int,
        members: Sequence[Outage] = (),
    ) -> list[Recorded]:
        rows = standing_rows(connection, subject, since_ms)
        pairs = reconcile(connection, self.site, derived, rows, now_ms, members)
        self._changed |= len(rows) > sum(row is not None for _, row in pairs)
        found: list[Recorded] = []
        for outage, row in pairs:
            if row is not None:
                found.append(update_outage(connection, outage, row, now_ms))
            elif outage.opened_at <= now_ms:
                found.append(insert_outage(connection, outage, self._cause(outage, now_ms), self._source_of(outage), now_ms))
        self._changed |= any(one.changed for one in found)
        return found

    def _stands(self, subject: str) -> bool:
        """Whether the last pass left an outage of this subject, which late readings may now have undone."""
        return any(subject_of(one.outage) == subject for one in self.recorded)

    def _cause(self, outage: Outage | SourceOutage, now_ms: int) -> Cause:
        if isinstance(outage, SourceOutage):
            return cause_of_source(outage)
        signals = self._around([outage.station_id, *self.site.beside(outage.station_id)], outage.started_at)
        own = signals.pop(outage.station_id)
        lost = outage.ended_seen_at is None and self.stations.comm_of(outage.station_id, now_ms)[0] == "lost"
        return outage_cause(own, outage.started_at, others=list(signals.values()), comm_lost=lost)

    def _around(self, station_ids: Sequence[str], at: int) -> dict[str, Signals]:
        """What was measured at these stations around an instant: what the pass still has, else what is stored."""
        states = {one: self.stations.stations[one] for one in station_ids}
        found = {one: self._again.get(one) or {name: tail.series for name, tail in state.tails.items()} for one, state in states.items()}
        gone = tuple(one for one, state in states.items() if one not in self._again and at - BEFORE_MS < state.kept_from)
        if gone:
            found |= self._long_ago(gone, at)
        return found

    def _long_ago(self, station_ids: tuple[str, ...], at: int) -> Mapping[str, Signals]:
        """The stored readings around an instant; nothing while the history is down. Read once for stations that stopped about one time."""
        for (from_ms, to_ms, ids), signals in self._stored.items():
            if from_ms <= at - BEFORE_MS and at + AFTER_MS < to_ms and set(station_ids) <= set(ids):
                return {one: signals[one] for one in station_ids}
        span = at - BEFORE_MS - HOUR_MS, at + AFTER_MS + HOUR_MS
        try:
            signals = stored_signals(self._stores, [self.stations.stations[one] for one in station_ids], *span)
        except StoreError:
            return {}
        self._stored[*span, station_ids] = signals
        return signals

    def _source_of(self, outage: Outage | SourceOutage) -> str | None:
        if isinstance(outage, SourceOutage):
            return outage.source_id
        return self.site.stations[outage.station_id].source_id

    def _join_parts(self, connection: Connection) -> None:
        ids = {one.outage: one.row_id for one in self.recorded if isinstance(one.outage, Outage)}
        for one in self.recorded:
            if isinstance(one.outage, SourceOutage):
                set_parent(connection, [ids[part] for part in one.outage.parts if part in ids], one.row_id)

    def _duties(self, connection: Connection, one: Recorded, sources: Sequence[SourceOutage], now_ms: int) -> None:
        outage = one.outage
        duty = duty_at(self.site.policy, self.site, outage.opened_at)
        for mark in own_marks(outage, sources, duty, now_ms):
            if mark.due:
                owe_notice(connection, self.site, one, mark)
            else:
                warn(connection, one, mark)
        if outage.ended_seen_at is not None:
            over = _season_ended(outage)
            closing, why = ("season_ended", "the season is over") if over else ("restored", "heat is back")
            ended_at = outage.ended_at if outage.ended_at is not None else outage.ended_seen_at
            known = outage_body(outage, one.cause)
            close_notice(connection, self.site, one.row_id, outage.ended_seen_at, (closing, ended_at), why, known)
            self._told.pop(one.row_id, None)
        else:
            self._amend(connection, one, now_ms)

    def _amend(self, connection: Connection, one: Recorded, now_ms: int) -> None:
        """Keeps what a notice says true: late readings move a start, stations follow an outage of their source."""
        facts = Facts.of_outage(one.outage, one.cause)
        if self._told.get(one.row_id) != facts:
            amend_notice(connection, self.site, one, now_ms)
            self._told[one.row_id] = facts

    def _comm_changes(self, connection: Connection, now_ms: int) -> None:
        """Logs when a station's line is lost and when it is back; a lost line is not an outage."""
        for station_id in self.stations.stations:
            comm, since_ms = self.stations.comm_of(station_id, now_ms)
            state = "lost" if comm == "lost" else "up"
            before = self._comm.setdefault(station_id, "up")
            if state != before:
                self._comm[station_id] = state
                at = since_ms if since_ms is not None and since_ms > 0 else now_ms
                record_event(connection, Event(at, f"comm.{state}", f"station/{station_id}"))

    def _keeping(self, connection: Connection, now_ms: int) -> None:
        """Stations that left their curve or lose water (R9): each turn once. What no station derives any more is told already."""
        derived: set[tuple[str, str, int]] = set()
        for station_id, state in self.stations.stations.items():
            if station_id in self._again:
                correct_station_alarms(connection, f"station/{station_id}", state.checkpoint_at, state.turns, now_ms)
            for turn in state.turns:
                key = (station_id, turn.event, turn.at)
                derived.add(key)
                if turn.at > now_ms or key in self._turns:
                    continue
                self._turns.add(key)
                event = turn_event(turn, station_id)
                if record_event(connection, event):
                    station_alarm(connection, event, partial(self._told_at, turn, state))
        self._turns &= derived

    def _told_at(self, turn: Turn, state: StationState) -> tuple[float, float]:
        """Value and limit that an alarm is raised at."""
        return told_at(turn, self._around([state.station_id], turn.at)[state.station_id], state.rules)

    def covering(self, connection: Connection, station_id: str | None, at: int) -> str | None:
        """What suppresses a room's alarm by design: ``planned_stop``, or ``outage/ID`` of the open outage; None when nothing does."""
        if planned_at(self.site.planned_stops, station_id, at):
            return "planned_stop"
        if station_id not in self.stations.stations:
            return None
        if at < self.stations.stations[station_id].checkpoint_at:  # of a room whose readings come late
            then = open_then(connection, f"station/{station_id}", at)
            return None if then is None else f"outage/{then[0]}"
        outage_id = self.open_outage(station_id, at)
        return None if outage_id is None else f"outage/{outage_id}"

    def open_outage(self, station_id: str, at: int) -> int | None:
        """The id of the station's outage that is open at this instant."""
        for one in self.recorded:
            if isinstance(one.outage, Outage) and one.outage.station_id == station_id and one.outage.open_at(at):
                return one.row_id
        return None


def _season_ended(outage: Outage | SourceOutage) -> bool:
    """Whether the outage ended because the season did."""
    parts = outage.parts if isinstance(outage, SourceOutage) else (outage,)
    return all(part.season_ended for part in parts)
