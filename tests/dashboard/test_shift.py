"""The shift log: taken over, handed over, noted, printed; nothing of it is ever changed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError

from dashboard.actions.acting import RefusedError
from dashboard.actions.shift import MEANWHILE, hand_over, point_done, take_over, write_down
from dashboard.facts.shift import shift_log, standing
from dashboard.facts.town import Town
from dashboard.roles import Account
from store.records.tables import audit, shift_entries
from tests.dashboard.conftest import Server

WANG, ZHAO = Account("王", "dispatcher"), Account("赵", "dispatcher")
NOW_MS = 1_768_458_185_000


def kinds(records: Engine) -> list[tuple[str, str, int | None]]:
    with records.connect() as connection:
        columns = (shift_entries.c.kind, shift_entries.c.who, shift_entries.c.refers_to)
        return [tuple(row) for row in connection.execute(select(*columns).order_by(shift_entries.c.id))]


def test_a_shift_is_taken_noted_handed_over_and_taken_again(records: Engine) -> None:
    taken = take_over(records, WANG, NOW_MS)
    write_down(records, WANG, " 城南站补水偏高 ", NOW_MS + 1, stays_open=False)
    point = write_down(records, WANG, "等阀门备件", NOW_MS + 2, stays_open=True)
    handed = hand_over(records, WANG, "夜间正常", {"outages_open": 2}, NOW_MS + 3)
    take_over(records, ZHAO, NOW_MS + 4)
    point_done(records, ZHAO, point, "已更换", NOW_MS + 5)
    assert kinds(records) == [
        ("took_over", "王", None), ("note", "王", None), ("point", "王", None), ("handed_over", "王", taken), ("took_over", "赵", handed),
        ("done", "赵", point),
    ]  # fmt: skip
    with records.connect() as connection:
        body = connection.execute(select(shift_entries.c.body).where(shift_entries.c.id == handed)).scalar()
        acts = connection.execute(select(audit.c.who, audit.c.action).order_by(audit.c.id)).all()
        texts = connection.execute(select(shift_entries.c.text).order_by(shift_entries.c.id)).scalars().all()
    assert body == {"open_points": [point], "standing": {"outages_open": 2}}
    assert [tuple(act) for act in acts] == [
        ("王", "take_over"), ("王", "write_down"), ("王", "write_down"), ("王", "hand_over"), ("赵", "take_over"), ("赵", "point_done"),
    ]  # fmt: skip
    assert texts == ["", "城南站补水偏高", "等阀门备件", "夜间正常", "", "已更换"]


def test_what_is_refused(records: Engine) -> None:
    with pytest.raises(RefusedError, match="Who is on duty"):
        hand_over(records, WANG, "", {}, NOW_MS)
    take_over(records, WANG, NOW_MS)
    with pytest.raises(RefusedError, match="on duty already"):
        take_over(records, WANG, NOW_MS)
    with pytest.raises(RefusedError, match="Who is on duty"):
        hand_over(records, ZHAO, "", {}, NOW_MS)
    with pytest.raises(RefusedError, match="says something"):
        write_down(records, WANG, "  \n", NOW_MS, stays_open=True)
    hand_over(records, WANG, "", {}, NOW_MS)
    with pytest.raises(RefusedError, match="already"):
        hand_over(records, WANG, "", {}, NOW_MS)
    point = write_down(records, ZHAO, "x", NOW_MS, stays_open=True)
    note = write_down(records, ZHAO, "y", NOW_MS, stays_open=False)
    with pytest.raises(RefusedError, match="not open"):
        point_done(records, ZHAO, note, "", NOW_MS)
    point_done(records, ZHAO, point, "", NOW_MS)
    with pytest.raises(RefusedError, match="not open"):
        point_done(records, ZHAO, point, "", NOW_MS)


def test_a_shift_that_nobody_handed_over_can_be_taken(records: Engine) -> None:
    first = take_over(records, WANG, NOW_MS)
    take_over(records, ZHAO, NOW_MS + 1)
    assert kinds(records)[-1] == ("took_over", "赵", first)


@pytest.mark.parametrize("role", ["viewer", "engineer", "service"])
def test_others_may_not_and_that_is_audited(records: Engine, role: str) -> None:
    who = Account("x", role)
    acts: list[Callable[[], int]] = [
        lambda: take_over(records, who, NOW_MS),
        lambda: hand_over(records, who, "", {}, NOW_MS),
        lambda: write_down(records, who, "x", NOW_MS, stays_open=True),
        lambda: point_done(records, who, 1, "", NOW_MS),
    ]
    for act in acts:
        with pytest.raises(RefusedError, match="role"):
            act()
    assert kinds(records) == []
    with records.connect() as connection:
        assert connection.execute(select(func.count()).where(audit.c.refused)).scalar() == 4


@pytest.mark.parametrize("statement", ["UPDATE shift_entries SET text = 'x'", "DELETE FROM shift_entries"])
def test_the_database_itself_refuses_to_change_an_entry(records: Engine, statement: str) -> None:
    take_over(records, WANG, NOW_MS)
    with pytest.raises(IntegrityError, match="append-only"), records.begin() as connection:
        connection.execute(text(statement))


def test_of_many_who_take_one_hand_over_at_once_one_has_it(records: Engine) -> None:
    take_over(records, WANG, NOW_MS)
    hand_over(records, WANG, "", {}, NOW_MS)

    def take(number: int) -> str:
        try:
            take_over(records, Account(f"人{number % 2}", "dispatcher"), NOW_MS)
        except RefusedError as refused:
            return refused.why
        return "taken"

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(take, range(8)))
    found = kinds(records)
    taken = [refers for kind, _, refers in found if kind == "took_over"]
    assert len(taken) == len(set(taken)) == 1 + answers.count("taken")
    assert {answer for answer in answers if answer != "taken"} <= {MEANWHILE, "You are on duty already."}
    assert len([refers for refers in taken if refers == 2]) == 1


def test_the_page_knows_the_log_and_what_stands(town: Town) -> None:
    empty = shift_log(town)
    assert (empty.who, empty.since, empty.waiting, empty.open_points) == (None, None, None, [])
    stands = standing(town)
    assert (stands["outages_open"], stands["stations_stopped"], stands["stations_unknown"]) == (2, 2, 1)
    assert min(stands["alarms_unacknowledged"], stands["complaints_open"]) > 0
    take_over(town.records, WANG, NOW_MS)
    point = write_down(town.records, WANG, "x", NOW_MS, stays_open=True)
    hand_over(town.records, WANG, "", standing(town), NOW_MS + 1)
    town.shared.forget()
    log = shift_log(town)
    assert (log.who, log.since, [one.id for one in log.open_points]) == ("王", NOW_MS, [point])
    assert log.waiting is not None
    assert log.shifts[0].who == "王"


def test_a_shift_on_paper(server: Server) -> None:
    with server.stranger() as client:
        assert client.get("/shift/print").status_code == 401
    taken = take_over(server.records, WANG, NOW_MS)
    write_down(server.records, WANG, "<script>alert(1)</script> 待办", NOW_MS, stays_open=True)
    hand_over(server.records, WANG, "小结", {"outages_open": 7}, NOW_MS + 60_000)
    take_over(server.records, ZHAO, NOW_MS + 120_000)
    with server.client("viewer") as client:
        answer = printed(client, f"/shift/print?shift={taken}")
        assert "&lt;script&gt;alert(1)&lt;/script&gt; 待办" in answer
        assert "<script>alert" not in answer
        assert "<dt>停热</dt><dd><b>7</b></dd>" in answer
        assert "小结" in answer
        now = printed(client, "/shift/print?lang=en")
        assert "What stands in the town" in now
        assert "<b>赵</b>" in now
        assert client.get("/shift/print?shift=99999").status_code == 404
        assert client.get("/shift/print?shift=x%00").status_code == 404


def printed(client: httpx.Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    assert "style-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    return answer.text
