"""The outbox on a real PostgreSQL, where what was numbered first may be committed last."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from compliance.delivery import outbox
from domain.site import Channel, Site
from store.records import open_records
from store.records.notices import first_step, next_step
from store.records.tables import deliveries, notice_transitions
from store.site_folder import load_site

NOW_MS = 1_768_359_600_000
NOTICE: dict[str, Any] = {"subject": "station/S1", "due_at": NOW_MS, "stations": ["S1"], "title_zh": "停热通告", "text_zh": "停热。"}


@pytest.fixture(scope="module")
def records(postgresql: str) -> Iterator[Engine]:
    engine = open_records(postgresql)
    yield engine
    engine.dispose()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site.toml").write_text('name = "t"\n[[channel]]\nname = "a"\nurl = "env:NOTHING"\n', encoding="utf-8")
    return load_site(tmp_path)


def publish(connection: Any) -> int:
    notice_id = first_step(connection, NOTICE, NOW_MS)
    assert next_step(connection, notice_id, 1, "published", NOW_MS, {"published_at": NOW_MS})
    return notice_id


def planned(records: Engine) -> list[int]:
    with records.connect() as connection:
        return [int(found) for found in connection.scalars(select(deliveries.c.notice_id).order_by(deliveries.c.id))]


def test_what_is_committed_late_under_a_lower_id_is_not_passed_over(records: Engine, site: Site) -> None:
    with records.begin() as slow:
        first = publish(slow)
        with records.begin() as quick:
            second = publish(quick)
        assert outbox.plan(records, site) == 1
        assert planned(records) == [second]
    assert outbox.plan(records, site) == 1
    assert planned(records) == [second, first]
    assert outbox.plan(records, site) == 0
    with records.connect() as connection:
        assert set(connection.scalars(select(notice_transitions.c.queued))) == {True}


def test_two_that_plan_at_once_make_each_message_once(records: Engine, site: Site) -> None:
    before = len(planned(records))
    with records.begin() as connection:
        wanted = [publish(connection) for _ in range(40)]
    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(lambda _: outbox.plan(records, site), range(8))) == 40
    assert sorted(planned(records)[before:]) == wanted


def test_two_that_send_at_once_claim_each_message_once(records: Engine, site: Site) -> None:
    with records.begin() as connection:
        publish(connection)
    outbox.plan(records, site)
    waiting = len(planned(records))

    def claim_all(_: int) -> list[int]:
        found = []
        for _ in range(3 * waiting):
            due = outbox.claim(records, [Channel("a", "env:NOTHING").name], NOW_MS)
            if due is not None:
                found.append(due.id)
        return found

    with ThreadPoolExecutor(3) as threads:
        claimed = [one for found in threads.map(claim_all, range(3)) for one in found]
    assert len(claimed) == len(set(claimed)) == waiting
