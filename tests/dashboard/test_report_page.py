"""Reports on their page: areas, the same files that the command writes, spreadsheets that run nothing, and the page in a browser."""

import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from openpyxl import load_workbook
from playwright.sync_api import expect, sync_playwright

from compliance.report.area import area_of
from dashboard.facts import reports
from dashboard.facts.reports import duty_name, period_names, report_file, report_of
from dashboard.facts.town import Town
from dashboard.markup import html
from dashboard.report.files import WRITERS
from dashboard.report.making import Rendering, page_part
from dashboard.text import speech
from domain.clock import Clock
from domain.errors import ConfigError, StoreError
from tests.dashboard.conftest import Server
from tests.dashboard.sample_town import COLD_BUILDING, EVIL, NOW_MS, sample_site

SLOW_MS = 30_000


@pytest.mark.parametrize(("today", "first"), [(date(2026, 1, 15), "2025-2026"), (date(2026, 7, 1), "2026-2027")])
def test_the_periods_to_choose_from(today: date, first: str) -> None:
    names = period_names(today)
    assert names["season"][0] == first
    assert names["month"][0] == f"{today:%Y-%m}"
    assert names["quarter"][:2] == (["2026-Q1", "2025-Q4"] if today.month == 1 else ["2026-Q3", "2026-Q2"])
    assert names["month"][-1] == ("2024-12" if today.month == 1 else "2025-06")


def test_an_area_is_its_stations_buildings_and_rooms(tmp_path: Path) -> None:
    site = sample_site(tmp_path)
    assert area_of(site, "") is site
    one = area_of(site, "station/S05")
    assert list(one.stations) == ["S05"]
    assert {building.station_id for building in one.buildings.values()} == {"S05"}
    assert {room.station_id for room in one.rooms.values()} == {"S05"}
    halves = [area_of(site, f"district/{name}") for name in ("一区", "二区")]
    assert sum(len(half.rooms) for half in halves) == len(site.rooms)
    by_building = replace(site, rooms={key: replace(room, station_id=None) for key, room in site.rooms.items()})
    assert list(area_of(by_building, "station/S05").rooms) == list(one.rooms)


@pytest.mark.parametrize("area", ["station/NOWHERE", "district/", "district/火星", "moon/1", "station"])
def test_an_area_that_the_site_does_not_have(tmp_path: Path, area: str) -> None:
    with pytest.raises(ConfigError, match="--area"):
        area_of(sample_site(tmp_path), area)


def test_the_areas_add_up_to_the_town(town: Town) -> None:
    whole = report_of(town, "2026-01", "")
    areas = ("district/一区", "district/二区")
    parts = [report_of(town, "2026-01", area) for area in areas]
    assert whole["rooms"]["rooms"] == 400 == sum(part["rooms"]["rooms"] for part in parts)
    for key in ("complaints", "outages", "stations"):
        counted = [sum(row.get("complaints", 1) for row in one[key]) for one in (whole, *parts)]
        assert counted[0] == sum(counted[1:]), key
    assert [part["report"]["area"] for part in parts] == list(areas)
    assert whole["report"]["area"] is None
    assert len({one["report"]["inputs_sha256"] for one in (whole, *parts)}) == 3
    assert parts[0]["worst_buildings"][0]["building_id"] == COLD_BUILDING
    assert COLD_BUILDING not in [row["building_id"] for row in parts[1]["worst_buildings"]]


def test_a_duty_owed_to_residents_and_for_sensors_is_told_apart(town: Town) -> None:
    rows = report_of(town, "2026-01", "")["duties"]
    zh, en = ([duty_name(row, speech(language)) for row in rows] for language in ("zh", "en"))
    assert len(set(zh)) == len(set(en)) == len(rows)
    assert {name.rpartition(" · ")[2] for name in en} >= {"Sensor", "Resident"}


def test_the_download_is_what_the_command_writes(server: Server) -> None:
    with server.client("viewer") as client:
        answer = client.get("/report/2026-01.json")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert "2026-01.json" in answer.headers["content-disposition"]
        document = json.loads(answer.content)
        assert WRITERS["json"](document) == answer.content
        pdf = client.get("/report/2026-01.pdf", params={"area": "district/一区"})
        assert pdf.content[:5] == b"%PDF-"
        book = load_workbook(io.BytesIO(client.get("/report/2026-01.xlsx", params={"area": "station/S01"}).content))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert any(cell.value == EVIL for cell in cells), "the station's name, as text"
    assert [cell.coordinate for cell in cells if cell.data_type == "f"] == []


@pytest.mark.parametrize(
    "address",
    ["/report/2026-01.exe", "/report/2026-13.json", "/report/2099-01.json", "/report/..%2f..%2fetc.json", "/report/2026-01.json?area=moon"],
)
def test_no_such_report(server: Server, address: str) -> None:
    with server.client("viewer") as client:
        assert client.get(address).status_code == 404


def test_a_stranger_gets_no_report(server: Server) -> None:
    with server.stranger() as client:
        assert client.get("/report/2026-01.json").status_code in {303, 401}


@pytest.fixture
def quiet(town: Town) -> Iterator[Town]:
    """The town long before anything happened."""
    early = Town(town.site, Clock.starting_at(NOW_MS - 400 * 86_400_000, 1.0))
    yield early
    early.close()


def test_a_period_of_which_nothing_is_known_is_no_error(quiet: Town) -> None:
    document = report_of(quiet, "2024-12", "")
    assert [row["rate"] for row in document["indicators"]] == [None] * 6


def test_a_report_is_made_by_another_process_once_for_all_who_ask(town: Town) -> None:
    with ThreadPoolExecutor(4) as readers:
        documents = list(readers.map(lambda _: report_of(town, "2026-01", "station/S03"), range(4)))
    assert all(document is documents[0] for document in documents)
    files = [report_file(town, "2026-01", "station/S03", form) for form in ("json", "xlsx", "pdf", "json", "pdf")]
    assert files[0].name == files[3].name
    assert files[2] == files[4]
    assert len(list(files[0].parent.glob(f"{files[0].stem}*"))) == 4, "the document, the page's part of it, two forms"


def test_files_of_yesterday_go_and_one_that_vanishes_meanwhile_is_no_trouble(quiet: Town) -> None:
    folder = quiet.site.data / "reports"
    folder.mkdir(exist_ok=True)
    (folder / "old.pdf").write_bytes(b"")
    os.utime(folder / "old.pdf", (0, 0))
    (folder / ".now.json.1.tmp").symlink_to("renamed")  # listed, and gone when it is looked at
    assert report_of(quiet, "2024-11", "")["outages"] == []
    assert not (folder / "old.pdf").exists()
    (folder / ".now.json.1.tmp").unlink()


def test_a_report_that_can_not_be_made_is_a_trouble_of_the_store(quiet: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "_COMMAND", (sys.executable, "-c", "raise SystemExit('history: the disk is gone')"))
    with pytest.raises(StoreError, match="the disk is gone"):
        report_of(quiet, "2024-12", "")
    assert [trouble.store for trouble in quiet.troubles] == ["history"]
    monkeypatch.setattr(reports, "_COMMAND", (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"))
    with pytest.raises(StoreError, match="ended with -9"):
        report_of(quiet, "2024-12", "")
    monkeypatch.undo()
    assert report_of(quiet, "2024-12", "")["outages"] == []
    assert quiet.troubles == []


def test_records_that_can_not_be_read_are_named_not_where_to_look_the_error_up(tmp_path: Path) -> None:
    town = Town(sample_site(tmp_path / "data"), Clock.starting_at(NOW_MS, 1.0))
    with town.records.begin() as connection:
        connection.exec_driver_sql("DROP TABLE room_days")
    with pytest.raises(StoreError, match=r"records: \(sqlite3.OperationalError\) no such table: room_days$"):
        report_of(town, "2026-01", "")
    assert [trouble.store for trouble in town.troubles] == ["records"], "the page names the store that is meant"
    town.close()


def test_the_maker_of_reports_does_not_outlive_the_dashboard(tmp_path: Path) -> None:
    fifo = tmp_path / "document.json"
    os.mkfifo(fifo)  # it waits for a document that never comes
    with subprocess.Popen(reports._COMMAND, stdin=subprocess.PIPE) as maker:
        assert maker.stdin is not None
        pickle.dump(Rendering(fifo, "pdf"), maker.stdin)
        maker.stdin.close()
        assert maker.wait(timeout=60) == 1


def test_the_page_shows_the_first_rows_of_long_tables_and_says_so(town: Town) -> None:
    document = json.loads(report_file(town, "2026-01", "", "json").read_bytes())
    short = report_of(town, "2026-01", "")
    assert short == {**document, "rows": {"outages": len(document["outages"]), "stations": 12}, "station_days": []}
    long = page_part({**document, "stations": document["stations"] * 5})
    assert (len(long["stations"]), long["rows"]["stations"]) == (50, 60)
    for language, words in (("zh", "前 50 个，共 60 个"), ("en", "The first 50 of 60")):
        assert words in html("report_tables.html", language, document=long, names={row["subject"]: "" for row in long["outages"]})


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_shows_the_month_at_once_and_offers_its_files(chromium: Path, server: Server, language: str) -> None:
    title = "室温合格率" if language == "zh" else "rooms without a breach"
    with sync_playwright() as playwright:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(chromium), args=arguments)
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.set_default_timeout(SLOW_MS)
        page.context.add_cookies([{"name": "keepwarm_language", "value": language, "url": server.address}])
        page.goto(f"{server.address}/enter?token={server.link(f'reader-{language}', 'viewer')}")
        page.wait_for_url(f"{server.address}/")
        page.goto(f"{server.address}/reports")
        expect(page.locator(".kw-tiles")).to_contain_text(title, timeout=SLOW_MS)
        expect(page.locator("canvas").first).to_be_visible(timeout=SLOW_MS)
        with page.expect_download() as begun:
            page.get_by_role("link", name="XLSX").click()
        assert load_workbook(io.BytesIO(Path(begun.value.path()).read_bytes())).sheetnames[0] == "封面"
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth") <= 1
        assert page.evaluate("window.hurt") is None
        browser.close()
