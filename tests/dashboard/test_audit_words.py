"""The audit in words: every act has a name in both languages, instants are local, what was changed is said as people say it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from compliance.complaint_life import DEEDS
from dashboard.audit_words import ACT, act_name, act_subject, acts_named, said
from dashboard.facts.accounts import AuditWanted, audit_rows
from dashboard.facts.town import Town
from dashboard.moments import Moments
from dashboard.text import speech
from tests.dashboard.sample_town import NOW_MS, STOPPED

DASHBOARD = Path(__file__).parents[2] / "dashboard"
PLACE = {"demand": 3, "note": 3, "record": 3, "audit": 1, "welcome": 2}  # where the act stands among the arguments


def audited_acts() -> Iterator[str]:
    """The acts that the source writes into the audit, as far as they are literals."""
    for path in DASHBOARD.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                passed = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "action")]
                place = PLACE.get(name)
                if name == "to_thread" and getattr(passed[0], "attr", "") == "audit":
                    place = 2
                if place is not None and place < len(passed) and isinstance(passed[place], ast.Constant):
                    yield str(passed[place].value)  # type: ignore[attr-defined]
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "action" and isinstance(value, ast.Constant):
                        yield str(value.value)


def test_every_act_that_is_audited_has_a_name() -> None:
    acts = set(audited_acts())
    assert {"move_complaint", "invite", "sign_in", "enter", "make_key", "publish_notice", "take_over"} <= acts
    assert {act for act in acts if act_name(act) == act} == set()
    assert {deed for deed in DEEDS if act_name(f"complaint_{deed}").startswith("complaint_")} == set()
    assert act_name("what_nobody_knows") == "what_nobody_knows"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_act_is_found_by_its_name_in_the_readers_language(language: str) -> None:
    say = speech(language)
    for action, message in ACT.items():
        assert action in acts_named(say, say(message))
    assert acts_named(say, "") == []


SAID: tuple[tuple[str, object, str, str], ...] = (
    ("complaint/8", None, "", ""),
    ("complaint/8", {"state": "accepted", "assignee": "李", "why": ""}, "状态 已受理 · 经办人 李", "state Accepted · in hand of 李"),
    ("alarm/3", {"state": "acknowledged"}, "状态 已确认", "state Acknowledged"),
    ("complaint/8", {"category": "leak"}, "类型 跑冒滴漏", "kind Leak"),
    ("complaint/8", {"opened_at": NOW_MS}, "反映时间 2026-01-15 14:23:05", "reported 2026-01-15 14:23:05"),
    ("account/x", {"role": "admin", "disabled": False}, "角色 管理员 · 已停用 否", "role Administrator · shut out no"),
    ("account/x", {"districts": ["一区", "二区"]}, "片区 一区、二区", "districts 一区, 二区"),
    ("visit/1", {"hash": "0123456789abcdef"}, "校验值 0123456789ab", "hash 0123456789ab"),
    (
        "station/S01",
        {"from_ms": NOW_MS, "outdoor_c": [-20.0, 0.0], "supply_c": [70.0, 45.0], "offsets_k": [], "reason": "x"},
        "生效时间 2026-01-15 14:23:05 · 室外 ℃ −20.0、0.0 · 供温 ℃ 70.0、45.0 · 原因 x",
        "in force from 2026-01-15 14:23:05 · outdoors ℃ −20.0, 0.0 · supply ℃ 70.0, 45.0 · reason x",
    ),
    (
        "notice/1",
        {"state": "due", "version": 2, "said": {"cause_zh": "水泵", "expected_at": NOW_MS}},
        "状态 应发未发 · 版本 2 · 原因（中文） 水泵 · 预计恢复 2026-01-15 14:23:05",
        "state Due, not published · version 2 · cause (Chinese) 水泵 · expected back 2026-01-15 14:23:05",
    ),
    ("key/x", ["latest", "rooms"], "latest、rooms", "latest、rooms"),
    ("key/x", {"unheard_of": 3}, "unheard_of 3", "unheard_of 3"),
)


@pytest.mark.parametrize(("of", "change", "zh", "en"), SAID)
def test_a_change_in_one_line(town: Town, of: str, change: object, zh: str, en: str) -> None:
    for language, line in (("zh", zh), ("en", en)):
        say = speech(language)
        assert said(say, Moments(town.site.timezone, say), of, change) == line


def test_what_it_was_done_to_has_a_name_and_a_page(town: Town) -> None:
    say = speech("zh")
    found = act_subject(town, say, "complaint/12")
    assert (found.name, found.address) == ("投诉 № 12", "complaints?complaint=12")
    assert act_subject(town, say, f"station/{STOPPED}").address == f"station?station={STOPPED}"
    assert act_subject(town, say, "account/王调度").name == "账号 王调度"
    assert act_subject(town, say, "account/王调度").address == ""
    assert act_subject(town, say, "room/nowhere").name == "room/nowhere"
    assert act_subject(town, say, "alarms/3,4").name == "alarms/3,4"


def test_the_search_takes_words_and_ids(town: Town) -> None:
    say = speech("zh")
    by_word = audit_rows(town, AuditWanted(text="投诉流转", named=tuple(acts_named(say, "投诉流转"))))
    assert {row.action for row in by_word} == {"move_complaint"}
    assert {row.subject for row in audit_rows(town, AuditWanted(text="complaint/8"))} == {"complaint/8"}
