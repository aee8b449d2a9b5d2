"""What everybody may see: the board and the health of the site; and a server that ends when told."""

import json
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import update
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dashboard.accounts import wall_ms
from dashboard.healthz import EXPECTED
from dashboard.markup import icon_svg, link_to, templates
from dashboard.server import run_dashboard
from dashboard.session import COOKIE
from domain.clock import Clock
from store.health import write_health
from store.records import open_records
from store.records.tables import notices
from tests.dashboard.conftest import Server, start, stop, until
from tests.dashboard.sample_town import EVIL, NOW_MS, write_town

FORBIDDEN = ("<script>window", "<img src=x", 'onerror="window')


def test_the_board_is_public_in_both_languages_and_names_nobody(server: Server) -> None:
    with server.stranger() as client:
        answer = client.get("/board")
        assert answer.status_code == 200
        for text in (
            "计划停热通告：光明换热站",
            "Planned heating stop: Guangming station",
            "滨河换热站",
            "96069",
            "恢复供热",
            'lang="en"',
        ):
            assert text in answer.text
        assert "新华" not in answer.text  # due, waiting for confirmation: not public yet
        assert not any(room_id in answer.text for room_id in server.town.site.rooms)


def test_html_in_a_notice_is_inert_on_the_board(server: Server) -> None:
    changed = update(notices).where(notices.c.state == "closed")
    with server.records.begin() as connection:
        connection.execute(changed.values(text_zh=EVIL, title_en=EVIL))
    with server.stranger() as client:
        until(lambda: "&lt;script&gt;" in client.get("/board").text)
        text = client.get("/board").text
        assert not any(bad in text for bad in FORBIDDEN)


def test_words_that_stand_fixed_in_a_template_are_in_its_language_and_what_is_put_into_a_link_is_escaped() -> None:
    source = '{{ _("Stations") }} {{ _("{n} more", n=n) }} {{ icon_svg("ok") }}'
    told = {language: templates(language).from_string(source).render(n="<b>") for language in ("zh", "en")}
    assert told == {"zh": f"换热站 另有 &lt;b&gt; 项 {icon_svg('ok')}", "en": f"Stations &lt;b&gt; more {icon_svg('ok')}"}
    assert str(link_to('x?a=1&b="><script>')) == "".join(
        f'{name}="{first}x?a=1&amp;b=&#34;&gt;&lt;script&gt;"{after}'
        for name, first, after in (("href", "/", " "), ("data-open", "", " "), ("data-key", "", ""))
    )


def test_every_template_escapes() -> None:
    environment = templates("zh")
    assert environment.autoescape is True
    for name in environment.list_templates():
        source = (Path(environment.loader.searchpath[0]) / name).read_text(encoding="utf-8")  # type: ignore[union-attr]
        assert "| safe" not in source, name
        assert "|safe" not in source, name
        assert "autoescape false" not in source, name


def test_healthz_is_fine_while_everything_works_and_names_what_does_not(server: Server) -> None:
    data = server.town.site.data
    with server.stranger() as client:
        for component in EXPECTED:
            write_health(data, component, server.town.clock.now_ms(), {})
        write_health(data, "watch", server.town.clock.now_ms(), {"secret": "value"})
        answer = until(lambda: found if (found := client.get("/healthz")).status_code == 200 else None)
        body = answer.json()
        assert body["status"] == "ok"
        assert body["components"]["watch"]["fresh"]
        assert body["components"]["watch"]["age_s"] < 10
        assert "secret" not in answer.text
        path = data / "health" / "watch.json"
        word = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**word, "wall_at_ms": wall_ms() - 300_000}), encoding="utf-8")
        stale = until(lambda: found if (found := client.get("/healthz")).status_code == 503 else None).json()
        assert (stale["status"], stale["stale"]) == ("stale", ["watch"])
        assert 299 < stale["components"]["watch"]["age_s"] < 330
        path.unlink()
        missing = until(lambda: found if (found := client.get("/healthz")).json()["components"]["watch"]["age_s"] is None else None)
        assert missing.status_code == 503
        write_health(data, "watch", NOW_MS, {})
        until(lambda: client.get("/healthz").status_code == 200)


def test_the_dashboard_tells_its_own_health(server: Server) -> None:
    path = server.town.site.data / "health" / "dashboard.json"
    word = until(lambda: json.loads(path.read_text(encoding="utf-8")) if path.exists() else None)
    assert word["pid"] == server.process.pid
    until(lambda: json.loads(path.read_text(encoding="utf-8"))["wall_at_ms"] > wall_ms() - 8_000)


def test_a_told_server_ends_within_two_seconds_open_pages_or_not(tmp_path: Path) -> None:
    town = write_town(tmp_path, rooms=False)
    town.clock.save(tmp_path / "clock.json")
    process, port = start(tmp_path)
    server = Server(process, port, town, open_records(town.site.data / "records.db"))
    with server.client() as client:
        cookie = f"{COOKIE}={client.cookies[COOKIE]}"
        pages = [
            connect(
                f"ws://127.0.0.1:{port}/_stcore/stream",
                additional_headers={"Origin": server.address, "Cookie": cookie},
                subprotocols=[Subprotocol("streamlit")],
                proxy=None,
            )
            for _ in range(3)
        ]
        took_s = stop(process)
        for page in pages:
            page.close()
    server.records.dispose()
    assert process.returncode == 0
    assert took_s < 2.0


def test_a_taken_address_is_an_error_not_a_second_server(server: Server) -> None:
    with pytest.raises(OSError, match="in use"):
        run_dashboard(server.town.site, Clock(), "127.0.0.1", server.port)


def test_the_first_answer_is_quick(server: Server) -> None:
    began = time.monotonic()
    assert httpx.get(f"{server.address}/healthz").status_code in {200, 503}
    assert time.monotonic() - began < 2.0


def test_the_board_as_a_feed(server: Server) -> None:
    with server.stranger() as client:
        answer = client.get("/board.rss")
    assert answer.headers["content-type"] == "application/rss+xml"
    channel = ET.fromstring(answer.content).find("channel")
    assert channel is not None
    items = channel.findall("item")
    assert items
    assert channel.findtext("link") == f"{server.address}/board"
    assert any("停热通告" in (item.findtext("title") or "") for item in items)
    guids = [item.findtext("guid") for item in items]
    assert len(set(guids)) == len(guids)


def test_what_no_xml_may_hold_does_not_break_the_feed(server: Server) -> None:
    changed = update(notices).where(notices.c.state == "closed")
    with server.records.begin() as connection:
        connection.execute(changed.values(text_zh="阀门\x0b井\x1b[31m<b>]]>\ufffe", title_en="&lt;<script>"))

    def description() -> str:
        feed = ET.fromstring(client.get("/board.rss", params={"lang": "en"}).content)
        return "".join(item.findtext("description") or "" for item in feed.iter("item"))

    with server.stranger() as client:
        assert "阀门井[31m<b>]]>" in until(lambda: text if "阀门" in (text := description()) else "")
