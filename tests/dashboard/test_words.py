"""Texts and times: the catalogue is complete, local time is local, ages read well."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import dashboard
from dashboard.markup import templates
from dashboard.moments import DAY_MS, HOUR_MS, MINUTE_MS, Moments
from dashboard.text import CATALOGUES, speech
from dashboard.words import SOURCE_COUNT, WORDS, alarm_bits

FOLDER = Path(dashboard.__file__).parent
KEYWORDS = {"_": None, "N_": None, "say": None, "plural": (1, 2)}
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]


def messages() -> set[str]:
    found = extract_from_dir(FOLDER, METHODS, {}, keywords=KEYWORDS)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def test_every_text_is_translated_and_none_is_left_over() -> None:
    with (CATALOGUES / "zh.po").open("rb") as file:
        catalogue = read_po(file, locale="zh")
    entries = {message.id if isinstance(message.id, str) else message.id[0]: message for message in catalogue if message.id}
    assert messages() - set(entries) == set()
    assert set(entries) - messages() == set()
    assert [key for key, message in entries.items() if message.fuzzy or not message.string] == []


def test_both_languages_fill_in_the_same_names() -> None:
    for message in messages():
        names = set(re.findall(r"{(\w+)", message))
        assert set(re.findall(r"{(\w+)", speech("zh").catalogue.gettext(message))) <= names, message


def test_no_text_hides_from_extraction() -> None:
    sources = [path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.py")]
    assert [match for source in sources for match in re.findall(r"{_\(.*", source)] == []


def test_a_language_nobody_speaks_is_chinese() -> None:
    assert speech("fr").language == "zh"
    assert speech("zh")("Alarms") == "报警"
    assert speech("en")("Alarms") == "Alarms"
    assert speech("zh").plural("Acknowledge {n} alarm", "Acknowledge {n} alarms", 2) == "确认 2 条报警"
    assert speech("en").plural("Acknowledge {n} alarm", "Acknowledge {n} alarms", 1) == "Acknowledge 1 alarm"


def test_the_bits_of_an_alarm_word() -> None:
    assert alarm_bits(256 + 32768) == ["circulation pump 1 fault", "power loss"]
    assert alarm_bits(0) == alarm_bits(None) == alarm_bits(8192) == []


@pytest.mark.parametrize("name", sorted(set(WORDS) - {"alarm_bits"}))
def test_an_unheard_of_state_is_shown_as_unknown_or_by_its_name(name: str) -> None:
    table = WORDS[name]
    assert callable(table)
    word = table("brand_new", planned=False) if name == "heat_word" else table("brand_new")
    assert getattr(word, "message", word) in {"unknown", "brand_new", "bad"}


@pytest.mark.parametrize(
    ("duration_ms", "zh", "en"),
    [
        (0, "0 秒", "0 s"),
        (59_999, "59 秒", "59 s"),
        (MINUTE_MS, "1 分", "1 min"),
        (3 * HOUR_MS + 5 * MINUTE_MS, "3 时 05 分", "3 h 05 min"),
        (2 * DAY_MS + 4 * HOUR_MS, "2 天 4 时", "2 d 4 h"),
        (-5, "0 秒", "0 s"),
    ],
)
def test_lengths_of_time(duration_ms: int, zh: str, en: str) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    assert Moments(zone, speech("zh")).duration(duration_ms) == zh
    assert Moments(zone, speech("en")).duration(duration_ms) == en


def test_instants_are_the_sites_local_time() -> None:
    moments = Moments(ZoneInfo("Asia/Shanghai"), speech("zh"))
    at = 1_768_458_185_000
    assert moments.full(at) == "2026-01-15 14:23:05"
    assert moments.day_time(at, at + HOUR_MS) == "14:23"
    assert moments.day_time(at, at + DAY_MS) == "01-15 14:23"
    assert moments.day(at) == "2026-01-15"
    assert moments.age(None, at) == "无数据"
    assert moments.left(at, at + MINUTE_MS) == "超 1 分"
    assert moments.day_time(None) == moments.full(None) == "—"


def test_charts_show_local_time_on_both_sides_of_a_change_of_clocks() -> None:
    moments = Moments(ZoneInfo("Europe/Berlin"), speech("en"))
    change = 1_774_746_000_000  # 29 March 2026, 01:00 UTC: clocks go from 02:00 to 03:00
    at = np.array([change - 1, change], np.int64)
    assert (moments.wall_ms(at) - at).tolist() == [HOUR_MS, 2 * HOUR_MS]
    for instant, wall in zip(at.tolist(), moments.wall_ms(at).tolist(), strict=True):
        local = moments.local(instant)
        assert wall // HOUR_MS % 24 == local.hour


def test_every_count_of_a_source_has_a_name() -> None:
    folder = FOLDER.parent / "collector"
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    constants = dict(re.findall(r'^([A-Z_]+) = "(.*)"$', text, re.MULTILINE))
    counted = set(re.findall(r'counts\["([^"]+)"\]', text)) | {constants[name] for name in re.findall(r"counts\[([A-Z_]+)\]", text)}
    assert len(counted) > 10
    assert counted - set(SOURCE_COUNT) == set()


def test_why_a_source_fails_is_said_in_the_readers_language() -> None:
    say = templates("zh").globals["source_reason"]
    assert callable(say)
    assert say("no reply within 0.60 s") == "0.60 秒内无应答"
    assert say("Connection refused") == "Connection refused"
