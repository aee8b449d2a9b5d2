"""The guards of the append-only tables: that the database still refuses, itself, to alter or remove what was measured, decided and done.

A guard that is gone, switched off, or that was made to let something pass is named. The layout (``migrations``) sets them up.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, text

from store.records.tables import metadata

APPEND_ONLY: Final = (
    *("visits", "shift_entries", "events", "audit", "alarm_transitions", "outage_transitions", "notice_transitions"),
    *("complaint_transitions", "complaint_deeds", "escalations", "outage_versions", "room_day_versions"),
)
QUEUED: Final = "queued"  # the outbox marks with this column what it has taken over: it alone may change
# What pg_trigger.tgtype says of them: ROW 1, BEFORE 2, DELETE 8, UPDATE 16, TRUNCATE 32.
_ON_POSTGRESQL: Final = {"no_change": 1 | 2 | 8 | 16, "no_truncate": 2 | 32}


def unguarded(connection: Connection, tables: Sequence[str] = APPEND_ONLY) -> Iterator[str]:
    """A line for each table whose protection was removed, and one where it was weakened; nothing where all stand as they were set up."""
    found = _on_postgresql(connection) if connection.dialect.name == "postgresql" else _on_sqlite(connection)
    for table in tables:
        expected = _expected(connection.dialect.name, table)
        missing = [name for name in expected if name not in found]
        weakened = [name for name, guard in expected.items() if name in found and found[name] != guard]
        if missing:
            yield f"the database's own protection was removed: {', '.join(sorted(missing))}"
        if weakened:
            yield f"the database's own protection was weakened: {', '.join(sorted(weakened))}"


def _expected(dialect: str, table: str) -> dict[str, tuple[object, ...]]:
    """What stands in the database for each guard of a table, by its name."""
    refusal = f"{table} are append-only: a correction is a new record that names the old one"
    held = [column.name for column in metadata.tables[table].c if column.name != QUEUED]
    some = QUEUED in metadata.tables[table].c
    if dialect == "postgresql":
        body = f" BEGIN RAISE EXCEPTION '{refusal}' USING ERRCODE = 'integrity_constraint_violation'; END "
        columns = {"no_change": tuple(sorted(held)) if some else (), "no_truncate": ()}
        return {f"{table}_{name}": (table, kind, columns[name], True, True, body) for name, kind in _ON_POSTGRESQL.items()}
    update = f"UPDATE OF {', '.join(held)}" if some else "UPDATE"
    return {
        f"{table}_no_{name}": (
            table,
            f"CREATE TRIGGER {table}_no_{name} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{refusal}'); END",
        )
        for name, verb in (("update", update), ("delete", "DELETE"))
    }


def _on_sqlite(connection: Connection) -> dict[str, tuple[object, ...]]:
    rows = connection.execute(text("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"))
    return {row.name: (row.tbl_name, row.sql) for row in rows}


def _on_postgresql(connection: Connection) -> dict[str, tuple[object, ...]]:
    """Table, events, columns, fires at all (not only on a replica), fires always (no WHEN), and what it does."""
    rows = connection.execute(
        text(
            "SELECT t.tgname, c.relname, t.tgtype, t.tgenabled, t.tgqual IS NULL AS always, p.prosrc, "
            "ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.tgrelid AND a.attnum = ANY(t.tgattr)) AS columns "
            "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
            "WHERE NOT t.tgisinternal AND pg_table_is_visible(c.oid)"
        )
    )
    return {
        row.tgname: (row.relname, row.tgtype, tuple(sorted(row.columns)), row.tgenabled in ("O", "A"), row.always, row.prosrc)
        for row in rows
    }
