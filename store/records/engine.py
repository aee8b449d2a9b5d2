"""Opening the records: one SQLite file, or PostgreSQL where several hosts share them."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from domain.errors import ConfigError, Mistake, StoreError
from domain.site import Site
from store.sqlite import only_read

BUSY_MS = 30_000
_MIGRATIONS = Path(__file__).parent / "migrations"
_READING = "keepwarm_reading"
_POSTGRES_LOCK = 0x6B656570  # "keep": the advisory lock under which one process migrates


def open_records(url: str | Path) -> Engine:
    """The records at this address, made and migrated to the newest layout if need be; safe when many processes start at once.

    ``url`` is a path of a SQLite file, ``sqlite:///…`` or ``postgresql://…``. Transactions of the engine may write; those that only
    read use ``reading(engine)``. A file that can't be written to is opened to be read only. Raises ConfigError for an address that can't be
    one, StoreError when the database can't be opened.
    """
    address = _address(url)
    is_file = address.get_backend_name() == "sqlite"
    read_at = only_read(Path(address.database)) if is_file and address.database not in {None, "", ":memory:"} else ""
    engine = create_engine(_as_uri(read_at) if read_at else address, pool_pre_ping=not is_file)
    if is_file:
        _as_sqlite(engine, may_write=not read_at)
    try:
        _migrate(engine, may_write=not read_at)
    except (SQLAlchemyError, OSError, CommandError) as error:  # CommandError: a layout of a newer Keepwarm
        engine.dispose()
        shown = address.database if address.get_backend_name() == "sqlite" else address.render_as_string()
        raise StoreError(f"{shown}: {_first_line(error)}") from error
    return engine


@contextmanager
def records_of(site: Site) -> Iterator[Engine]:
    """The site's records (``open_records``), disposed of in the end; its data folder is made if need be."""
    site.data.mkdir(parents=True, exist_ok=True)
    engine = open_records(site.records_url or site.data / "records.db")
    try:
        yield engine
    finally:
        engine.dispose()


def reading(engine: Engine) -> Engine:
    """The same records for transactions that only read: on SQLite they neither wait for a writer nor hold one up."""
    return engine.execution_options(**{_READING: True})


class RecordsMark:
    """Tells whether anything was stored in the records since it was asked last, without a question to any table.

    Only SQLite knows that; for PostgreSQL, and for a file that can't be read now, every answer is another one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: PoolProxiedConnection | None = None
        self._lock = Lock()

    def now(self) -> object:
        """Equal to the answer before as long as nobody, in whatever process, has stored anything."""
        if self._engine.dialect.name != "sqlite":
            return object()
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._engine.raw_connection()
                    self._connection.detach()
                with closing(self._connection.cursor()) as cursor:
                    cursor.execute("PRAGMA data_version")
                    return cursor.fetchone()
            except (SQLAlchemyError, sqlite3.Error):
                return object()

    def close(self) -> None:
        """Gives the file back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def migrations() -> Config:
    """Alembic's configuration of the records' migrations."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "layout_%%(rev)s")
    return config


def _address(url: str | Path) -> URL:
    if isinstance(url, Path) or "://" not in url:
        return URL.create("sqlite", database=str(url))
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise ConfigError(Mistake("site.toml", "a path, sqlite:///… or postgresql://…", key="records", value=url)) from error
    if address.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(Mistake("site.toml", "a path, sqlite:///… or postgresql://…", key="records", value=address.render_as_string()))
    return address


def _as_uri(read_at: str) -> URL:
    """SQLite's own address of a file as SQLAlchemy takes it; written as text it would lose the escapes of the path."""
    file, _, how = read_at.partition("?")
    key, _, value = how.partition("=")
    return URL.create("sqlite", database=file, query={key: value, "uri": "true"})


def _as_sqlite(engine: Engine, *, may_write: bool) -> None:
    database = engine.url.database
    if may_write and database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def settings(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin below, not where sqlite3 guesses
        cursor = connection.cursor()
        lasting = ("journal_mode = WAL", "synchronous = FULL") if may_write else ()
        for pragma in (f"busy_timeout = {BUSY_MS}", *lasting, "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes fails at once when another has written in between: no time-out helps.
        # So whoever may write takes the lock at the beginning.
        only_reads = not may_write or connection.get_execution_options().get(_READING, False)
        connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


def _migrate(engine: Engine, *, may_write: bool) -> None:
    config = migrations()
    layouts = ScriptDirectory.from_config(config)
    newest = layouts.get_current_head()
    with _alone(engine) if may_write else nullcontext(), engine.begin() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in {layout.revision for layout in layouts.walk_revisions()}:
            raise CommandError(f"its layout is {found}, this version of Keepwarm knows {newest}: it was written by a newer one")
        if found != newest and not may_write:
            raise CommandError(f"its layout is {found} and has to become {newest}, but nobody may write there: permission denied")
        if found != newest:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Holds what keeps other processes from migrating the same records."""
    database = engine.url.database
    if engine.dialect.name == "sqlite":
        if not database or database == ":memory:":
            yield
            return
        with Path(f"{database}.lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _POSTGRES_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _POSTGRES_LOCK})


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).splitlines()[0] if str(error) else type(error).__name__
