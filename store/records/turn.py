"""Whose turn it is to judge, where several hosts share the records: a lock of a PostgreSQL session.

    first watch ── holds the session's lock ── dies ─┐ the server sees the connection end, at most 20 s later
    standby ────── asks once a second ───────────────┴▶ has it

On SQLite there is one host, and the lock of the data folder is enough.
"""

from threading import Event

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import StoreError
from domain.site import WHOLE, Share

ASK_S = 1.0
_LOCK = 0x6B777463  # "kwtc": the advisory lock of the one process that judges (a node)
# A host that lost its power closes no connection: the server asks after 5 s of silence, thrice. Its own default is two hours.
_KEEPALIVE = ("tcp_keepalives_idle = 5", "tcp_keepalives_interval = 5", "tcp_keepalives_count = 3")


class Turn:
    """The right to judge by these records, taken by ``wait`` and confirmed by ``confirm``."""

    def __init__(self, records: Engine, share: Share = WHOLE) -> None:
        self._records = records
        self._node = share.count * 1000 + share.number  # each node of a site has a turn of its own
        self._session: Connection | None = None

    def wait(self, stop: Event) -> bool:
        """Waits until it is ours; False when told to stop before. Raises StoreError when the server can't be reached."""
        if self._records.dialect.name == "sqlite" or self._session is not None:
            return not stop.is_set()
        try:
            session = self._records.connect().execution_options(isolation_level="AUTOCOMMIT")
        except SQLAlchemyError as error:
            raise StoreError(f"records: {error}") from error
        try:
            for setting in _KEEPALIVE:
                session.execute(text(f"SET {setting}"))
            while not session.scalar(text("SELECT pg_try_advisory_lock(:key, :node)"), {"key": _LOCK, "node": self._node}):
                if stop.wait(ASK_S):
                    session.close()
                    return False
        except SQLAlchemyError as error:
            session.invalidate()
            session.close()
            raise StoreError(f"records: {error}") from error
        self._session = session
        return not stop.is_set()

    def confirm(self) -> None:
        """Raises StoreError when the session was lost, and the turn with it: another may judge by now."""
        if self._session is None:
            return
        try:
            self._session.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            self.give_up()
            raise StoreError("the session that holds the turn to judge was lost") from error

    def give_up(self) -> None:
        """Ends the session; the server frees the lock with it."""
        if self._session is not None:
            self._session.invalidate()
            self._session.close()
            self._session = None
