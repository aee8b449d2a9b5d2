"""One pass over room alarms: what the readings made of them is matched with the records (R3); what is newly raised is handed on.

    changes ─▶ found again after a restart? wait ─▶ events told once ─▶ rooms that turned: episodes ─▶ their rows ─▶ newly raised

A pass that changes anything records where in the journal it was, in the same transaction. After a restart the folded states are
those of the last snapshot; until the journal has been read up to that place nothing is recorded, so nothing that later readings undid
comes back.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Connection

from compliance.complaint import Estate
from compliance.events import Event, ExcludedAt, alarm_events
from compliance.recording.alarm_rows import data_is_back
from compliance.recording.episode_rows import RoomAlarms, keep_in_step
from compliance.recording.event_rows import record_event
from compliance.room_alarm import RoomEvent, RoomEvents, Verdict, joined
from compliance.room_book import Reopened, RoomBook, RoomChanges
from compliance.room_episodes import Episode
from domain.site import Site

RAISED, CLEARED = "alarm.raised", "alarm.cleared"
BACK_EVERY = 5  # passes between two looks for rooms whose data are back

Said = Mapping[tuple[int, str, int], Event]


class AlarmPass:
    """Keeps the records' room alarms in step; ``recorded`` is the place in the journal up to which the last process had recorded."""

    def __init__(self, site: Site, estate: Estate, rooms: RoomBook, recorded: int) -> None:
        self.site = site
        self.estate = estate
        self.rooms = rooms
        self.recorded = recorded
        self.excluded = ExcludedAt((one.room_id, one.from_ms, one.to_ms) for one in site.exclusions)
        self.passes = 0
        self._waiting: list[RoomChanges] = []

    def wait(self, changes: RoomChanges) -> None:
        """All this was recorded before the last restart: it waits until the journal is read up to where that was."""
        self._waiting.append(changes)

    def run(self, connection: Connection, changes: RoomChanges, late: Reopened, now_ms: int) -> tuple[bool, list[tuple[int, int, int]]]:
        """Stores what happened, also in the rooms that were judged again from further back (``late``).

        Tells whether any room turned; returns (instant, room row, alarm id) of each alarm newly raised.
        """
        happened, turned = self._with_waiting(changes)
        happened, turned = joined([late.events, happened]), sorted({*turned, *late.rows.tolist()})
        said: dict[tuple[int, str, int], Event] = {}
        room_ids = [room.room_id for room in self.rooms.rooms]
        for row, event in zip(happened.room.tolist(), alarm_events(happened, room_ids, self.excluded), strict=True):
            if event.event in (RAISED, CLEARED):
                said[row, event.event, event.at] = event
            else:
                record_event(connection, event)
        raised = self._keep_in_step(connection, turned, late, said, now_ms)
        if self.passes % BACK_EVERY == 0:
            known = np.flatnonzero(self.rooms.states["verdict"] >= Verdict.COMPLIANT).tolist()
            data_is_back(connection, {f"room/{room_ids[row]}": True for row in known})
        self.passes += 1
        return bool(turned), raised

    def _with_waiting(self, changes: RoomChanges) -> tuple[RoomEvents, list[int]]:
        """What happened in this pass and those that waited, as far as it still holds; the rooms in which anything did."""
        every, self._waiting = [*self._waiting, changes], []
        turned = np.unique(np.concatenate([rooms for one in every for rooms in (one.happened.room, one.undone.room)])).tolist()
        if len(every) == 1:
            return changes.happened, turned
        happened = joined([one.happened for one in every])
        rows = np.flatnonzero(self.rooms.stands(happened))
        return happened.take(rows[np.argsort(happened.at[rows], kind="stable")]), turned

    def _keep_in_step(
        self, connection: Connection, turned: Sequence[int], late: Reopened, said: Said, now_ms: int
    ) -> list[tuple[int, int, int]]:
        row_of = {f"room/{self.rooms.rooms[row].room_id}": row for row in turned}
        since_ms = dict(zip(turned, self.rooms.checkpoint_at[turned].tolist(), strict=True))
        since_ms |= dict(zip(late.rows.tolist(), late.since_ms.tolist(), strict=True))
        found = [self._alarms_of(row, since_ms[row], episodes, said) for row, episodes in self.rooms.episodes(turned, late).items()]
        raised: list[tuple[int, int, int]] = []
        for subject, outcome in keep_in_step(connection, found, now_ms):
            row, episode = row_of[subject], outcome.episode
            told = [(row, RAISED, episode.raised_at)] if outcome.new else []
            told += [(row, CLEARED, episode.cleared_at)] if outcome.ended and episode.cleared_at is not None else []
            for key in told:
                if key in said:
                    record_event(connection, said[key])
            if outcome.new:
                raised.append((episode.raised_at, row, outcome.alarm_id))
        return raised

    def _alarms_of(self, row: int, since_ms: int, episodes: Sequence[Episode], said: Said) -> RoomAlarms:
        room = self.rooms.rooms[row]
        station_id = self.estate.station_of.get(room.room_id)
        place = {"station_id": station_id, "building_id": room.building_id, "policy": self.site.policy.name}

        def cleared_reason(episode: Episode) -> str:
            if episode.cleared_by == RoomEvent.CLEARED:
                return "recovered"
            return "excluded" if self.excluded(room.room_id, episode.cleared_at or 0) else "season_ended"

        def measured(episode: Episode) -> tuple[float | None, float | None]:
            event = said.get((row, RAISED, episode.raised_at))
            return (None, None) if event is None else (event.body["value_c"], event.body["limit_c"])

        return RoomAlarms(f"room/{room.room_id}", place, since_ms, episodes, cleared_reason, measured)
