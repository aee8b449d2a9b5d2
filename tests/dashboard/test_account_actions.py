"""What administrators do with accounts, and what the audit says of it; nobody else may, and the last administrator stays."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, func, insert, select

from dashboard.accounts import add_account, make_invitation, redeem_invitation, wall_ms
from dashboard.actions.accounts import invite, let_in_again, set_districts, set_role, shut_out, sign_out_everywhere
from dashboard.actions.acting import RefusedError
from dashboard.facts.accounts import AUDIT_PAGE, AuditWanted, account_rows, audit_found, audit_rows, audited_people
from dashboard.facts.town import Town
from dashboard.roles import ROLES, Account
from dashboard.session import open_session
from store.records import open_records
from store.records.tables import accounts, audit, sessions
from tests.dashboard.conftest import PASSWORD

ADMIN = Account("李管理", "admin")
NOW_MS = 1_800_000_000_000


@pytest.fixture
def engine(records: Engine) -> Engine:
    """Records with an administrator and a dispatcher."""
    add_account(records, ADMIN.name, "admin", PASSWORD, NOW_MS)
    add_account(records, "王调度", "dispatcher", PASSWORD, NOW_MS)
    return records


def audited(engine: Engine) -> list[tuple[str, str, str, bool]]:
    with engine.connect() as connection:
        columns = (audit.c.who, audit.c.action, audit.c.subject, audit.c.refused)
        return [tuple(row) for row in connection.execute(select(*columns).order_by(audit.c.id))]


def test_an_invited_person_is_let_in_once_with_the_role(engine: Engine) -> None:
    token = invite(engine, ADMIN, " 赵客服 ", "service", NOW_MS)
    assert redeem_invitation(engine, token, NOW_MS + 1) == Account("赵客服", "service")
    assert redeem_invitation(engine, token, NOW_MS + 2) is None
    assert audited(engine) == [(ADMIN.name, "invite", "account/赵客服", False)]


def test_a_link_for_somebody_who_is_there_changes_no_role(engine: Engine) -> None:
    token = invite(engine, ADMIN, "王调度", "admin", NOW_MS)
    assert redeem_invitation(engine, token, NOW_MS + 1) == Account("王调度", "dispatcher")


@pytest.mark.parametrize(
    ("name", "role", "why"),
    [("", "viewer", "name"), ("x" * 65, "viewer", "name"), ("a\nb", "viewer", "name"), ("赵", "king", "no such role")],
)
def test_a_link_needs_a_name_and_a_role(name: str, role: str, why: str, engine: Engine) -> None:
    with pytest.raises(RefusedError, match=why):
        invite(engine, ADMIN, name, role, NOW_MS)


def test_a_role_is_changed_and_what_it_was_is_kept(engine: Engine) -> None:
    set_role(engine, ADMIN, "王调度", "engineer", NOW_MS)
    with engine.connect() as connection:
        row = connection.execute(select(audit)).one()
    assert (row.before, row.after) == ({"role": "dispatcher", "districts": [], "disabled": False}, {"role": "engineer"})
    with pytest.raises(RefusedError, match="no such role"):
        set_role(engine, ADMIN, "王调度", "king", NOW_MS)
    with pytest.raises(RefusedError, match="no such account"):
        set_role(engine, ADMIN, "nobody", "viewer", NOW_MS)


def test_an_account_is_limited_to_districts_but_no_administrator(engine: Engine) -> None:
    set_districts(engine, ADMIN, "王调度", {"东", "北"}, NOW_MS)
    with engine.connect() as connection:
        assert connection.execute(select(accounts.c.districts).where(accounts.c.name == "王调度")).scalar_one() == sorted({"东", "北"})
    with pytest.raises(RefusedError, match="whole site"):
        set_districts(engine, ADMIN, ADMIN.name, {"东"}, NOW_MS)
    set_districts(engine, ADMIN, "王调度", (), NOW_MS)


def test_the_last_administrator_stays(engine: Engine) -> None:
    with pytest.raises(RefusedError, match="last administrator"):
        set_role(engine, ADMIN, ADMIN.name, "viewer", NOW_MS)
    with pytest.raises(RefusedError, match="last administrator"):
        shut_out(engine, ADMIN, ADMIN.name, NOW_MS)
    set_role(engine, ADMIN, "王调度", "admin", NOW_MS)
    shut_out(engine, Account("王调度", "admin"), ADMIN.name, NOW_MS)


def test_who_is_shut_out_has_no_session_and_gets_no_link_until_let_in_again(engine: Engine) -> None:
    open_session_of(engine, "王调度")
    shut_out(engine, ADMIN, "王调度", NOW_MS)
    assert open_sessions(engine, "王调度") == 0
    with pytest.raises(RefusedError, match="shut out"):
        invite(engine, ADMIN, "王调度", "dispatcher", NOW_MS)
    let_in_again(engine, ADMIN, "王调度", NOW_MS)
    assert invite(engine, ADMIN, "王调度", "dispatcher", NOW_MS)


def test_signed_out_everywhere(engine: Engine) -> None:
    open_session_of(engine, "王调度")
    open_session_of(engine, "王调度")
    open_session_of(engine, ADMIN.name)
    sign_out_everywhere(engine, ADMIN, "王调度", NOW_MS)
    assert (open_sessions(engine, "王调度"), open_sessions(engine, ADMIN.name)) == (0, 1)


def open_session_of(engine: Engine, name: str) -> None:
    open_session(engine, Account(name, "dispatcher"), NOW_MS)


def open_sessions(engine: Engine, name: str) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).where(sessions.c.account == name)).scalar_one()


ACTS: tuple[Callable[[Engine, Account], object], ...] = (
    lambda engine, who: invite(engine, who, "赵", "viewer", NOW_MS),
    lambda engine, who: set_role(engine, who, "王调度", "admin", NOW_MS),
    lambda engine, who: shut_out(engine, who, "王调度", NOW_MS),
    lambda engine, who: let_in_again(engine, who, "王调度", NOW_MS),
    lambda engine, who: sign_out_everywhere(engine, who, "王调度", NOW_MS),
)


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
@pytest.mark.parametrize("act", ACTS)
def test_nobody_else_may(act: Callable[[Engine, Account], object], role: str, engine: Engine) -> None:
    with pytest.raises(RefusedError, match="role"):
        act(engine, Account("王调度", role))
    ((who, _, _, refused),) = audited(engine)
    assert (who, refused) == ("王调度", True)


def test_the_page_s_rows_and_the_audit_s_search(town: Town) -> None:
    add_account(town.records, ADMIN.name, "admin", PASSWORD, wall_ms())
    invite(town.records, ADMIN, "孙工程师", "engineer", wall_ms())
    with pytest.raises(RefusedError):
        shut_out(town.records, Account("孙工程师", "engineer"), ADMIN.name, wall_ms())
    row = {row.name: row for row in account_rows(town)}[ADMIN.name]
    assert (row.role, row.disabled, row.has_password, row.open) == ("admin", False, True, 0)
    assert {"孙工程师", ADMIN.name} <= set(audited_people(town))
    (refused,) = audit_rows(town, AuditWanted("孙工程师", refused_only=True))
    assert (refused.action, refused.subject) == ("change_account", f"account/{ADMIN.name}")
    assert [one.action for one in audit_rows(town, AuditWanted(text="孙工程师"))] == ["invite"]
    assert audit_rows(town, AuditWanted(text="%")) == []
    with town.records.begin() as connection:
        deed: dict[str, object] = {"at": 1, "who": "谁", "subject": "alarm/1"}
        connection.execute(insert(audit), [{**deed, "action": f"act-{number:03}"} for number in range(2 * AUDIT_PAGE + 5)])
    wanted = AuditWanted("谁")
    assert audit_found(town, wanted) == 2 * AUDIT_PAGE + 5
    pages = [audit_rows(town, wanted, page) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [AUDIT_PAGE, AUDIT_PAGE, 5, 0]
    shown = [one.action for page in pages for one in page]
    assert shown == sorted(shown, reverse=True)
    assert len(set(shown)) == len(shown)


def test_two_links_of_a_new_account_used_at_once_make_it_once(postgresql: str) -> None:
    """On SQLite one waits for the other; on PostgreSQL both find that there is no such account yet."""
    shared, together, names = open_records(postgresql), threading.Barrier(2, timeout=30), [f"new {number}" for number in range(30)]

    def enter(number: int) -> list[Account | None]:
        found = []
        for name in names:
            token = make_invitation(shared, name, ("viewer", "engineer")[number], NOW_MS)
            together.wait()
            found.append(redeem_invitation(shared, token, NOW_MS + 1))
        return found

    try:
        with ThreadPoolExecutor(2) as threads:
            one, other = (entering.result() for entering in [threads.submit(enter, number) for number in range(2)])
    finally:
        shared.dispose()
    assert None not in one
    assert one == other
