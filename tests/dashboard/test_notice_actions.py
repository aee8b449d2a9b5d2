"""What a dispatcher does with notices (R5): role-checked, compare-and-set, audited; each version is told and kept."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table, insert, select

from compliance.notice_text import Facts, Said, outage_texts, planned_texts
from dashboard.actions.acting import RefusedError
from dashboard.actions.notices import amend_notice, close_notice, edit_notice, endings, prepare_notice, publish_notice
from dashboard.roles import RIGHTS, ROLES, Account
from domain.site import PlannedStop, Site
from store.records.notices import first_step
from store.records.tables import audit, notice_transitions, notices, outages
from store.site_folder import load_site

NOW_MS = 1_768_458_185_000  # 2026-01-15 14:23:05
HOUR_MS = 3_600_000
WANG = Account("王调度", "dispatcher")
FACTS = Facts(("S1",), NOW_MS - 8 * HOUR_MS, NOW_MS - 8 * HOUR_MS, "pump_trip")
SAID = Said(measures_zh="更换水泵", expected_at=NOW_MS + 4 * HOUR_MS)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site.toml").write_text('name = "t"\nhotline = "96069"\n', encoding="utf-8")
    (tmp_path / "stations.csv").write_text("station_id,name\nS1,和平路站\n", encoding="utf-8")
    return load_site(tmp_path)


@pytest.fixture
def due(records: Engine, site: Site) -> int:
    outage_id = outage(records)  # SQLite has one writer at a time
    with records.begin() as connection:
        row = {"outage_id": outage_id, "subject": "station/S1", "due_at": NOW_MS, "facts": FACTS.kept()}
        return first_step(connection, row | outage_texts(site, FACTS, Said()), NOW_MS)


def outage(records: Engine, state: str = "open") -> int:
    row = {"subject": "station/S1", "station_id": "S1", "state": state, "stations": ["S1"], "cause": "pump_trip"}
    times = {"started_at": FACTS.started_at, "started_earliest": FACTS.started_at, "opened_at": FACTS.started_at + 900_000}
    with records.begin() as connection:
        key = connection.execute(insert(outages).values(row | times)).inserted_primary_key
        assert key is not None
        return int(key[0])


def rows(records: Engine, table: Table, *columns: str) -> Sequence[tuple[object, ...]]:
    with records.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*(table.c[name] for name in columns)).order_by(table.c.id))]


def acts(records: Engine, site: Site, notice_id: int, version: int) -> dict[str, Callable[[Account], None]]:
    """Everything that can be done with a notice, by what the audit calls it."""
    return {
        "publish_notice": lambda who: publish_notice(records, who, notice_id, version, NOW_MS),
        "edit_notice": lambda who: edit_notice(records, who, site, notice_id, version, SAID, NOW_MS),
        "amend_notice": lambda who: amend_notice(records, who, site, notice_id, version, SAID, "", NOW_MS),
        "close_notice": lambda who: close_notice(records, who, site, notice_id, version, "correction", "误报", NOW_MS),
    }


def test_from_draft_to_the_end_every_step_is_a_row_with_its_words(records: Engine, site: Site, due: int) -> None:
    edit_notice(records, WANG, site, due, 1, Said(measures_zh="抢修"), NOW_MS)
    publish_notice(records, WANG, due, 2, NOW_MS + 1)
    amend_notice(records, WANG, site, due, 3, SAID, "现场答复", NOW_MS + 2)
    amend_notice(records, WANG, site, due, 4, replace(SAID, cause_zh="电机烧毁"), "", NOW_MS + 3)
    close_notice(records, WANG, site, due, 5, "restored", "电话核实", NOW_MS + 4)
    assert rows(records, notice_transitions, "from_state", "to_state", "at", "who", "why", "version") == [
        ("none", "due", NOW_MS, "keepwarm", "", 1),
        ("due", "due", NOW_MS, "王调度", "edited", 2),
        ("due", "published", NOW_MS + 1, "王调度", "confirmed", 3),
        ("published", "amended", NOW_MS + 2, "王调度", "现场答复", 4),
        ("amended", "amended", NOW_MS + 3, "王调度", "", 5),
        ("amended", "closed", NOW_MS + 4, "王调度", "电话核实", 6),
    ]
    texts = [str(text) for (text,) in rows(records, notice_transitions, "text_zh")]
    assert "抢修人员已在处理。恢复供热时间另行通告。" in texts[0]
    assert texts[1] == texts[2]
    assert "措施：抢修。" in texts[2]
    assert "措施：更换水泵。预计2026年1月15日18:23恢复供热。" in texts[3]
    assert "循环泵故障停机" in texts[3]
    assert "原因：电机烧毁。措施：更换水泵。" in texts[4]
    assert texts[4] == texts[5]
    assert rows(records, notices, "state", "published_at", "closed_at", "closed_by", "closing", "closing_zh", "version") == [
        ("closed", NOW_MS + 1, NOW_MS + 4, "王调度", "restored", "上述停热已于2026年1月15日14:23结束。", 6)
    ]


def test_each_act_is_audited_with_what_was_and_what_is(records: Engine, site: Site, due: int) -> None:
    edit_notice(records, WANG, site, due, 1, Said(measures_zh="抢修"), NOW_MS)
    close_notice(records, WANG, site, due, 2, "correction", "误报", NOW_MS)
    assert rows(records, audit, "who", "action", "subject", "before", "after", "refused") == [
        (
            "王调度", "edit_notice", f"notice/{due}", {"state": "due", "version": 1, "said": {}},
            {"state": "due", "version": 2, "said": {"measures_zh": "抢修"}, "why": "edited"}, False,
        ),
        (
            "王调度", "close_notice", f"notice/{due}", {"state": "due", "version": 2, "said": {"measures_zh": "抢修"}},
            {"state": "closed", "version": 3, "said": {"measures_zh": "抢修"}, "why": "误报"}, False,
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("act", ["publish_notice", "edit_notice", "close_notice", "amend_notice"])
def test_only_dispatchers_do_any_of_it_and_a_refusal_is_audited(records: Engine, site: Site, due: int, act: str, role: str) -> None:
    version = 1
    if act == "amend_notice":
        publish_notice(records, WANG, due, 1, NOW_MS)
        version = 2
    before = rows(records, notices, "state", "version")
    work = acts(records, site, due, version)[act]
    if role in RIGHTS["write_notice"]:
        work(Account("李", role))
        assert rows(records, audit, "who", "action", "refused")[-1] == ("李", act, False)
        return
    with pytest.raises(RefusedError, match="role"):
        work(Account("李", role))
    assert rows(records, audit, "who", "action", "refused")[-1] == ("李", act, True)
    assert rows(records, notices, "state", "version") == before


@pytest.mark.parametrize("act", ["publish_notice", "edit_notice", "close_notice"])
def test_who_saw_an_older_version_is_refused(records: Engine, site: Site, due: int, act: str) -> None:
    edit_notice(records, WANG, site, due, 1, Said(remark_zh="请关窗"), NOW_MS)
    with pytest.raises(RefusedError, match="meanwhile"):
        acts(records, site, due, 1)[act](WANG)
    assert rows(records, notices, "state", "version") == [("due", 2)]


@pytest.mark.parametrize(
    ("reached", "refused"),
    [("published", ("publish_notice", "edit_notice")), ("closed", ("publish_notice", "edit_notice", "amend_notice", "close_notice"))],
)
def test_what_does_not_fit_the_state_is_refused(records: Engine, site: Site, due: int, reached: str, refused: tuple[str, ...]) -> None:
    publish_notice(records, WANG, due, 1, NOW_MS)
    if reached == "closed":
        close_notice(records, WANG, site, due, 2, "restored", "核实", NOW_MS)
    version = 2 if reached == "published" else 3
    for act in refused:
        with pytest.raises(RefusedError, match="meanwhile"):
            acts(records, site, due, version)[act](WANG)
    assert rows(records, notices, "state", "version") == [(reached, version)]


def test_a_draft_is_not_amended_and_a_notice_that_is_not_there_neither(records: Engine, site: Site, due: int) -> None:
    with pytest.raises(RefusedError, match="meanwhile"):
        amend_notice(records, WANG, site, due, 1, SAID, "", NOW_MS)
    with pytest.raises(RefusedError, match="meanwhile"):
        publish_notice(records, WANG, due + 9, 1, NOW_MS)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Said(), "already"),
        (Said(measures_zh="长" * 501), "500 characters"),
        (Said(expected_at=NOW_MS), "later than now"),
        (Said(expected_at=NOW_MS + 61 * 24 * HOUR_MS), "within 60 days"),
    ],
)
def test_words_that_can_not_be(records: Engine, site: Site, due: int, said: Said, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        edit_notice(records, WANG, site, due, 1, said, NOW_MS)
    assert rows(records, notices, "version") == [(1,)]


def test_an_end_has_a_reason_and_fits_its_notice(records: Engine, site: Site, due: int) -> None:
    with pytest.raises(RefusedError, match="reason"):
        close_notice(records, WANG, site, due, 1, "correction", "  ", NOW_MS)
    with pytest.raises(RefusedError, match="like this"):
        close_notice(records, WANG, site, due, 1, "restored", "x", NOW_MS)  # nobody has read of it yet
    publish_notice(records, WANG, due, 1, NOW_MS)
    with pytest.raises(RefusedError, match="like this"):
        close_notice(records, WANG, site, due, 2, "called_off", "x", NOW_MS)
    assert endings(of_outage=False, state="published") == ("planned_over", "correction")
    assert endings(of_outage=True, state="closed") == ()


def test_a_planned_stops_notice_is_published_and_amended_too(records: Engine, site: Site) -> None:
    stop = PlannedStop("S1", NOW_MS + HOUR_MS, NOW_MS + 12 * HOUR_MS, "换阀")
    facts = {"from_ms": stop.from_ms, "to_ms": stop.to_ms, "reason": stop.reason}
    with records.begin() as connection:
        row = {"planned_stop": stop.key, "subject": "station/S1", "due_at": NOW_MS, "facts": facts}
        notice_id = first_step(connection, row | planned_texts(site, stop, Said()), NOW_MS)
    publish_notice(records, WANG, notice_id, 1, NOW_MS)
    amend_notice(records, WANG, site, notice_id, 2, Said(measures_zh="由备用站供热"), "", NOW_MS)
    ((text,),) = rows(records, notices, "text_zh")
    assert "和平路站计划于2026年1月15日15:23至2026年1月16日02:23停止供热" in str(text)
    assert "原因：换阀。措施：由备用站供热。" in str(text)


def test_a_notice_is_prepared_before_it_falls_due(records: Engine, site: Site) -> None:
    outage_id = outage(records)
    prepare_notice(records, WANG, outage_id, Said(), SAID, NOW_MS)
    assert rows(records, outages, "said") == [(SAID.kept(),)]
    with pytest.raises(RefusedError, match="meanwhile"):
        prepare_notice(records, WANG, outage_id, Said(), Said(), NOW_MS)
    with pytest.raises(RefusedError, match="role"):
        prepare_notice(records, Account("李", "engineer"), outage_id, SAID, Said(), NOW_MS)
    prepare_notice(records, WANG, outage_id, SAID, Said(), NOW_MS)
    assert rows(records, outages, "said") == [({},)]
    assert [row[:2] for row in rows(records, audit, "action", "refused")] == [
        ("prepare_notice", False),
        ("prepare_notice", True),
        ("prepare_notice", False),
    ]


def test_what_is_over_or_has_its_notice_is_not_prepared(records: Engine, due: int) -> None:
    with pytest.raises(RefusedError, match="already"):
        prepare_notice(records, WANG, 1, Said(), SAID, NOW_MS)
    with pytest.raises(RefusedError, match="over"):
        prepare_notice(records, WANG, 99, Said(), SAID, NOW_MS)
