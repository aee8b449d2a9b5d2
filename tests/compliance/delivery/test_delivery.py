"""What is owed goes out: against a real mail server and a real HTTP server on loopback, through crashes and outages of channels."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from compliance.delivery import outbox
from compliance.delivery.deliver import Delivery
from compliance.delivery.sending import send
from compliance.notice_text import closing_texts
from domain.errors import DeliveryError
from domain.site import Channel, Site
from store.records import open_records
from store.records.notices import OPEN_AGAIN, first_step, next_step, notice_of
from store.records.tables import deliveries, escalations, events, outages
from store.site_folder import check_site, load_site
from tests.compliance.delivery.servers import Gateway, Mailbox, mail_server

NOW_MS = 1_768_359_600_000
MINUTE_MS = 60_000
NOTICE = {
    "subject": "station/S1", "due_at": NOW_MS, "stations": ["S1"],
    "title_zh": "停热通告：和平路站", "title_en": "Heating outage notice: Heping Road",
    "text_zh": '和平路站停止供热。"请谅解"', "text_en": "No heat.",
}  # fmt: skip


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    found = Gateway()
    yield found
    found.close()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Engine]:
    engine = open_records(tmp_path / "records.db")
    yield engine
    engine.dispose()


def site(tmp_path: Path, *channels: Channel) -> Site:
    (tmp_path / "site.toml").write_text('name = "t"\n', encoding="utf-8")
    (tmp_path / "stations.csv").write_text("station_id,name\nS1,和平路站\n", encoding="utf-8")
    return replace(load_site(tmp_path), channels=channels)


def sms(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Channel:
    monkeypatch.setenv("SMS_URL", f"http://127.0.0.1:{port}/send?token=hush")
    (tmp_path / "sms.json").write_text('{"to": "all", "msg": "{{ title }}\\n{{ text }}", "id": "{{ key }}"}', encoding="utf-8")
    return Channel("sms", "env:SMS_URL", template=str(tmp_path / "sms.json"), **more)


def publish(records: Engine, **values: Any) -> int:
    with records.begin() as connection:
        notice_id = first_step(connection, NOTICE | values, NOW_MS)
        assert next_step(connection, notice_id, 1, "published", NOW_MS, {"published_at": NOW_MS})
    return notice_id


def step(records: Engine, notice_id: int, to_state: str, **values: Any) -> None:
    with records.begin() as connection:
        row = notice_of(connection, id=notice_id)
        assert row is not None
        assert next_step(connection, notice_id, row.version, to_state, NOW_MS, values)


def rows(records: Engine) -> list[tuple[str, str, int]]:
    with records.connect() as connection:
        columns = deliveries.c
        return [tuple(row) for row in connection.execute(select(columns.key, columns.state, columns.attempts).order_by(columns.id))]


def outcome(records: Engine) -> str | None:
    with records.connect() as connection:
        return connection.execute(select(deliveries.c.result)).scalar()


def drain(delivery: Delivery, wall_ms: int = NOW_MS) -> None:
    while delivery.step(wall_ms):
        pass


def test_a_notice_goes_out_once_with_its_key(tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = Delivery(site(tmp_path, sms(tmp_path, gateway.port, monkeypatch)), records)
    notice_id = publish(records)
    drain(delivery)
    drain(Delivery(delivery.site, records))  # after a restart
    ((headers, body),) = gateway.got
    assert body["msg"] == '停热通告：和平路站 · Heating outage notice: Heping Road\n和平路站停止供热。"请谅解"\n\nNo heat.'
    assert body["id"] == headers["idempotency-key"] == "notice-2@sms"
    assert rows(records) == [("notice-2@sms", "sent", 1)]
    step(records, notice_id, "amended", text_zh="和平路站停止供热，预计18:00恢复。")
    step(records, notice_id, "closed", **closing_texts(delivery.site, "restored", NOW_MS))
    drain(delivery)
    assert [body["msg"].split("\n")[0] for _, body in gateway.got[1:]] == [
        "更新 · 停热通告：和平路站 · Update · Heating outage notice: Heping Road",
        "恢复供热 · 停热通告：和平路站 · Heat is back · Heating outage notice: Heping Road",
    ]
    assert "上述停热已于2026年1月14日11:00结束。" in gateway.got[2][1]["msg"]


@pytest.mark.parametrize(
    ("closing", "title", "text"),
    [
        ("correction", "更正：撤回 · 停热通告：和平路站", "上述停热并未发生，本通告撤回"),
        ("superseded", "更正：另行通告 · 停热通告：和平路站", "上述停热的范围或起止时间有变"),
        ("called_off", "计划取消 · 停热通告：和平路站", "上述计划停热已取消"),
        ("planned_over", "计划停热结束 · 停热通告：和平路站", "上述计划停热已于2026年1月14日11:00结束"),
        ("season_ended", "供暖季结束 · 停热通告：和平路站", "供暖季已于2026年1月14日11:00结束"),
    ],
)
def test_nobody_is_told_that_heat_is_back_where_it_is_not(
    tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, closing: str, title: str, text: str
) -> None:
    delivery = Delivery(site(tmp_path, sms(tmp_path, gateway.port, monkeypatch, language="zh")), records)
    notice_id = publish(records)
    step(records, notice_id, "closed", **closing_texts(delivery.site, closing, NOW_MS))
    drain(delivery)
    said = gateway.got[-1][1]["msg"]
    assert said.startswith(title)
    assert text in said
    assert "恢复" not in said


def test_a_notice_withdrawn_before_it_was_published_says_nothing(tmp_path: Path, records: Engine) -> None:
    delivery = Delivery(site(tmp_path, Channel("x", "env:NOTHING")), records)
    with records.begin() as connection:
        notice_id = first_step(connection, NOTICE, NOW_MS)
    step(records, notice_id, "closed", closing="restored")
    drain(delivery)
    assert rows(records) == []


def test_mail_by_apprise(tmp_path: Path, records: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        monkeypatch.setenv("MAIL", f"mailto://127.0.0.1:{port}/?from=heat@example.com&to=town@example.com&format=text")
        delivery = Delivery(site(tmp_path, Channel("mail", "env:MAIL", language="zh")), records)
        publish(records)
        drain(delivery)
    assert rows(records) == [("notice-2@mail", "sent", 1)]
    (mail,) = mailbox.mails
    assert mail["subject"] == "停热通告：和平路站"
    content = mail.get_body()
    assert content is not None
    assert "和平路站停止供热。" in content.get_content()


@pytest.mark.parametrize(
    ("to", "answers", "state", "result"),
    [
        ("nobody@example.com", [], "refused", "SMTP 550"),
        ("town@example.com", ["554 no"], "refused", "SMTP 554"),
        ("town@example.com", ["451 later"], "waiting", "SMTP 451"),
    ],
)
def test_what_a_mail_server_refuses(
    tmp_path: Path, records: Engine, monkeypatch: pytest.MonkeyPatch, to: str, answers: list[str], state: str, result: str
) -> None:
    mailbox = Mailbox()
    mailbox.answers = answers
    with mail_server(mailbox) as port:
        monkeypatch.setenv("MAIL", f"mailto://127.0.0.1:{port}/?from=heat@example.com&to={to}&format=text")
        delivery = Delivery(site(tmp_path, Channel("mail", "env:MAIL", language="zh")), records)
        publish(records)
        drain(delivery)
        assert rows(records) == [("notice-2@mail", state, 1)]
        assert outcome(records) == result
        drain(delivery, NOW_MS + 5_000)
    assert rows(records)[0][1] == ("sent" if state == "waiting" else state)
    assert len(mailbox.mails) == (state == "waiting")


def test_a_webhook_by_apprise_carries_the_key(tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{gateway.port}/hook")
    delivery = Delivery(site(tmp_path, Channel("hook", "env:HOOK", language="en")), records)
    publish(records)
    drain(delivery)
    ((headers, body),) = gateway.got
    assert headers["idempotency-key"] == "notice-2@hook"
    assert (body["title"], body["message"]) == ("Heating outage notice: Heping Road", "No heat.")


def test_a_channel_down_for_hours_gets_it_when_it_is_back(
    tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery(site(tmp_path, sms(tmp_path, gateway.port, monkeypatch)), records)
    publish(records)
    wall_ms = NOW_MS
    gateway.answers = [503, 429, 500] + [503] * 6
    while rows(records) == [] or rows(records)[0][1] == "waiting":
        drain(delivery, wall_ms)
        wall_ms += MINUTE_MS
    assert rows(records) == [("notice-2@sms", "sent", 10)]
    assert {headers["idempotency-key"] for headers, _ in gateway.got} == {"notice-2@sms"}
    assert 60 * MINUTE_MS < wall_ms - NOW_MS < 4 * 60 * MINUTE_MS
    assert delivery.counts == {"waiting": 9, "sent": 1}


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_permanent_refusal_is_recorded_and_not_repeated(
    tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    delivery = Delivery(site(tmp_path, sms(tmp_path, gateway.port, monkeypatch)), records)
    publish(records)
    gateway.answers = [status]
    drain(delivery)
    drain(delivery, NOW_MS + 3_600_000)
    assert len(gateway.got) == 1
    assert rows(records) == [("notice-2@sms", "refused", 1)]
    with records.connect() as connection:
        assert connection.execute(select(deliveries.c.result)).scalar() == f"HTTP {status}"


def test_it_is_never_given_up(tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = Delivery(site(tmp_path, sms(tmp_path, gateway.port, monkeypatch)), records)
    publish(records)
    gateway.answers = [503] * 4
    for day in (0, 1, 8, 30, 31):
        drain(delivery, NOW_MS + day * 86_400_000)
    assert rows(records) == [("notice-2@sms", "sent", 5)]


def test_of_one_notice_a_channel_gets_the_beginning_before_the_end(
    tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery(site(tmp_path, sms(tmp_path, gateway.port, monkeypatch, language="zh")), records)
    first, other = publish(records), publish(records, title_zh="停热通告：二站")
    gateway.answers = [503]  # the first of all waits for five seconds
    drain(delivery)
    step(records, first, "closed", **closing_texts(delivery.site, "restored", NOW_MS))
    drain(delivery)
    drain(delivery, NOW_MS + 5_000)
    said = [body["msg"].split("\n")[0] for _, body in gateway.got]
    assert said == ["停热通告：和平路站", "停热通告：二站", "停热通告：和平路站", "恢复供热 · 停热通告：和平路站"]
    assert other == first + 1


def test_each_message_says_what_the_notice_said_then(
    tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four transitions are there before the first is planned; none speaks in the words of a later one."""
    delivery = Delivery(site(tmp_path, sms(tmp_path, gateway.port, monkeypatch, language="zh")), records)
    notice_id = publish(records, text_zh="一")
    step(records, notice_id, "amended", text_zh="二")
    step(records, notice_id, "closed", **closing_texts(delivery.site, "correction", NOW_MS))
    step(records, notice_id, "amended", text_zh="三", **OPEN_AGAIN)
    drain(delivery)
    assert [body["msg"] for _, body in gateway.got] == [
        "停热通告：和平路站\n一",
        "更新 · 停热通告：和平路站\n二",
        "更正：撤回 · 停热通告：和平路站\n经核实数据，上述停热并未发生，本通告撤回。\n二",
        "更新 · 停热通告：和平路站\n三",
    ]


def test_what_was_decided_before_there_were_channels_is_not_sent_later(
    tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(records)
    drain(Delivery(site(tmp_path), records))
    delivery = Delivery(site(tmp_path, sms(tmp_path, gateway.port, monkeypatch)), records)
    drain(delivery)
    assert (gateway.got, rows(records)) == ([], [])
    publish(records)
    drain(delivery)
    assert [headers["idempotency-key"] for headers, _ in gateway.got] == ["notice-4@sms"]


def test_one_channel_that_fails_leaves_the_others_alone(
    tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = sms(tmp_path, gateway.port, monkeypatch)
    delivery = Delivery(site(tmp_path, Channel("lost", "env:NOT_SET"), good, Channel("odd", "file:/dev/null")), records)
    publish(records)
    drain(delivery)
    assert rows(records) == [("notice-2@lost", "waiting", 1), ("notice-2@sms", "sent", 1), ("notice-2@odd", "refused", 1)]


def test_warnings_go_to_those_who_want_them(tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = Delivery(site(tmp_path, sms(tmp_path, gateway.port, monkeypatch, sends=("warnings",), language="zh")), records)
    publish(records)
    with records.begin() as connection:
        for hours in (0, 6):
            row = {"at": NOW_MS + hours, "event": "notice.warning", "subject": "station/S1", "which": str(hours), "body": {"hours": hours}}
            connection.execute(insert(events).values(row))
    drain(delivery)
    assert [body["msg"] for _, body in gateway.got] == [
        "停热预警 · 和平路站\n和平路站停热，将于19:00满8小时。",
        "停热预警 · 和平路站\n和平路站停热已6小时，将于13:00满8小时，届时须发布停热通告。",
    ]


def warned(records: Engine, state: str, hours: list[int]) -> None:
    """An outage of S1 since 05:00, open or over, and warnings of it that are all new to the outbox."""
    since = NOW_MS - 6 * 60 * MINUTE_MS
    with records.begin() as connection:
        row = {
            "subject": "station/S1",
            "state": state,
            "started_at": since + MINUTE_MS,
            "started_earliest": since,
            "opened_at": since + 2 * MINUTE_MS,
        }
        connection.execute(insert(outages).values(row))
        for one in hours:
            at = since + max(2 * MINUTE_MS, one * 60 * MINUTE_MS)
            row = {"at": at, "event": "notice.warning", "subject": "station/S1", "which": str(one), "body": {"hours": one}}
            connection.execute(insert(events).values(row))


@pytest.mark.parametrize(
    ("state", "hours", "said"),
    [
        ("open", [0], ["和平路站停热，将于13:00满8小时。"]),
        ("open", [0, 4, 6], ["和平路站停热已6小时，将于13:00满8小时，届时须发布停热通告。"]),  # overtaken while nobody sent
        ("ended", [0, 4], []),  # learned of after its end
        ("erased", [0], []),
    ],
)
def test_a_warning_that_warns_of_nothing_is_not_sent(
    state: str, hours: list[int], said: list[str], tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery(site(tmp_path, sms(tmp_path, gateway.port, monkeypatch, sends=("warnings",), language="zh")), records)
    warned(records, state, hours)
    drain(delivery)
    drain(Delivery(delivery.site, records))
    assert [body["msg"].partition("\n")[2] for _, body in gateway.got] == said
    with records.connect() as connection:
        assert connection.execute(select(events.c.id).where(events.c.queued.is_(False))).all() == []


def test_a_site_says_what_staff_are_told_in_its_own_words(
    tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = '[warning]\ntext_zh = "{site}{subject}：已停{hours}h，{time}到{due}h。"\n[overdue]\ntitle_en = "LATE: {duty}"\n'
    (tmp_path / "notices.toml").write_text(words, encoding="utf-8")
    channel = sms(tmp_path, gateway.port, monkeypatch, sends=("warnings", "department_head"), language="both")
    delivery = Delivery(site(tmp_path, channel), records)
    warned(records, "open", [6])
    row = {"subject": "notice/2", "duty": "notice_review", "started_at": NOW_MS, "due_at": NOW_MS, "step": 1, "at": NOW_MS}
    with records.begin() as connection:
        connection.execute(insert(escalations).values(**row, told="department_head"))
    drain(delivery)
    first, second = (body["msg"] for _, body in gateway.got)
    assert first.split("\n")[1] == "t和平路站：已停6h，13:00到8h。"
    assert first.endswith("和平路站 has been without heat for 6 h and will reach 8 h at 13:00: a notice is due then.")
    assert second.split("\n")[0] == "时限超时 · 停热通告 №2 · LATE: outage notice to be confirmed and published"


def test_an_overdue_duty_is_told_to_whom_it_goes_up_once(
    tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, manager = sms(tmp_path, gateway.port, monkeypatch, sends=("department_head",), language="zh"), ("manager",)
    one = site(tmp_path, head)
    one = replace(one, channels=(*one.channels, replace(one.channels[0], name="boss", sends=manager, language="en")))
    row = {"subject": "complaint/7", "duty": "low_temperature_on_site", "started_at": NOW_MS, "due_at": NOW_MS + 30 * MINUTE_MS}
    with records.begin() as connection:
        for step, told in ((1, "department_head"), (2, "manager")):
            connection.execute(insert(escalations).values(**row, step=step, told=told, at=NOW_MS + step * 30 * MINUTE_MS))
    for _ in range(2):
        drain(Delivery(one, records))
    assert sorted(headers["idempotency-key"] for headers, _ in gateway.got) == ["escalation-1@sms", "escalation-2@boss"]
    assert sorted(body["msg"] for _, body in gateway.got) == [
        "Overdue · Complaint №7\nComplaint №7: low room temperature: on site, measure, record was due by 01-14 11:30 and is not done.",
        "时限超时 · 投诉 №7\n投诉 №7：室温不达标：上门测温，应于01-14 11:30前完成，现已超时。",
    ]


def test_two_processes_at_once_send_it_once(tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    one = site(tmp_path, sms(tmp_path, gateway.port, monkeypatch))
    for _ in range(20):
        publish(records)
    senders = [Thread(target=drain, args=(Delivery(one, records),)) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    keys = [headers["idempotency-key"] for headers, _ in gateway.got]
    assert len(keys) == len(set(keys)) == 20


CRASH = """
import os, signal, sys
from pathlib import Path
from dataclasses import replace
from compliance.delivery import outbox
from compliance.delivery.deliver import Delivery
from domain.site import Channel
from store.records import open_records
from store.site_folder import load_site
folder = Path(sys.argv[1])
site = replace(load_site(folder), channels=(Channel("sms", "env:SMS_URL", template=str(folder / "sms.json")),))
outbox.delivered = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
delivery = Delivery(site, open_records(folder / "records.db"))
while delivery.step(int(sys.argv[2])):
    pass
"""


def test_killed_between_sent_and_recorded_it_comes_again_with_the_same_key(
    tmp_path: Path, records: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = site(tmp_path, sms(tmp_path, gateway.port, monkeypatch))
    publish(records)
    ended = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path), str(NOW_MS)], cwd=Path(__file__).parents[3], check=False)
    assert ended.returncode == -9
    assert rows(records) == [("notice-2@sms", "waiting", 1)]
    drain(Delivery(one, records), NOW_MS + 1_000)  # still claimed by the dead one
    assert len(gateway.got) == 1
    drain(Delivery(one, records), NOW_MS + outbox.CLAIMED_MS)
    assert [headers["idempotency-key"] for headers, _ in gateway.got] == ["notice-2@sms"] * 2
    assert rows(records) == [("notice-2@sms", "sent", 2)]


def test_no_secret_is_in_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SMS_URL", "http://user:hush@127.0.0.1:1/?token=hush")
    (tmp_path / "sms.json").write_text("{}")
    for channel in (Channel("sms", "env:SMS_URL", template=str(tmp_path / "sms.json")), Channel("any", "env:SMS_URL")):
        with pytest.raises(DeliveryError) as refused:
            send(channel, "key", "title", "text")
        assert "hush" not in str(refused.value)
    assert "hush" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("table", "template", "words"),
    [
        ('name = "a"\nurl = "mailto://x"', None, "site.toml:4: channel[0].url: the name of a secret"),
        ('name = "a"', None, "channel[0].url: the name of a secret"),
        ('url = "env:X"', None, "channel[0].name: a name of its own"),
        ('name = "a"\nurl = "env:X"\nsends = ["gossip"]', None, "a list of what goes out: notices, warnings"),
        ('name = "a"\nurl = "env:X"\nlanguage = "de"', None, "channel[0].language"),
        ('name = "a"\nurl = "env:X"\nto = "b"', None, "channel[0].to"),
        ('name = "a"\nurl = "env:X"\ntemplate = "t.json"', None, "no such file"),
        ('name = "a"\nurl = "env:X"\ntemplate = "t.json"', '{"a": {{ text }}}', "it is no JSON"),
        ('name = "a"\nurl = "env:X"\ntemplate = "t.json"', '{"a": "{{ phone }}"}', "it names phone; what is filled in is title, text, key"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, table: str, template: str | None, words: str) -> None:
    (tmp_path / "site.toml").write_text(f'name = "t"\n[[channel]]\n{table}\n', encoding="utf-8")
    if template is not None:
        (tmp_path / "t.json").write_text(template, encoding="utf-8")
    (mistake,) = map(str, check_site(tmp_path))
    assert words in mistake


def test_a_site_names_its_channels(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"msg": "{{ text }}"}', encoding="utf-8")
    (tmp_path / "site.toml").write_text(
        'name = "t"\n[[channel]]\nname = "sms"\nurl = "env:X"\nsends = ["notices", "warnings"]\ntemplate = "t.json"\nlanguage = "zh"\n'
    )
    (found,) = load_site(tmp_path).channels
    assert found == Channel("sms", "env:X", ("notices", "warnings"), "zh", str(tmp_path / "t.json"))


@pytest.mark.parametrize(("asked_s", "waits_ms"), [(None, 5_000), (2.0, 5_000), (600.0, 600_000)])
def test_a_channel_that_asks_to_be_left_alone_is_left_alone_so_long(
    asked_s: float | None, waits_ms: int, tmp_path: Path, records: Engine
) -> None:
    tried: list[str] = []

    def too_fast(_channel: Channel, key: str, _title: str, _text: str) -> str:
        tried.append(key)
        if len(tried) == 1:
            raise DeliveryError("HTTP 200, code 130101", permanent=False, retry_after_s=asked_s)
        return "HTTP 200"

    delivery = Delivery(site(tmp_path, Channel("群", "env:NONE")), records, too_fast)
    publish(records)
    drain(delivery)
    drain(delivery, NOW_MS + waits_ms - 1)
    assert len(tried) == 1
    drain(delivery, NOW_MS + waits_ms)
    assert len(tried) == 2
    assert outcome(records) == "HTTP 200"
