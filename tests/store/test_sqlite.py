"""Files that several processes make and open at once: at a site's first start all of its services do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from store.sqlite import Database, only_read

LAYOUT = ["CREATE TABLE made (by TEXT)"]
PROCESSES, FILES = 4, 150

OPEN_EACH = """
import sys
from pathlib import Path
from store.sqlite import Database

folder, files, who = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
for number in range(files):
    print(number, flush=True)
    sys.stdin.readline()
    database = Database(folder / f"{number}.db", ["CREATE TABLE made (by TEXT)"], 1)
    with database.writing() as connection:
        connection.execute("INSERT INTO made VALUES (?)", (who,))
    database.close()
"""


@contextmanager
def openers(folder: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that each open file after file, every one when it is told to."""
    command = [sys.executable, "-c", OPEN_EACH, str(folder), str(FILES)]
    running = [
        subprocess.Popen([*command, str(who)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for who in range(PROCESSES)
    ]
    try:
        yield running
    finally:
        for one in running:
            one.kill()
            one.communicate()


def test_processes_that_make_a_file_at_once_all_write_to_it(tmp_path: Path) -> None:
    with openers(tmp_path) as running:
        for _ in range(FILES):
            for one in running:
                assert one.stdout
                assert one.stdout.readline(), one.communicate()[1]
            for one in running:
                assert one.stdin
                one.stdin.write("\n")
                one.stdin.flush()
        assert [one.wait(30) for one in running] == [0] * PROCESSES
    for number in range(FILES):
        with closing(Database(tmp_path / f"{number}.db", LAYOUT, 1)) as database:
            assert database.rows("SELECT by FROM made ORDER BY by") == [(str(who),) for who in range(PROCESSES)]


def test_a_file_that_another_process_makes_meanwhile_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.db"
    asked = os.access

    def then_it_is_made(of: Path, mode: int) -> bool:
        answer = asked(of, mode)
        if of == path:
            path.touch()
        return answer

    monkeypatch.setattr(os, "access", then_it_is_made)
    assert not only_read(path)
    with closing(Database(path, LAYOUT, 1)) as database, database.writing() as connection:
        connection.execute("INSERT INTO made VALUES ('me')")
