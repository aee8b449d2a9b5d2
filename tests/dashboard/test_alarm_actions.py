"""What people do with alarms (ISA-18.2): comment, shelve, unshelve, out of service; each a stored step, refusals too."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import Engine, Table, insert, select

from compliance.recording.alarm_rows import re_annunciate, silenced_subjects
from dashboard.actions.acting import RefusedError
from dashboard.actions.alarms import (
    acknowledge_alarms,
    comment_alarm,
    return_to_service,
    shelve_alarm,
    take_out_of_service,
    unshelve_alarm,
)
from dashboard.roles import Account
from store.records.tables import alarm_transitions, alarms, audit, out_of_service

NOW_MS = 1_768_458_185_000
HOUR_MS = 3_600_000
LI = Account("李", "dispatcher")


def alarm(records: Engine, state: str = "unacknowledged") -> int:
    row = {"kind": "room_low", "subject": "room/R1", "pending_at": 1, "raised_at": 2, "state": state}
    with records.begin() as connection:
        key = connection.execute(insert(alarms).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def rows(records: Engine, table: Table, *columns: str) -> Sequence[tuple[object, ...]]:
    with records.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*(table.c[name] for name in columns)).order_by(table.c.id))]


def journal(records: Engine) -> Sequence[tuple[object, ...]]:
    return rows(records, alarm_transitions, "from_state", "to_state", "at", "who", "why")


def silenced(records: Engine, at: int) -> dict[str, str]:
    with records.connect() as connection:
        return silenced_subjects(connection, at)


def expire(records: Engine, now_ms: int) -> int:
    with records.begin() as connection:
        return re_annunciate(connection, now_ms)


def test_a_comment_is_a_row_of_the_journal(records: Engine) -> None:
    comment_alarm(records, LI, alarm(records), " 住户不在家 ", NOW_MS)
    assert rows(records, alarms, "state", "comment") == [("unacknowledged", "住户不在家")]
    assert journal(records) == [("unacknowledged", "unacknowledged", NOW_MS, "李", "住户不在家")]
    assert rows(records, audit, "action", "subject", "refused") == [("comment_alarm", "alarm/1", False)]


def test_a_shelf_silences_its_subject_and_expires_by_itself(records: Engine) -> None:
    one = alarm(records)
    acknowledge_alarms(records, LI, [one], "", NOW_MS)
    shelve_alarm(records, LI, one, "等待换表", NOW_MS + HOUR_MS, NOW_MS)
    assert silenced(records, NOW_MS + HOUR_MS - 1) == {"room/R1": "shelved"}
    assert silenced(records, NOW_MS + HOUR_MS) == {}
    assert expire(records, NOW_MS + HOUR_MS - 1) == 0
    assert expire(records, NOW_MS + 2 * HOUR_MS) == 1
    assert expire(records, NOW_MS + 2 * HOUR_MS) == 0
    # still raised: annunciated anew, at the instant at which the shelf ended
    assert rows(records, alarms, "state", "acknowledged_by", "shelved_until") == [("unacknowledged", None, None)]
    assert journal(records)[1:] == [
        ("acknowledged", "shelved", NOW_MS, "李", "等待换表"),
        ("shelved", "unacknowledged", NOW_MS + HOUR_MS, "keepwarm", "the shelf has expired"),
    ]


def test_an_alarm_that_is_over_is_not_annunciated_again(records: Engine) -> None:
    one = alarm(records)
    shelve_alarm(records, LI, one, "检修", NOW_MS + HOUR_MS, NOW_MS)
    with records.begin() as connection:
        connection.execute(alarms.update().values(state="normal", cleared_at=NOW_MS + 1))
    assert expire(records, NOW_MS + HOUR_MS) == 1
    assert rows(records, alarms, "state") == [("normal",)]


def test_unshelving_before_the_time(records: Engine) -> None:
    one = alarm(records)
    shelve_alarm(records, LI, one, "检修", NOW_MS + HOUR_MS, NOW_MS)
    unshelve_alarm(records, LI, one, NOW_MS + 5)
    assert silenced(records, NOW_MS + 6) == {}
    assert journal(records)[-1] == ("shelved", "unacknowledged", NOW_MS + 5, "李", "")
    with pytest.raises(RefusedError):
        unshelve_alarm(records, LI, one, NOW_MS + 6)


@pytest.mark.parametrize(
    ("reason", "until_ms"), [("", NOW_MS + HOUR_MS), ("检修", NOW_MS), ("检修", NOW_MS + 24 * HOUR_MS + 1), ("检修", NOW_MS - 1)]
)
def test_a_shelf_needs_a_reason_and_ends_within_a_day(records: Engine, reason: str, until_ms: int) -> None:
    one = alarm(records)
    with pytest.raises(RefusedError):
        shelve_alarm(records, LI, one, reason, until_ms, NOW_MS)
    assert rows(records, alarms, "shelved_until") == [(None,)]
    assert journal(records) == []


def test_what_is_over_or_shelved_or_not_there_is_not_shelved(records: Engine) -> None:
    until_ms = NOW_MS + 24 * HOUR_MS
    with pytest.raises(RefusedError):
        shelve_alarm(records, LI, 99, "检修", until_ms, NOW_MS)
    with pytest.raises(RefusedError):
        shelve_alarm(records, LI, alarm(records, "normal"), "检修", until_ms, NOW_MS)


def test_a_shelf_is_not_made_longer_by_a_second_one(records: Engine) -> None:
    one = alarm(records)
    shelve_alarm(records, LI, one, "检修", NOW_MS + HOUR_MS, NOW_MS)
    with pytest.raises(RefusedError):
        shelve_alarm(records, LI, one, "检修", NOW_MS + 2 * HOUR_MS, NOW_MS + 1)
    assert rows(records, alarms, "shelved_until") == [(NOW_MS + HOUR_MS,)]


def test_out_of_service_lasts_until_it_is_returned(records: Engine) -> None:
    row_id = take_out_of_service(records, LI, "room_low", "room/R1", "传感器送检", NOW_MS)
    assert silenced(records, NOW_MS + 90 * 24 * HOUR_MS) == {"room/R1": "out_of_service"}
    with pytest.raises(RefusedError):
        take_out_of_service(records, LI, "room_low", "room/R1", "再次", NOW_MS + 1)
    return_to_service(records, LI, row_id, NOW_MS + HOUR_MS)
    assert silenced(records, NOW_MS + HOUR_MS - 1) == {"room/R1": "out_of_service"}
    assert silenced(records, NOW_MS + HOUR_MS) == {}
    with pytest.raises(RefusedError):
        return_to_service(records, LI, row_id, NOW_MS + 2 * HOUR_MS)
    assert rows(records, out_of_service, "since", "who", "returned_at", "returned_by") == [(NOW_MS, "李", NOW_MS + HOUR_MS, "李")]
    assert [action for (action,) in rows(records, audit, "action")] == ["out_of_service", "return_to_service"]


ACTS: list[Callable[[Engine, Account], object]] = [
    lambda records, who: comment_alarm(records, who, 1, "x", NOW_MS),
    lambda records, who: shelve_alarm(records, who, 1, "x", NOW_MS + 1, NOW_MS),
    lambda records, who: unshelve_alarm(records, who, 1, NOW_MS),
    lambda records, who: take_out_of_service(records, who, "room_low", "room/R1", "x", NOW_MS),
    lambda records, who: return_to_service(records, who, 1, NOW_MS),
]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("role", ["viewer", "service", "engineer"])
def test_only_the_dispatch_room_may_and_a_refusal_is_audited(records: Engine, act: Callable[[Engine, Account], object], role: str) -> None:
    alarm(records)
    with pytest.raises(RefusedError):
        act(records, Account("王", role))
    assert rows(records, audit, "who", "refused") == [("王", True)]
    assert journal(records) == []
