"""The entries of the shift log: added, read, never changed."""

from typing import Any

from sqlalchemy import Connection, insert, select

from store.records.tables import shift_entries


def add_entry(
    connection: Connection, at: int, kind: str, who: str, text: str, refers_to: int | None = None, body: dict[str, Any] | None = None
) -> int:
    """Adds an entry in the caller's transaction; returns its id.

    Raises IntegrityError when an entry of this kind refers to the same one already.
    """
    row = {"at": at, "kind": kind, "who": who, "text": text, "refers_to": refers_to, "body": body or {}}
    key = connection.execute(insert(shift_entries).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def entry_rows(connection: Connection) -> list[dict[str, Any]]:
    """All entries in the order in which they were added, as the columns of their table."""
    return [dict(row) for row in connection.execute(select(shift_entries).order_by(shift_entries.c.id)).mappings()]
