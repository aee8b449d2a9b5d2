"""What people do: rights are checked on the server, every step is a stored row, refusals too."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, Table, insert, select

from compliance.complaint_life import NEEDS_REASON, NEXT_STATES, following
from dashboard.actions.acting import RefusedError
from dashboard.actions.alarms import acknowledge_alarms
from dashboard.actions.complaints import move_complaint
from dashboard.roles import RIGHTS, ROLES, Account
from store.records.tables import alarm_transitions, alarms, audit, complaint_transitions, complaints

NOW_MS = 1_768_458_185_000


def who(role: str) -> Account:
    return Account("李", role)


def one(connection: Connection, table: Table, **values: object) -> int:
    key = connection.execute(insert(table).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def alarm(records: Engine, state: str, number: int = 0) -> int:
    with records.begin() as connection:
        return one(connection, alarms, kind="room_low", subject=f"room/R{number}", pending_at=1, raised_at=2, state=state)


def complaint(records: Engine, state: str = "new") -> int:
    with records.begin() as connection:
        return one(connection, complaints, kind="room", origin="sensor", subject="room/R1", opened_at=NOW_MS, state=state)


def rows(records: Engine, table: Table, *columns: str) -> Sequence[tuple[object, ...]]:
    with records.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*(table.c[name] for name in columns)).order_by(table.c.id))]


def test_acknowledging_follows_isa_18_2_and_leaves_rows(records: Engine) -> None:
    standing, returned, done = (alarm(records, state, n) for n, state in enumerate(("unacknowledged", "returned_unacknowledged", "normal")))
    count = acknowledge_alarms(records, who("dispatcher"), [standing, returned, done, standing, 999], " 已派人 ", NOW_MS)
    assert count == 2
    assert rows(records, alarms, "state", "acknowledged_by", "comment") == [
        ("acknowledged", "李", "已派人"),
        ("normal", "李", "已派人"),
        ("normal", None, ""),
    ]
    assert rows(records, alarm_transitions, "alarm_id", "from_state", "to_state", "at", "who", "why") == [
        (standing, "unacknowledged", "acknowledged", NOW_MS, "李", "已派人"),
        (returned, "returned_unacknowledged", "normal", NOW_MS, "李", "已派人"),
    ]
    assert rows(records, audit, "action", "subject", "refused") == [
        ("acknowledge", f"alarm/{standing}", False),
        ("acknowledge", f"alarm/{returned}", False),
    ]


def test_acknowledging_twice_changes_nothing(records: Engine) -> None:
    number = alarm(records, "unacknowledged")
    assert acknowledge_alarms(records, who("admin"), [number], "", NOW_MS) == 1
    assert acknowledge_alarms(records, who("admin"), [number], "again", NOW_MS + 1) == 0
    assert len(rows(records, alarm_transitions, "id")) == 1


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("right", ["acknowledge", "move_complaint"])
def test_a_role_may_what_its_rights_say_and_a_refusal_is_audited(records: Engine, right: str, role: str) -> None:
    alarm_id, complaint_id = alarm(records, "unacknowledged"), complaint(records)

    def act() -> None:
        if right == "acknowledge":
            acknowledge_alarms(records, who(role), [alarm_id], "", NOW_MS)
        else:
            move_complaint(records, who(role), complaint_id, "new", "accepted", "", NOW_MS)

    if role in RIGHTS[right]:
        act()
        assert rows(records, audit, "who", "action", "refused") == [("李", right, False)]
    else:
        with pytest.raises(RefusedError):
            act()
        assert rows(records, audit, "who", "action", "refused") == [("李", right, True)]
        assert rows(records, alarms, "state") == [("unacknowledged",)]
        assert rows(records, complaints, "state") == [("new",)]


def test_viewers_only_look() -> None:
    assert all("viewer" not in roles for right, roles in RIGHTS.items() if right != "view")
    assert all("admin" in roles for roles in RIGHTS.values())


def test_who_saw_an_older_state_is_refused(records: Engine) -> None:
    number = complaint(records)
    move_complaint(records, who("service"), number, "new", "accepted", "", NOW_MS)
    with pytest.raises(RefusedError, match="meanwhile"):
        move_complaint(records, who("dispatcher"), number, "new", "accepted", "", NOW_MS)
    assert rows(records, complaints, "state") == [("accepted",)]


@pytest.mark.parametrize("state", ["rejected"])
def test_a_rejection_needs_its_explanation(records: Engine, state: str) -> None:
    number = complaint(records)
    with pytest.raises(RefusedError):
        move_complaint(records, who("service"), number, "new", state, "  ", NOW_MS)
    move_complaint(records, who("service"), number, "new", state, "用户阀门关闭", NOW_MS)
    assert rows(records, complaint_transitions, "to_state", "why") == [(state, "用户阀门关闭")]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(NEXT_STATES)), max_size=12))
def test_whatever_is_asked_the_rows_are_a_walk_of_allowed_steps(records: Engine, asked: list[str]) -> None:
    number, state = _fresh(records), "new"
    for n, wanted in enumerate(asked):
        try:
            move_complaint(records, who("service"), number, state, wanted, "why" if wanted in NEEDS_REASON else "", NOW_MS + n)
            assert wanted in following(state, "sensor")
            state = wanted
        except RefusedError:
            assert wanted not in following(state, "sensor")
    with records.connect() as connection:
        steps = complaint_transitions.c
        walk = connection.execute(select(steps.from_state, steps.to_state).where(steps.complaint_id == number).order_by(steps.id)).all()
        assert connection.execute(select(complaints.c.state).where(complaints.c.id == number)).scalar() == state
    assert [step.to_state for step in walk][:-1] == [step.from_state for step in walk][1:]
    assert all(step.to_state in following(step.from_state, "sensor") for step in walk)


def _fresh(records: Engine) -> int:
    with records.begin() as connection:
        opened = len(connection.execute(select(complaints.c.id)).all())
        return one(connection, complaints, kind="room", origin="sensor", subject="room/R1", opened_at=opened, state="new")


def test_merging_is_not_a_persons_step() -> None:
    assert all("merged" not in following for following in NEXT_STATES.values())
    assert set(NEXT_STATES) >= {state for following in NEXT_STATES.values() for state in following}
