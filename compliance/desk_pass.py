"""What the service desk must hear of (R6, R7): duties overdue go one step up, complaints whose rooms are warm again are proposed resolved.

open complaints ─┬─▶ duties from stored rows ─▶ overdue? one step up, once
                 └─▶ rooms warm for 24 h of known time? proposed ─▶ a person confirms;  cold again? withdrawn
"""

import structlog
from sqlalchemy import Engine

from compliance.cured import CURED_AFTER_MS, cured_rooms
from compliance.recording.duty_rows import overdue, propose, rooms_to_cure, store_escalation, withdraw
from domain.site import Site
from store.history import History
from store.journal import Journal
from store.points import PointRegistry
from store.records import reading

TOLD_AT_ONCE = 500  # the rest in the next pass: nobody waits long for the records

_log = structlog.get_logger()


class DeskPass:
    """Looks after the open complaints of one site; nothing of it is kept in memory."""

    def __init__(self, site: Site, records: Engine, stores: tuple[History, Journal, PointRegistry]) -> None:
        self.site = site
        self.records = records
        self.stores = stores

    def run(self, now_ms: int, cold: frozenset[str]) -> None:
        """One pass; ``cold`` are the rooms below their limit now. Raises StoreError when the readings can't be read."""
        with reading(self.records).connect() as connection:
            found = overdue(connection, self.site, now_ms)
        if found:  # only then is anybody's writing held up
            with self.records.begin() as connection:
                told = [(subject, one) for subject, one in found[:TOLD_AT_ONCE] if store_escalation(connection, subject, one)]
            for subject, one in told:
                _log.info("overdue", subject=subject, duty=one.duty, told=one.told)
        self.look_for_cures(now_ms, cold)

    def look_for_cures(self, now_ms: int, cold: frozenset[str]) -> None:
        """Proposes complaints all of whose rooms are cured, and withdraws the proposals of those that are cold again."""
        with reading(self.records).connect() as connection:
            complaints = rooms_to_cure(connection)
        proposals = {key: cold & set(rooms) for key, (_, proposed, rooms) in complaints.items() if proposed}
        again = {key: tuple(sorted(rooms)) for key, rooms in proposals.items() if rooms}
        old_enough = {
            key: (opened_at, rooms)
            for key, (opened_at, proposed, rooms) in complaints.items()
            if not proposed and opened_at <= now_ms - CURED_AFTER_MS and not cold & set(rooms)
        }
        opened: dict[str, int] = {}
        for opened_at, rooms in old_enough.values():
            opened |= {room_id: max(opened_at, opened.get(room_id, opened_at)) for room_id in rooms}
        cured = cured_rooms(self.site, self.stores, opened, now_ms)
        ready = {key: rooms for key, (_, rooms) in old_enough.items() if all(room_id in cured for room_id in rooms)}
        if again or ready:
            with self.records.begin() as connection:
                for key, rooms in again.items():
                    withdraw(connection, key, now_ms, rooms)
                for key, rooms in ready.items():
                    evidence = {room_id: cured[room_id].evidence(self.site) for room_id in rooms}
                    propose(connection, key, max(cured[room_id].to_ms for room_id in rooms), {"rooms": evidence})
