"""``keepwarm report``: figures worked by hand, the same bytes from the same data, a workbook and a PDF that say the same."""

import json
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from openpyxl import load_workbook
from sqlalchemy import insert, update

from compliance.complaint_life import Deed, Step
from compliance.report.desk import Reported, desk_indicators
from compliance.report.period import parse_period
from compliance.service_duties import Case
from dashboard.actions.complaints import ResidentReport, move_complaint, open_resident_complaint, record_call_back
from dashboard.report.tables import shown
from dashboard.roles import Account
from domain.clock import Clock
from domain.errors import ConfigError
from domain.reading import Readings
from keepwarm.main import main
from store.history import open_history
from store.points import PointRegistry
from store.records import open_records, tables
from store.site_folder import load_policy, load_site

ZONE = ZoneInfo("Asia/Shanghai")
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
POLICY = load_policy(Path("default"))
DESK = Account("客服李", "service")


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


NOW_MS = at("2026-03-20")


class Ran(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


def write_site(folder: Path) -> None:
    """Two stations, three rooms; S1 half a day on its curve and half a day 5 K above it, S2 without any reading."""
    (folder / "site.toml").write_text('name = "阜新"\n', encoding="utf-8")
    (folder / "stations.csv").write_text("station_id,name,design_flow_m3h\nS1,城南换热站,100\nS2,=1+1,100\n", encoding="utf-8")
    (folder / "buildings.csv").write_text("building_id,station_id,name\nB1,S1,一号楼\nB2,S2,<b>二</b>号楼\n", encoding="utf-8")
    (folder / "rooms.csv").write_text("room_id,building_id\nR1,B1\nR2,B1\nR3,B2\n")
    (folder / "curves.csv").write_text("station_id,effective_from,outdoor_c,supply_c\nS1,2025-11-01,-20,60\nS1,2025-11-01,0,60\n")
    site = load_site(folder)
    site.data.mkdir()
    Clock(speed=1e-9, wall_epoch_ms=0, epoch_ms=NOW_MS).save(site.data / "clock.json")
    points = PointRegistry(site.data / "points.db")
    history = open_history(site, points)
    values = {"secondary_flow_m3h": 100.0, "secondary_return_temp_c": 45.0, "outdoor_temp_c": -8.0, "makeup_flow_m3h": 0.5}
    instants = np.arange(at("2026-01-10"), at("2026-01-11"), 5 * MINUTE_MS)
    supply = np.where(instants < at("2026-01-10 12:00"), 60.0, 65.0)
    for name, column in [*((name, np.full(len(instants), value)) for name, value in values.items()), ("secondary_supply_temp_c", supply)]:
        point = points.ids([f"station/S1/{name}"])[0]
        history.write(Readings.of(np.full(len(instants), point, np.int32), instants, column))
    history.close()
    points.close()
    records = open_records(site.data / "records.db")
    with records.begin() as connection:
        for day, room_id, breach_h, unknown_h in (
            *(("2026-01-10", room, breach, unknown) for room, breach, unknown in (("R1", 0, 0), ("R2", 6, 0), ("R3", 0, 20))),
            ("2026-02-01", "R1", 2, 0),
        ):
            compliant = 24 - breach_h - unknown_h
            row = {"day": day, "room_id": room_id, "judged_ms": 24 * HOUR_MS, "compliant_ms": compliant * HOUR_MS}
            row |= {"breach_ms": breach_h * HOUR_MS, "unknown_ms": unknown_h * HOUR_MS, "breach_day_ms": 0, "breach_night_ms": 0}
            row |= {"deficit_kh": breach_h * 1.5, "longest_breach_ms": 0, "min_c": 16.5 if breach_h else 19.0}
            connection.execute(insert(tables.room_days).values(row | {"readings": 144, "readings_breach": 0, "computed_at": NOW_MS}))
        start = at("2026-01-12 22:00")
        outage = {"subject": "station/S1", "station_id": "S1", "state": "ended", "started_at": start, "started_earliest": start}
        outage |= {"opened_at": start + 15 * MINUTE_MS, "ended_at": start + 10 * HOUR_MS, "ended_seen_at": start + 11 * HOUR_MS}
        connection.execute(insert(tables.outages).values({**outage, "cause": "pump_trip", "stations": ["S1"]}))
        due = start + 8 * HOUR_MS
        notice = {"outage_id": 1, "subject": "station/S1", "state": "closed", "due_at": due, "published_at": due, "households": 261}
        connection.execute(insert(tables.notices).values(notice))
    served = (("2026-01-13 09:00", 20, 5, True), ("2026-01-13 10:00", 45, 5, False), ("2026-01-14 09:00", 10, 60, None))
    for reported, minutes, hours, satisfied in served:
        begun = at(reported)
        report = ResidentReport("building/B1", "low_temperature", "phone", reported_at=begun)
        number = open_resident_complaint(records, DESK, site, report, {}, NOW_MS)
        arrived, cured = begun + minutes * MINUTE_MS, begun + hours * HOUR_MS
        steps = (
            ("new", "accepted", begun),
            ("accepted", "dispatched", begun),
            ("dispatched", "on_site", arrived),
            ("on_site", "resolved", cured),
        )
        for seen, to, when in steps:
            move_complaint(records, DESK, number, seen, to, "", when, cause="air_lock" if to == "resolved" else "")
        record_call_back(records, DESK, number, "resolved", satisfied, "", cured + HOUR_MS)
        if satisfied is not None:
            move_complaint(records, DESK, number, "called_back", "closed", "", cured + 2 * HOUR_MS)
    with records.begin() as connection:
        row = {"kind": "room", "origin": "sensor", "subject": "room/R2", "opened_at": at("2026-01-10 08:00"), "state": "new"}
        connection.execute(insert(tables.complaints).values(row))
    records.dispose()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    write_site(tmp_path / "site")

    def do(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(["report", "site", *arguments])
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return do


def document(run: Callable[..., Ran], period: str = "2026-01") -> dict[str, Any]:
    ran = run("--period", period)
    assert ran.code == 0, ran.err
    return dict(json.loads(ran.out))


def test_the_figures_of_a_month(run: Callable[..., Ran]) -> None:
    found = document(run)
    rates = {row["key"]: (row["numerator"], row["denominator"], row["rate"], row["coverage"]) for row in found["indicators"]}
    assert rates["rooms_compliant"] == (1, 2, 0.5, 0.666667)  # R3 is known for 4 h of 24
    assert rates["handled_in_time"] == (1, 3, 0.333333, 1.0)  # one came after 45 min, one was cured after 60 h
    assert rates["closed"] == (2, 3, 0.666667, 1.0)
    assert rates["called_back"] == (2, 3, 0.666667, 1.0)  # the third was not reached
    assert rates["satisfied"] == (1, 2, 0.5, 0.666667)
    numerator, denominator, rate, coverage = rates["water_loss"]
    assert (numerator, denominator, rate) == (12.0, 2400.0, 0.005)
    assert coverage == pytest.approx(24 / (31 * 24 * 2), abs=1e-6)
    (one, two) = found["stations"]
    assert (one["on_curve_h"], one["off_curve_h"], one["off_degree_min"], one["adherence"]) == (12.0, 12.0, 3600.0, 0.5)
    assert (two["adherence"], two["water_loss_rate"], two["water_coverage"]) == (None, None, 0.0)
    assert [row["day"] for row in found["station_days"]] == ["2026-01-10"]
    assert [(row["building_id"], row["breach_h"], row["deficit_kh"]) for row in found["worst_buildings"]] == [("B1", 6.0, 9.0)]
    (outage,) = found["outages"]
    assert (outage["lasted_h"], outage["notice_due_at"], outage["kept"]) == (10.0, "2026-01-13T06:00:00+08:00", True)
    assert [(row["origin"], row["complaints"]) for row in found["complaints"]] == [("resident", 3), ("sensor", 1)]
    assert {"origin": "resident", "cause": "air_lock", "complaints": 3} in found["causes"]
    duties = {(row["duty"], row["origin"]): (row["owed"], row["kept"], row["missed"]) for row in found["duties"]}
    assert duties["low_temperature_on_site", "resident"] == (3, 2, 1)
    assert duties["low_temperature_cured", "resident"] == (3, 2, 1)
    assert duties["low_temperature_on_site", "sensor"] == (1, 0, 1)


def test_a_season_has_its_months_and_a_quarter_is_another_sum(run: Callable[..., Ran]) -> None:
    season = document(run, "2025-2026")
    assert (season["report"]["from"], season["report"]["to"]) == ("2025-11-15T00:00:00+08:00", "2026-03-16T00:00:00+08:00")
    rooms = {month["month"]: month["indicators"][0] for month in season["months"]}
    assert list(rooms) == ["2025-11", "2025-12", "2026-01", "2026-02", "2026-03"]
    assert (rooms["2026-01"]["numerator"], rooms["2026-02"]["numerator"], rooms["2025-12"]["rate"]) == (1, 0, None)
    assert (season["indicators"][0]["numerator"], season["indicators"][0]["denominator"]) == (0, 2)
    assert document(run, "2026-Q1")["indicators"][0] == season["indicators"][0]


@pytest.mark.parametrize("form", ["json", "xlsx", "pdf"])
def test_the_same_data_give_the_same_bytes(run: Callable[..., Ran], form: str) -> None:
    contents = []
    for name in ("a", "b"):
        assert run("--period", "2026-01", "--out", f"{name}.{form}").code == 0
        contents.append(Path(f"{name}.{form}").read_bytes())
    assert contents[0] == contents[1]


def test_later_only_the_time_of_creation_differs_and_other_data_are_another_hash(run: Callable[..., Ran]) -> None:
    first = document(run)
    Clock(speed=1e-9, wall_epoch_ms=0, epoch_ms=NOW_MS + 30 * 24 * HOUR_MS).save(Path("site/data/clock.json"))
    later = document(run)
    assert later["report"].pop("created_at") != first["report"].pop("created_at")
    assert later == first
    records = open_records(Path("site/data/records.db"))
    with records.begin() as connection:
        connection.execute(update(tables.room_days).where(tables.room_days.c.room_id == "R1").values(deficit_kh=0.25))
    records.dispose()
    assert document(run)["report"]["inputs_sha256"] != first["report"]["inputs_sha256"]


def test_the_workbook_has_chinese_heads_and_numbers_that_are_numbers(run: Callable[..., Ran]) -> None:
    assert run("--period", "2026-01", "--out", "r.xlsx").code == 0
    book = load_workbook(Path("r.xlsx"))
    assert book.sheetnames[:4] == ["封面", "考核指标", "室温最差楼栋", "停热登记"]
    rows = list(book["考核指标"].iter_rows(values_only=True))
    assert rows[1][:5] == ("指标", "分子", "分母", "数值", "覆盖率")
    assert rows[2][:4] == ("室温合格率", 1, 2, 0.5)
    assert [row[0] for row in book["停热登记"].iter_rows(values_only=True)].count("S1 城南换热站") == 1
    names = [row[1] for row in book["供热曲线与失水"].iter_rows(values_only=True)]
    assert "=1+1" in names
    cell = next(cell for row in book["供热曲线与失水"].iter_rows() for cell in row if cell.value == "=1+1")
    assert cell.data_type == "s", "a station's name is never a formula"


def test_the_pdf_says_it_in_chinese_by_an_embedded_font(run: Callable[..., Ran], pdftotext: Path, chinese_font: Path) -> None:
    assert run("--period", "2026-01", "--out", "r.pdf").code == 0
    assert b"/FontFile2" in Path("r.pdf").read_bytes()
    said = subprocess.run([pdftotext, "-layout", "r.pdf", "-"], capture_output=True, text=True, check=True).stdout
    said = said.replace(" ", "")
    assert all(words in said for words in ("供热质量报告", "室温合格率", "50.00%", "循环泵", "城南换热站", "按时", "第1页"))
    head = document(run)["report"]
    assert all(words.replace(" ", "") in said for words in (head["inputs_sha256"], head["software"], head["policy"]["sha256"]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--period", "2026-13"), "--period: '2026-13': a month (2026-11), a quarter (2026-Q4) or a heating season"),
        (("--period", "2026-Q5"), "a quarter (2026-Q4)"),
        (("--period", "2026-2028"), "a heating season (2026-2027)"),
        (("--period", "0000-01"), "a month"),
        (("--period", "last month"), "a month"),
        (("--period", "2026-04"), "'2026-04': it begins on 2026-04-01 and today is 2026-03-20; a period that has begun"),
        (("--period", "2026-01", "--out", "r.doc"), "a name that ends in .json, .xlsx, .pdf, or --format"),
        (("--period", "2026-01", "--out", "nowhere/r.pdf"), "make it first"),
        ((), "Missing option '--period'"),
    ],
)
def test_a_mistake_is_one_line(run: Callable[..., Ran], arguments: tuple[str, ...], words: str) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert words in ran.err


def test_a_month_without_any_data_is_an_answer(run: Callable[..., Ran]) -> None:
    for form in ("json", "xlsx", "pdf"):
        assert run("--period", "2025-07", "--out", f"r.{form}").code == 0
    found = json.loads(Path("r.json").read_bytes())
    assert [row["rate"] for row in found["indicators"]] == [None] * 6
    assert [row["coverage"] for row in found["indicators"]] == [None] * 6


def test_residents_only_and_what_is_merged_or_rejected() -> None:
    def one(origin: str, state: str, in_time: bool | None, *deeds: Deed) -> Reported:
        case = Case("low_temperature", "ordinary", origin, "household", 0, (Step("resolved", 1), Step(state, 2)), deeds)
        return Reported(1, "2026-01", "", case, case.origin, state, (), in_time)

    reached, nobody = Deed("call_back", 3, True, True), Deed("call_back", 2, False)
    found = [
        one("sensor", "closed", True),
        one("resident", "merged", True),
        one("resident", "rejected", False),
        one("resident", "closed", True, nobody, reached),
        one("resident", "resolved", False, nobody),
        one("resident", "on_site", None),
    ]
    rates = {row["key"]: (row["numerator"], row["denominator"], row["coverage"]) for row in desk_indicators(found)}
    assert rates == {"handled_in_time": (1, 2, 0.666667), "closed": (2, 4, 1.0), "called_back": (1, 2, 0.5), "satisfied": (1, 1, 0.5)}


def test_periods() -> None:
    months = {name: parse_period(name, POLICY, ZONE, NOW_MS) for name in ("2025-12", "2025-Q4", "2025-2026")}
    assert [(str(one.first), str(one.after)) for one in months.values()] == [
        ("2025-12-01", "2026-01-01"),
        ("2025-10-01", "2026-01-01"),
        ("2025-11-15", "2026-03-16"),
    ]
    assert months["2025-Q4"].months == ["2025-10", "2025-11", "2025-12"]
    with pytest.raises(ConfigError):
        parse_period("2026-1", POLICY, ZONE, NOW_MS)


def test_what_is_not_all_is_never_shown_as_all() -> None:
    assert [shown(value, "rate") for value in (0.999999, 1.0, 0.0, None)] == ["99.99%", "100.00%", "0.00%", "–"]
