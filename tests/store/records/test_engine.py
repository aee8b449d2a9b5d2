import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from domain.errors import ConfigError, StoreError
from store.records import RecordsMark, open_records, reading
from store.records.tables import alarm_transitions, kept, metadata


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Engine]:
    engine = open_records(tmp_path / "records.db")
    yield engine
    engine.dispose()


def test_migrations_make_exactly_the_tables(records: Engine) -> None:
    with reading(records).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_settings_of_every_connection(records: Engine) -> None:
    with records.connect() as connection:
        pragmas = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_foreign_keys_hold(records: Engine) -> None:
    row = {"alarm_id": 1, "from_state": "normal", "to_state": "acknowledged", "at": 1, "who": "x"}
    with pytest.raises(IntegrityError), records.begin() as connection:
        connection.execute(insert(alarm_transitions), row)


def test_what_fails_is_undone(records: Engine) -> None:
    def half() -> None:
        with records.begin() as connection:
            connection.execute(insert(kept), {"name": "a", "value": b"1", "at": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with reading(records).connect() as connection:
        assert connection.execute(select(func.count()).select_from(kept)).scalar() == 0


def test_opening_again_keeps_everything(tmp_path: Path, records: Engine) -> None:
    with records.begin() as connection:
        connection.execute(insert(kept), {"name": "a", "value": b"1", "at": 1})
    again = open_records(f"sqlite:///{tmp_path}/records.db")
    with reading(again).connect() as connection:
        assert connection.execute(select(kept.c.value)).scalar() == b"1"
    again.dispose()


def test_a_file_that_can_only_be_read_is_read_whatever_its_folder_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "停热 #1 50%20? a&b" / "records.db"
    open_records(path).dispose()
    may = os.access
    monkeypatch.setattr("store.sqlite.os.access", lambda what, mode: mode != os.W_OK and may(what, mode))
    records = open_records(path)
    with reading(records).connect() as connection:
        assert connection.execute(select(func.count()).select_from(kept)).scalar() == 0
    with pytest.raises(OperationalError, match="readonly"), records.begin() as connection:
        connection.execute(insert(kept), {"name": "a", "value": b"1", "at": 1})
    records.dispose()


def test_counting_up_in_many_threads_loses_no_count(records: Engine) -> None:
    """Reading first and writing then, at once: what fails with SQLite's deferred transactions."""
    with records.begin() as connection:
        connection.execute(insert(kept), {"name": "count", "value": b"0", "at": 0})

    def count() -> None:
        for _ in range(15):
            with records.begin() as connection:
                before = connection.execute(select(kept.c.at)).scalar_one()
                connection.execute(update(kept).values(at=before + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(records).connect() as connection:
        assert connection.execute(select(kept.c.at)).scalar() == 60


def test_readers_do_not_wait_for_a_writer(records: Engine) -> None:
    with records.begin() as writer:
        writer.execute(insert(kept), {"name": "a", "value": b"1", "at": 1})
        with reading(records).connect() as connection:
            assert connection.execute(select(func.count()).select_from(kept)).scalar() == 0


OPEN = """
import sys
from store.records import open_records
print("ready", flush=True)
sys.stdin.readline()
engine = open_records(sys.argv[1])
with engine.begin() as connection:
    print(connection.exec_driver_sql("SELECT count(*) FROM alarms").scalar())
"""


def test_four_processes_starting_at_once_make_one_database(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        output, errors = process.communicate("go\n", timeout=60)
        assert (output, errors, process.returncode) == ("0\n", "", 0)
    with reading(open_records(path)).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_records_of_a_newer_keepwarm_are_refused(tmp_path: Path, records: Engine) -> None:
    with records.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999"):
        open_records(tmp_path / "records.db")


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "records.db").write_bytes(b"no database, but more than a hundred bytes long " * 10)
    with pytest.raises(StoreError, match=r"records\.db"):
        open_records(tmp_path / "records.db")


@pytest.mark.parametrize("address", ["mysql://localhost/x", "://", "nonsense://x"])
def test_an_address_that_can_t_be_one_is_a_mistake(address: str) -> None:
    with pytest.raises(ConfigError, match="postgresql://"):
        open_records(address)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(StoreError) as caught:
        open_records("postgresql://keepwarm:verysecret@127.0.0.1:1/keepwarm")
    assert "verysecret" not in str(caught.value)


def test_the_mark_is_another_one_after_whatever_was_stored_by_whomever(tmp_path: Path, records: Engine) -> None:
    mark = RecordsMark(records)
    first = mark.now()
    with records.begin() as connection:  # as watch at every pass: nothing to store
        connection.execute(update(kept).values(at=2))
    with reading(records).connect() as connection:
        connection.execute(select(kept)).all()
    assert mark.now() == first
    seen = [first]
    another = open_records(tmp_path / "records.db")
    for engine in (records, another):
        for statement in (insert(kept).values(name=str(id(engine)), value=b"1", at=1), update(kept).values(at=2)):
            with engine.begin() as connection:
                connection.execute(statement)
            seen.append(mark.now())
            assert mark.now() == seen[-1]
    assert len(set(map(str, seen))) == 5
    another.dispose()
    mark.close()


def test_where_it_can_not_be_told_every_mark_is_another_one(tmp_path: Path, records: Engine) -> None:
    mark = RecordsMark(records)
    assert mark.now() == mark.now()
    mark.close()
    records.dispose()
    for path in tmp_path.glob("records.db*"):
        path.unlink()
    (tmp_path / "records.db").mkdir()
    assert mark.now() != mark.now()
    mark.close()
