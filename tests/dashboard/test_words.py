"""Texts and times: the catalogue is complete, local time is local, ages read well."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from markupsafe import escape

import dashboard
from dashboard.markup import templates
from dashboard.moments import DAY_MS, HOUR_MS, MINUTE_MS, Moments
from dashboard.reasons import SOURCE, told
from dashboard.text import CATALOGUES, speech
from dashboard.words import SOURCE_COUNT, WORDS, alarm_bits

FOLDER = Path(dashboard.__file__).parent
KEYWORDS = {"_": None, "N_": None, "say": None, "plural": (1, 2)}
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]


# What collectors said of devices and brokers, and how the Chinese words of it begin.
REASONS = {
    "no connection within 0.60 s": "0.60 秒内连不上",
    "no connection: connection refused": "对方拒绝连接",
    "connect: [Errno 111] Connect call failed ('10.0.0.1', 4840)": "对方拒绝连接",
    "no connection: [Errno 111] Connection refused": "对方拒绝连接",
    "no connection: no route to host": "网络不通",
    "no connection: Name or service not known": "主机名无法解析",
    "no connection: Temporary failure in name resolution": "主机名无法解析",
    "no connection: timed out": "应答超时",
    "connect: no answer in time": "应答超时",
    "no connection: no such file or directory": "串口不存在",
    "no connection: permission denied": "无权打开串口",
    "connection closed by the other end": "连接中断",
    "connection lost: [Errno 104] Connection reset by peer": "连接中断",
    "disconnected: the connection was lost": "连接中断",
    "disconnected: Session taken over; does another client use the client_id a? Each needs its own": "有别的程序占用同一客户端编号",
    "refused: Not authorized": "用户名或口令被拒绝",
    "refused: Bad user name or password": "用户名或口令被拒绝",
    "connect: BadUserAccessDenied": "用户名或口令被拒绝",
    "refused: Server unavailable": "消息服务器拒绝接入",
    "the broker refuses what we subscribe to: town/#: Not authorized": "消息服务器不许订阅",
    "the broker ends the connection without an answer: Unspecified error": "消息服务器不应答即断开",
    "the server's certificate is not trusted; SHA-256 AB:CD; if that is right: keepwarm trust SITE AB:CD": "对方证书尚未受信任",
    "the server's certificate is valid from 2024-01-01 to 2025-01-01; SHA-256 AB": "证书不符",
    "the server takes nobody without security; that is Basic256Sha256,SignAndEncrypt in devices.csv": "对方的安全要求",
    "namespace 'urn:x' is not on the server; it has a, b": "对方节点与点表不符",
    "exception 2, illegal address": "设备给不出这些数据",
    "exception 11, gateway target silent": "网关够不到设备",
    "unit 2 answered for unit 1": "应答不对或有错码",
    "checksum of the reply is wrong": "应答不对或有错码",
    "env:PLC: this environment variable holds a secret and is not set": "本机未设置所需口令",
}
ANSWERS = {
    "HTTP 200": "已收下",
    "taken": "已收下",
    "HTTP 200, code 310000": "对方拒收，代码 310000",
    "HTTP 403": "对方不认：查密钥或口令",
    "HTTP 404": "此地址无服务",
    "HTTP 429": "发送过快",
    "HTTP 503": "对方服务出错，稍后再发",
    "HTTP 422": "对方拒收此消息",
    "SMTP 535": "邮件服务器不认",
    "SMTP 550": "邮件服务器拒收此消息",
    "SMTP 451": "邮件服务器暂不接收",
    "this is no address that apprise knows": "渠道地址写错",
    "the gateway can't be reached: NewConnectionError": "连不上或未收下，稍后再发",
    "the template can't be filled in: KeyError": "渠道模板无法填写",
}


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
    assert say("Connection refused").startswith("对方拒绝连接：查其服务是否运行、端口是否正确 <span")
    assert "&lt;b&gt;" in say("what nobody thought of <b>")
    for reason, words in REASONS.items():
        assert say(reason).startswith(words), (reason, say(reason))
        assert "<span" not in say(reason) or f">{escape(reason)}</span>" in say(reason)
        assert not re.search("[一-鿿]", told(speech("en"), SOURCE, reason))


def test_every_reason_of_the_collector_that_is_fixed_has_a_class() -> None:
    folder = FOLDER.parent / "collector" / "sources"
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    raised = re.findall(r'(?:SourceError|SilentError|WrongReplyError|BrokenLineError|NamespaceMissingError)\(f?"([^"]+)"', text)
    raised += re.findall(r'trouble = f?"([^"]+)"', text)
    raised = [re.sub(r"{(\w|\.)+:[.\w]+}", "9.00", one) for one in raised if re.search(r"\w", re.sub(r"{[^}]*}", "", one))]
    assert len(raised) > 20
    assert [one for one in raised if told(speech("zh"), SOURCE, one) == escape(one) and not one.startswith("{what}")] == []


def test_what_a_channel_answered_is_said_in_the_readers_language() -> None:
    say = templates("zh").globals["channel_answer"]
    assert callable(say)
    for answer, words in ANSWERS.items():
        assert say(answer).startswith(words), (answer, say(answer))
