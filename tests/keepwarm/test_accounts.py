"""``keepwarm accounts`` as people call it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine, select

from dashboard.accounts import account_by_identity, add_account, check_password, wall_ms
from dashboard.api.keys import find_key
from dashboard.roles import Account
from dashboard.session import find_session, open_session
from keepwarm.main import main
from store.records import open_records
from store.records.tables import audit


class Ran(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.toml").write_text('name = "t"\n', encoding="utf-8")

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(["accounts", *arguments])
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


def proved(engine: Engine, name: str, password: str) -> Account | None:
    found = check_password(engine, name, password)
    return found and found.account


def test_accounts_are_listed_changed_and_shut_out(accounts: Callable[..., Ran], tmp_path: Path) -> None:
    assert accounts("list", "site") == Ran(0, "", "")
    engine = open_records(tmp_path / "site" / "data" / "records.db")
    add_account(engine, "gao", "admin", "a long enough one", wall_ms())
    add_account(engine, "li", "viewer", "a long enough one", wall_ms())
    token = open_session(engine, Account("li", "viewer"), wall_ms())
    assert accounts("role", "site", "li", "engineer").out == "li: role engineer\n"
    found = find_session(engine, token, wall_ms())
    assert found == Account("li", "engineer")
    assert accounts("disable", "site", "li").code == 0
    assert find_session(engine, token, wall_ms()) is None
    assert check_password(engine, "li", "a long enough one") is None
    assert accounts("list", "site").out == "gao  admin\nli  engineer  disabled\n"
    assert accounts("disable", "site", "li", "--again").code == 0
    assert proved(engine, "li", "a long enough one") == Account("li", "engineer")
    last = accounts("role", "site", "gao", "viewer")
    assert last.code == 2
    assert "last administrator" in last.err
    assert accounts("list", "site").out.startswith("gao  admin\n")
    with engine.connect() as connection:
        rows = connection.execute(select(audit.c.before, audit.c.after).where(audit.c.action == "change_account")).all()
    engine.dispose()
    assert tuple(rows[0]) == ({"role": "viewer", "districts": [], "disabled": False}, {"role": "engineer"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("role", "site", "nobody", "viewer"), "no such account"),
        (("role", "site", "nobody", "king"), "is no role: viewer, dispatcher"),
        (("key", "site", "x", "--scope", "write"), "scopes are read, complaints, curves, notices, alarms, stops, metrics"),
        (("key", "site", "x", "--revoke"), "no key of this name is in force"),
        (("key", "site", " "), "a key needs a name"),
    ],
)
def test_what_is_refused(accounts: Callable[..., Ran], arguments: tuple[str, ...], words: str) -> None:
    ran = accounts(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_key_is_shown_once_and_can_be_ended(accounts: Callable[..., Ran], tmp_path: Path) -> None:
    token = accounts("key", "site", "billing", "--scope", "read", "--scope", "metrics").out.strip()
    assert token.startswith("kw_")
    assert "already" in accounts("key", "site", "billing").err
    listed = accounts("keys", "site").out
    assert listed.startswith("billing  metrics,read  made 20")
    assert token not in listed
    engine = open_records(tmp_path / "site" / "data" / "records.db")
    found = find_key(engine, token, wall_ms())
    assert found is not None
    assert found.scopes == ("metrics", "read")
    assert accounts("key", "site", "billing", "--revoke").out == "billing: revoked\n"
    assert find_key(engine, token, wall_ms()) is None
    assert "revoked 20" in accounts("keys", "site").out
    engine.dispose()


def test_accounts_and_keys_are_limited_to_districts_that_are_there(accounts: Callable[..., Ran], tmp_path: Path) -> None:
    rows = "station_id,district\nS01,east\nS02,west\n"
    (tmp_path / "site" / "stations.csv").write_text(rows, encoding="utf-8")
    engine = open_records(tmp_path / "site" / "data" / "records.db")
    add_account(engine, "li", "viewer", "a long enough one", wall_ms())
    add_account(engine, "gao", "admin", "a long enough one", wall_ms())
    assert accounts("districts", "site", "li", "east").code == 0
    assert proved(engine, "li", "a long enough one") == Account("li", "viewer", frozenset({"east"}))
    assert "li  viewer  east" in accounts("list", "site").out
    assert "east, west" in accounts("districts", "site", "li", "north").err
    assert "administrator" in accounts("districts", "site", "gao", "east").err
    assert "administrator" in accounts("invite", "site", "new", "--role", "admin", "--district", "east").err
    assert "/enter?token=" in accounts("invite", "site", "new", "--district", "west").out
    found = find_key(engine, accounts("key", "site", "desk", "--district", "west").out.strip(), wall_ms())
    assert found is not None
    assert found.districts == ("west",)
    assert accounts("districts", "site", "li").code == 0
    assert proved(engine, "li", "a long enough one") == Account("li", "viewer")
    engine.dispose()


def test_an_account_is_connected_with_who_the_provider_signs_in(accounts: Callable[..., Ran], tmp_path: Path) -> None:
    unset = accounts("identity", "site", "li", "42")
    assert (unset.code, unset.err) == (
        2,
        "site.toml: openid: the site names no provider; a table [openid] with issuer, client_id and page does\n",
    )
    table = '[openid]\nissuer = "https://login.example.cn"\nclient_id = "keepwarm"\npage = "https://heat.example.cn"\n'
    (tmp_path / "site" / "site.toml").write_text(f'name = "t"\n{table}', encoding="utf-8")
    engine = open_records(tmp_path / "site" / "data" / "records.db")
    for name in ("li", "wang"):
        add_account(engine, name, "viewer", "a long enough one", wall_ms())
    assert accounts("identity", "site", "li", "42").out == "li: signs in as 42 of https://login.example.cn\n"
    assert account_by_identity(engine, "https://login.example.cn 42") == Account("li", "viewer")
    taken = accounts("identity", "site", "wang", "42")
    assert (taken.code, taken.err) == (2, "keepwarm accounts: 'wang': another account is connected with this identity\n")
    assert accounts("identity", "site", "nobody", "43").code == 2
    assert accounts("identity", "site", "li").out == "li: connected with nobody\n"
    assert account_by_identity(engine, "https://login.example.cn 42") is None
    with engine.connect() as connection:
        found = connection.execute(select(audit.c.after).where(audit.c.subject == "account/li").order_by(audit.c.id)).scalars().all()
    assert found == [{"identity": "https://login.example.cn 42"}, {"identity": None}]
    engine.dispose()
