"""``keepwarm visits`` and ``keepwarm verify-records``: what is filed counts or says why not, and what is altered is found."""

import io
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image, ImageDraw
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from dashboard.actions.acting import RefusedError
from dashboard.actions.visits import file_visit, signature_fault
from dashboard.roles import Account
from domain.visit import visit_faults
from keepwarm.main import main
from store.records import open_records
from store.site_folder import load_site
from store.site_folder.visits import load_visits

HEAD = (
    "room_id,measured_at,measured_by,instrument,calibrated_on,calibrated_until,windows_shut_min,at_centre,height_m,readings_c,"
    "signature,corrects\n"
)
GOOD = "R1,2026-01-15T10:00,王工,Testo 925 #7,2025-06-01,2026-05-31,35,yes,1.2,18.4 18.5 18.3,sign.png,\n"


class Ran(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


def png(side: int = 120, *, drawn: bool = True) -> bytes:
    image = Image.new("RGB", (side, side), "white")
    if drawn:
        ImageDraw.Draw(image).line((1, 1, side - 5, side // 2), fill="black", width=2)
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.toml").write_text('name = "阜新"\n', encoding="utf-8")
    (tmp_path / "site" / "rooms.csv").write_text("room_id\nR1\nR2\n")
    (tmp_path / "visits.csv").write_text(HEAD + GOOD, encoding="utf-8")
    (tmp_path / "sign.png").write_bytes(png())

    def do(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return do


def file_(run: Callable[..., Ran], rows: str) -> Ran:
    Path("visits.csv").write_text(HEAD + rows, encoding="utf-8")
    return run("visits", "file", "site", "visits.csv", "--who", "客服李")


def test_filed_listed_verified(run: Callable[..., Ran]) -> None:
    ran = run("visits", "file", "site", "visits.csv", "--who", "客服李")
    assert ran.code == 0
    assert ran.out.startswith("filed 1: R1 2026-01-15T10:00:00+08:00 18.4 ℃, official; ")
    head = ran.out.split("; ")[1].strip()
    assert run("verify-records", "site") == Ran(0, f"阜新: 1 visits, none altered; head {head}\n", "")
    line = run("visits", "list", "site", "R1").out.splitlines()[1]
    assert line.startswith("1,R1,2026-01-15T10:00:00+08:00,王工,Testo 925 #7,2025-06-01,2026-05-31,35.0,yes,1.2,18.4 18.5 18.3,18.4,yes,,")
    assert run("visits", "list", "site", "R2").out.count("\n") == 1
    assert run("visits", "list", "site", "R9").code == 2


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("sign.png", "", "no_signature"),
        ("2026-05-31", "2026-01-14", "calibration_expired"),
        ("2026-05-31", "2026-01-15", ""),
        ("2025-06-01", "2026-01-16", "not_yet_calibrated"),
        ("2025-06-01,2026-05-31", "2025-01-15,", ""),
        ("2025-06-01,2026-05-31", "2025-01-14,", "calibration_expired"),
        (",35,", ",29,", "windows_open"),
        (",35,", ",30,", ""),
        (",yes,", ",no,", "off_centre"),
        (",1.2,", ",1.1,", ""),
        (",1.2,", ",1.31,", "wrong_height"),
    ],
)
def test_what_keeps_a_visit_from_being_official(run: Callable[..., Ran], old: str, new: str, fault: str) -> None:
    """It is kept in any case (R8)."""
    Path("visits.csv").write_text(HEAD + GOOD.replace(old, new), encoding="utf-8")
    site = load_site(Path("site"))
    ((_, visit),) = load_visits(Path("visits.csv"), site.rooms, site.timezone)
    assert visit_faults(visit, site.timezone) == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (GOOD.replace("R1", "R7"), "visits.csv:2: room_id: 'R7': no such room"),
        (GOOD.replace("18.5", "x"), "visits.csv:2: readings_c: '18.4 x 18.3': temperatures in ℃"),
        (GOOD.replace("18.5", "185"), "visits.csv:2: readings_c"),
        (GOOD.replace("sign.png", "gone.png"), "visits.csv:2: signature: 'gone.png': this file can't be read"),
        (GOOD.replace("sign.png", "visits.csv"), "visits.csv:2: A signature is a PNG image; this is none"),
        (GOOD.replace("2026-01-15T10:00", "2099-01-15T10:00"), "visits.csv:2: A visit can't be in the future"),
        (GOOD.replace("2026-05-31", "2024-05-31"), "visits.csv:2: A calibration can't end before it was made"),
        (GOOD.replace("王工", ""), "visits.csv:2: measured_by: this cell is empty"),
        (GOOD.replace("yes", "perhaps"), "visits.csv:2: at_centre: 'perhaps': one of yes, no"),
        (GOOD.replace(",\n", ",7\n"), "visits.csv:2: A correction names a record of the same room"),
        (GOOD + GOOD.replace("R1", "R7"), "visits.csv:3: room_id"),
    ],
)
def test_a_mistake_files_nothing(run: Callable[..., Ran], rows: str, words: str) -> None:
    ran = file_(run, rows)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err.splitlines()[0]
    assert run("verify-records", "site").out.startswith("阜新: 0 visits")


def test_a_correction_is_a_new_record_and_the_old_one_counts_no_more(run: Callable[..., Ran]) -> None:
    assert file_(run, GOOD).code == 0
    assert file_(run, GOOD.replace("18.3,sign.png,", "18.6,sign.png,1")).code == 0
    lines = [line.split(",") for line in run("visits", "list", "site").out.splitlines()[1:]]
    assert [(line[0], line[12], line[14], line[15]) for line in lines] == [("1", "no", "", "2"), ("2", "yes", "1", "")]
    assert "corrected already" in file_(run, GOOD.replace("sign.png,", "sign.png,1")).err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "none, or only a part"),
        (b"\x89PNG\r\n\x1a\n", "none, or only a part"),
        (png()[:-30], "none, or only a part"),
        (b"GIF89a" + b"\0" * 100, "none, or only a part"),
        (b"\0" * 300_000, "at most 256 KiB"),
        (png(8), "16 to 4000"),
        (png(4001, drawn=False), "16 to 4000"),
        (png(drawn=False), "nothing is drawn"),
        (png(), ""),
    ],
)
def test_a_signature_is_an_image_with_something_on_it(content: bytes, words: str) -> None:
    assert words in signature_fault(content)
    assert bool(signature_fault(content)) == bool(words)


def three(run: Callable[..., Ran]) -> Path:
    assert file_(run, GOOD + GOOD.replace("R1", "R2") + GOOD.replace("18.4 ", "17.1 ")).code == 0
    return Path("site") / "data" / "records.db"


def tamper(database: Path, statement: str, *, unguarded: bool = True) -> None:
    """Alters the records behind Keepwarm's back, the triggers out of the way and put back."""
    with sqlite3.connect(database) as connection:
        kept = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('visits', 'audit')"
        ).fetchall()
        if unguarded:
            for name, _ in kept:
                connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        if unguarded:
            for _, sql in kept:
                connection.execute(sql)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE visits SET readings_c = '[19.5]' WHERE id = 2", "visit 2: this record was altered"),
        ("UPDATE visits SET measured_at = measured_at + 1 WHERE id = 3", "visit 3: this record was altered"),
        ("UPDATE visits SET signature = NULL WHERE id = 1", "visit 1: this record was altered"),
        ("UPDATE visits SET calibrated_until = 'never' WHERE id = 1", "visit 1: this record was altered"),
        ("DELETE FROM visits WHERE id = 2", "visit 2: this record is missing"),
        ("DELETE FROM visits WHERE id = 3", "visit 3: the audit log names a record that is not in the chain any more"),
        ("UPDATE visits SET prev_hash = 'f' WHERE id = 2", "visit 2: it does not follow"),
    ],
)
def test_what_was_altered_is_named(run: Callable[..., Ran], statement: str, words: str) -> None:
    database = three(run)
    tamper(database, statement)
    for command in (("verify-records", "site"), ("visits", "verify", "site")):
        ran = run(*command)
        assert (ran.code, ran.out) == (1, "")
        assert words in ran.err.splitlines()[0]


def test_a_head_noted_before_finds_a_chain_made_anew(run: Callable[..., Ran]) -> None:
    database = three(run)
    head = run("verify-records", "site").out.split()[-1]
    assert run("verify-records", "site", "--head", head).code == 0
    tamper(database, "DELETE FROM visits WHERE id = 3")
    tamper(database, "DELETE FROM audit")
    assert run("verify-records", "site").code == 0, "the end cut off, and the log with it, can't be seen from within"
    ran = run("verify-records", "site", "--head", head)
    assert (ran.code, ran.err.strip()) == (1, f"the hash {head} is not in the chain: records were removed or altered since it was noted")


def test_the_database_itself_refuses(run: Callable[..., Ran]) -> None:
    database = three(run)
    engine = open_records(database)
    for statement in ("UPDATE visits SET remark = 'x'", "DELETE FROM visits"):
        with pytest.raises(IntegrityError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()
    tamper(database, "DROP TRIGGER visits_no_update", unguarded=False)
    tamper(database, "DROP TRIGGER audit_no_delete", unguarded=False)
    tamper(database, "DROP TRIGGER complaint_transitions_no_update", unguarded=False)
    ran = run("verify-records", "site")
    assert (ran.code, ran.out) == (1, "")
    assert [line.rpartition(": ")[2] for line in ran.err.splitlines()] == [
        *("visits_no_update", "audit_no_delete", "complaint_transitions_no_update")
    ]
    assert run("visits", "verify", "site").err.splitlines() == ["the database's own protection was removed: visits_no_update"]


def test_who_may_not_file_is_refused(run: Callable[..., Ran]) -> None:
    site = load_site(Path("site"))
    engine = open_records(site.data / "records.db")
    ((_, visit),) = load_visits(Path("visits.csv"), site.rooms, site.timezone)
    with pytest.raises(RefusedError):
        file_visit(engine, Account("客人", "viewer"), site, visit, 2_000_000_000_000)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT action, refused FROM audit")).all() == [("file_visit", True)]
    engine.dispose()
