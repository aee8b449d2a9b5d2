"""Filing a supply curve: by whom, when, and what the loop makes of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from dashboard.actions.acting import RefusedError
from dashboard.actions.curves import AHEAD_MS, file
from dashboard.roles import Account
from domain.curve import FiledCurve
from store.records import open_records
from store.records.filed_curves import filed_curves, last_filed
from store.records.tables import audit

ENGINEER = Account("gao", "engineer")
NOW_MS = 1_768_359_600_000
OFFSETS = (0.0, 0.0, 1.5, *(0.0,) * 9)


def curve(at_ms: int = NOW_MS + AHEAD_MS, reason: str = "after the cold week", **other: tuple[float, ...]) -> FiledCurve:
    points = {"outdoor_c": (-20.0, 0.0), "supply_c": (70.0, 46.0), "offsets_k": OFFSETS} | other
    return FiledCurve("S1", at_ms, filed_by="somebody else", reason=reason, **points)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Engine]:
    engine = open_records(tmp_path / "records.db")
    yield engine
    engine.dispose()


def test_an_engineer_files_a_curve_under_his_name(records: Engine) -> None:
    first = file(records, ENGINEER, curve(), NOW_MS)
    file(records, ENGINEER, curve(NOW_MS + 10 * AHEAD_MS, " and again "), NOW_MS)
    with records.connect() as connection:
        found = filed_curves(connection)
        assert last_filed(connection) == first + 1
        entry = connection.execute(select(audit).order_by(audit.c.id)).first()
    assert [one.effective_from_ms for one in found["S1"]] == [NOW_MS + AHEAD_MS, NOW_MS + 10 * AHEAD_MS]
    assert found["S1"][0] == FiledCurve("S1", NOW_MS + AHEAD_MS, (-20.0, 0.0), (70.0, 46.0), "gao", "after the cold week", OFFSETS)
    assert found["S1"][1].reason == "and again"
    assert entry is not None
    assert (entry.who, entry.action, entry.subject, entry.after["supply_c"]) == ("gao", "file_curve", "station/S1", [70.0, 46.0])


@pytest.mark.parametrize("role", ["viewer", "dispatcher", "service"])
def test_others_may_not(records: Engine, role: str) -> None:
    with pytest.raises(RefusedError, match="role"):
        file(records, Account("li", role), curve(), NOW_MS)
    with records.connect() as connection:
        assert connection.execute(select(audit.c.refused)).scalars().all() == [True]
        assert filed_curves(connection) == {}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (curve(reason="  "), "reason"),
        (curve(NOW_MS + AHEAD_MS - 1), "later instant"),
        (curve(supply_c=(46.0, 70.0)), "no supply curve"),
        (curve(offsets_k=(1.0,)), "no supply curve"),
    ],
)
def test_what_can_not_be_filed(records: Engine, wrong: FiledCurve, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        file(records, ENGINEER, wrong, NOW_MS)
    with records.connect() as connection:
        assert filed_curves(connection) == {}


def test_one_curve_for_one_instant(records: Engine) -> None:
    file(records, ENGINEER, curve(), NOW_MS)
    with pytest.raises(RefusedError, match="already"):
        file(records, ENGINEER, curve(), NOW_MS)
