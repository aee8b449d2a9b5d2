"""Sessions that end while others look: what was found is believed for two seconds, but not beyond an end of our own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dashboard import session
from dashboard.accounts import add_account, change_account, check_password, make_invitation, redeem_invitation, set_password, wall_ms
from dashboard.roles import Account
from dashboard.session import COOKIE, Limits, Sessions
from store.records import open_records
from tests.dashboard.conftest import PASSWORD


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Engine]:
    records = open_records(tmp_path / "records.db")
    yield records
    records.dispose()


@pytest.fixture
def reader(records: Engine) -> Account:
    account = redeem_invitation(records, make_invitation(records, "reader", "viewer", wall_ms()), wall_ms())
    assert account is not None
    return account


def test_one_that_ends_while_it_is_looked_up_is_not_believed_afterwards(
    records: Engine, reader: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(records, b"k" * 32)
    cookies = {COOKIE: sessions.open(reader)}
    token = sessions.token(cookies)
    assert token is not None
    find = session.find_session

    def then_it_ends(engine: Engine, token: str, now_ms: int, limits: Limits) -> Account | None:
        found = find(engine, token, now_ms, limits)
        monkeypatch.setattr(session, "find_session", find)
        sessions.end(token)  # by another thread: who signs out has other requests under way
        return found

    monkeypatch.setattr(session, "find_session", then_it_ends)
    assert sessions.account(cookies) == reader  # asked before it ended
    assert sessions.account(cookies) is None


def test_a_clock_that_is_set_back_makes_nobody_believed_for_longer(
    records: Engine, reader: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(records, b"k" * 32)
    cookies = {COOKIE: sessions.open(reader)}
    assert sessions.account(cookies) == reader
    before = wall_ms()
    monkeypatch.setattr(session, "wall_ms", lambda: before - 3_600_000)
    elsewhere = Sessions(records, b"k" * 32)
    elsewhere.end_all(reader)
    assert sessions.account(cookies) is None


@pytest.mark.parametrize("meanwhile", ["nothing", "another password", "the same password again", "shut out"])
def test_a_password_that_is_changed_while_it_is_checked_opens_nothing(records: Engine, reader: Account, meanwhile: str) -> None:
    sessions = Sessions(records, b"k" * 32)
    set_password(records, reader.name, PASSWORD, wall_ms())
    found = check_password(records, reader.name, PASSWORD)
    assert found is not None
    if "password" in meanwhile:
        set_password(records, reader.name, PASSWORD if "same" in meanwhile else "another one by then", wall_ms())
    elif meanwhile == "shut out":
        add_account(records, "boss", "admin", PASSWORD, wall_ms())
        change_account(records, reader.name, {"disabled": True}, "boss", wall_ms())
    cookie = sessions.open(*found)
    assert (sessions.account({COOKIE: cookie}) == reader) is (meanwhile == "nothing")
    assert bool(cookie) is (meanwhile == "nothing")
