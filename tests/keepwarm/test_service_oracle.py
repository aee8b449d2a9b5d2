"""Deadlines, escalations and indicators (R7) of random complaint lives: ours and a naive second implementation say the same."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from compliance.complaint_cases import calendar_of, read_cases, table_of
from compliance.recording.duty_rows import overdue, store_escalation
from compliance.service_duties import duty_states
from domain.clock import Clock
from keepwarm.main import main
from store.records import open_records, tables
from store.site_folder import load_site
from tests.compliance import oracle_service as oracle
from tests.compliance.service_lives import Desk

HOUR, DAY = 3_600_000, 86_400_000


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=oracle.ZONE).timestamp() * 1000)


FIRST, LAST, NOW = at("2025-11-20"), at("2026-03-10"), at("2026-05-01")
POLICIES = {"A": "default", "B": "profile-b", "C": "profile-c"}
LIVES = 45


@pytest.mark.parametrize(("profile", "seed"), [("A", 1), ("B", 2), ("C", 3)])
def test_the_same_duties_escalations_and_indicators(tmp_path: Path, profile: str, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site.toml").write_text(f'name = "阜新"\npolicy = "{POLICIES[profile]}"\n', encoding="utf-8")
    (folder / "stations.csv").write_text("station_id,name\nS1,城南\n", encoding="utf-8")
    (folder / "buildings.csv").write_text("building_id,station_id\nB1,S1\n")
    (folder / "rooms.csv").write_text("room_id,building_id\nR1,B1\n")
    site = load_site(folder)
    site.data.mkdir()
    Clock(speed=1e-9, wall_epoch_ms=0, epoch_ms=NOW).save(site.data / "clock.json")
    records = open_records(site.data / "records.db")
    told: set[tuple[int, str, int, int]] = set()
    calendar, looks = calendar_of(site), 0

    def look(now: int, complaint_id: int) -> None:
        """The duties of the complaint at hand, and every sixtieth time of all, by both; and whoever is told of an overdue one."""
        nonlocal looks
        looks += 1
        whole = looks % 60 == 0
        if not whole and (not complaint_id or looks % 2):
            return
        with sqlite3.connect(site.data / "records.db") as raw:
            known = oracle.lives(raw)
        with records.connect() as connection:
            cases = read_cases(connection, tables.complaints.c.id > 0 if whole else tables.complaints.c.id == complaint_id)
        for number, case in cases.items():
            table = table_of(site.policy, calendar, case.reported_at)
            ours = [(s.duty.duty, s.started_at, s.due_at, s.done_at, s.standing) for s in duty_states(case, table, calendar, now)]
            theirs = [(c.duty, c.started_at, c.due_at, c.done_at, c.standing(now)) for c in oracle.clocks(known[number], profile, now)]
            assert sorted(as_open(ours), key=str) == sorted(theirs, key=str), known[number]
        if whole:
            told.update(step for life in known.values() for step in oracle.told(life, profile, now))
            with records.begin() as connection:
                for subject, one in overdue(connection, site, now):
                    assert store_escalation(connection, subject, one)

    desk = Desk(records, site, Random(seed), look)
    desk.work(FIRST, LAST, LIVES)
    with sqlite3.connect(site.data / "records.db") as raw:
        stored = raw.execute("SELECT subject, duty, started_at, step FROM escalations").fetchall()
        assert {(int(s.removeprefix("complaint/")), duty, started, step) for s, duty, started, step in stored} == told
        known = oracle.lives(raw)
    records.dispose()
    assert len(told) > LIVES
    assert desk.done["merge"] > 1
    for period, first, after in (("2026-01", "2026-01-01", "2026-02-01"), ("2025-2026", "2025-11-15", "2026-03-16")):
        found = [one for one in known.values() if at(first) <= one.opened_at < at(after)]
        as_of = at(after) + 7 * DAY
        assert indicators(folder, period, capsys) == oracle.indicators(found, profile, as_of)


def as_open(states: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What is held is still open."""
    return [(*rest, "open" if standing == "held" else standing) for *rest, standing in states]


def indicators(folder: Path, period: str, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[int, int, float | None]]:
    """The desk's indicators as ``keepwarm report`` prints them."""
    with pytest.raises(SystemExit) as ended:
        main(["report", str(folder), "--period", period, "--format", "json"])
    out, err = capsys.readouterr()
    assert not ended.value.code, err
    rows = {row["key"]: (row["numerator"], row["denominator"], row["coverage"]) for row in json.loads(out)["indicators"]}
    return {key: row for key, row in rows.items() if key not in ("rooms_compliant", "water_loss")}
