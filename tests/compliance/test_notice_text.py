"""What a notice says: every part that R5 names, what is not known left out, nothing of it invented."""

from dataclasses import replace

import pytest

from compliance.notice_text import Facts, Said, closing_texts, closing_word, outage_texts, planned_texts
from compliance.outage import Outage, SourceOutage
from domain.notice_texts import CLOSINGS, NoticeTexts, shipped_notice_texts
from domain.site import Building, PlannedStop, Site, Station
from tests.compliance.feeding import local_ms

START_MS = local_ms("2026-01-14 22:00")
NIGHT = Facts(("S1", "S2"), START_MS, START_MS, "pump_trip")


@pytest.fixture
def town(site: Site) -> Site:
    return replace(
        site,
        name="阜新",
        hotline="96069",
        stations={
            "S1": Station("S1", "和平路站", district="海州区"),
            "S2": Station("S2", "", district="海州区"),
            "S3": Station("S3", "花园站", district="细河区"),
        },
        buildings={
            "B1": Building("B1", "S1", "1号楼", "和平路18号", households=56),
            "B2": Building("B2", "S1", "2号楼", "和平路18号", households=48),
            "B3": Building("B3", "S2", "", ""),
            "B4": Building("B4", "S3", "5号楼", "花园街", households=30),
        },
    )


def test_every_part_that_is_known(town: Site) -> None:
    facts = replace(NIGHT, started_earliest=local_ms("2026-01-14 21:05"))
    said = Said(
        measures_zh="正在更换循环泵", measures_en="the pump is being replaced", expected_at=local_ms("2026-01-15 09:30"),
        remark_zh="请关好门窗。",
    )  # fmt: skip
    assert outage_texts(town, facts, said) == {
        "stations": ["S1", "S2"],
        "households": 104,
        "title_zh": "停热通告：和平路站、S2",
        "title_en": "Heating outage notice: 和平路站, S2",
        "text_zh": (
            "海州区和平路站、S2自2026年1月14日22:00起停止供热（最早可能自2026年1月14日21:05），涉及和平路18号（1号楼、2号楼）、B3，约104户。"
            "原因：循环泵故障停机。措施：正在更换循环泵。预计2026年1月15日09:30恢复供热。请关好门窗。由此带来的不便敬请谅解。服务热线：96069。"
        ),
        "text_en": (
            "和平路站, S2 (海州区) has not delivered heat since 22:00 on 14 January 2026 (possibly since 21:05 on 14 January 2026); "
            "affected: 和平路18号 (1号楼, 2号楼), B3, about 104 households. Cause: a tripped circulation pump. "
            "Measures: the pump is being replaced. Heat is expected back at 09:30 on 15 January 2026. 请关好门窗。 "
            "We apologise for the inconvenience. Hotline: 96069."
        ),
    }


def test_what_is_not_known_is_not_said(town: Site) -> None:
    bare = replace(town, hotline="", stations={"S1": Station("S1")}, buildings={})
    texts = outage_texts(bare, Facts(("S1",), START_MS, START_MS, "lightning"), Said())
    assert texts["text_zh"] == (
        "S1自2026年1月14日22:00起停止供热，涉及相关楼栋。原因：正在查明。抢修人员已在处理。恢复供热时间另行通告。由此带来的不便敬请谅解。"
    )
    assert texts["text_en"] == (
        "S1 has not delivered heat since 22:00 on 14 January 2026; affected: the buildings it feeds. Cause: being investigated. "
        "Repair is under way. We will announce when heat is expected back. We apologise for the inconvenience."
    )
    assert texts["households"] == 0


def test_a_dispatchers_cause_stands_for_what_was_found(town: Site) -> None:
    texts = outage_texts(town, NIGHT, Said(cause_zh="施工挖断管道"))
    assert "原因：施工挖断管道。" in texts["text_zh"]
    assert "Cause: 施工挖断管道." in texts["text_en"]


def test_braces_of_a_dispatcher_are_his_own(town: Site) -> None:
    assert "措施：{hotline} {x。" in outage_texts(town, NIGHT, Said(measures_zh="{hotline} {x"))["text_zh"]


def test_a_planned_stop_says_until_when(town: Site) -> None:
    stop = PlannedStop("S3", START_MS, local_ms("2026-01-15 08:00"), "更换阀门")
    texts = planned_texts(town, stop, Said())
    assert texts["title_zh"] == "计划停热通告：花园站"
    assert texts["text_zh"] == (
        "细河区花园站计划于2026年1月14日22:00至2026年1月15日08:00停止供热，涉及花园街（5号楼），约30户。原因：更换阀门。请提前做好准备。服务热线：96069。"
    )
    assert "原因：设备检修。措施：热网切换。" in planned_texts(town, replace(stop, reason=""), Said(measures_zh="热网切换"))["text_zh"]


def test_a_sites_own_words(town: Site) -> None:
    own = {"outage.title_zh": "【{site}】{stations}停热", "cause.pump_trip.zh": "水泵停了", "part.hotline.zh": "电话{hotline}"}
    texts = NoticeTexts({**shipped_notice_texts().templates, **own})
    said = outage_texts(replace(town, notice_texts=texts), NIGHT, Said())
    assert said["title_zh"] == "【阜新】和平路站、S2停热"
    assert "原因：水泵停了。" in said["text_zh"]
    assert said["text_zh"].endswith("敬请谅解。电话96069")


@pytest.mark.parametrize("closing", CLOSINGS)
def test_every_end_has_its_words(town: Site, closing: str) -> None:
    found = closing_texts(town, closing, START_MS)
    assert found["closing"] == closing
    assert found["closing_zh"]
    assert found["closing_en"]
    assert all(closing_word(town, closing))
    assert ("恢复" in closing_word(town, closing)[0]) == (closing == "restored")


def test_an_end_that_nobody_knows_is_called_the_end(town: Site) -> None:
    assert closing_word(town, "") == ("恢复供热", "Heat is back")


def test_what_was_said_is_kept_and_found_again() -> None:
    said = Said(measures_zh="抢修", expected_at=7)
    assert said.kept() == {"measures_zh": "抢修", "expected_at": 7}
    assert Said.of(said.kept()) == said
    assert Said.of(None) == Said.of({"of_an_older_layout": 1}) == Said()


def test_facts_are_those_of_all_parts() -> None:
    first = Outage("S2", START_MS, START_MS - 5, START_MS + 9)
    second = Outage("S1", START_MS - 1, START_MS - 1, START_MS + 9)
    source = SourceOutage("HS", START_MS + 9, (first, second))
    facts = Facts.of_outage(source, "source_loss")
    assert facts == Facts(("S1", "S2"), START_MS - 1, START_MS - 5, "source_loss")
    assert Facts.of(facts.kept()) == facts
