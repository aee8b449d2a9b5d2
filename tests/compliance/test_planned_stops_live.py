"""A planned stop registered while ``watch`` runs: its notice at once, no outage inside it, an outage from its end."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from compliance.watch import Watch
from dashboard.actions.acting import RefusedError
from dashboard.actions.planned_stops import AHEAD_MS, call_off, plan_stop, shorten_stop
from dashboard.roles import Account
from domain.reading import Readings
from domain.site import PlannedStop
from store.history import open_history
from store.journal import open_journal
from store.points import PointRegistry
from store.records import open_records
from store.records.planned_stops import registered_stops, with_registered
from store.records.tables import audit, notice_transitions, notices, outages
from store.site_folder import load_site

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
START_MS = 1_768_359_600_000  # 2026-01-14 11:00, in season
WANG = Account("王调度", "dispatcher")


class Town:
    """One station whose flow is fed to a running watch, by the minute."""

    def __init__(self, folder: Path) -> None:
        (folder / "site.toml").write_text('name = "t"\nhotline = "96069"\n', encoding="utf-8")
        (folder / "stations.csv").write_text("station_id,name,design_flow_m3h\nS1,和平路站,100\n", encoding="utf-8")
        (folder / "buildings.csv").write_text(
            "building_id,station_id,name,street,households\nB1,S1,1号楼,和平路18号,56\n", encoding="utf-8"
        )
        self.site = load_site(folder)
        self.points = PointRegistry(self.site.data / "points.db")
        (self.point,) = self.points.ids(["station/S1/secondary_flow_m3h"])
        self.journal, self.records = open_journal(self.site), open_records(self.site.data / "records.db")
        self.history = open_history(self.site, self.points)
        self.minute = 0
        self.watch = self.start()

    def start(self) -> Watch:
        self.watch = Watch(self.site, self.journal, self.history, self.points, self.records, START_MS)
        return self.watch

    @property
    def now_ms(self) -> int:
        return START_MS + self.minute * MINUTE_MS

    def run(self, minutes: int, flow_m3h: float) -> None:
        for _ in range(minutes):
            self.journal.append(Readings.of([self.point], [self.now_ms], [flow_m3h]))
            self.watch.step(self.now_ms)
            self.minute += 1

    def notice(self) -> tuple[object, ...] | None:
        with self.records.connect() as connection:
            row = connection.execute(
                select(notices.c.state, notices.c.late, notices.c.title_zh, notices.c.text_zh, notices.c.text_en)
            ).first()
            return None if row is None else tuple(row)

    def steps(self) -> list[tuple[str, str, str]]:
        with self.records.connect() as connection:
            columns = notice_transitions.c
            return [tuple(row) for row in connection.execute(select(columns.to_state, columns.who, columns.why).order_by(columns.id))]

    def outages(self) -> list[tuple[int, str]]:
        with self.records.connect() as connection:
            rows = connection.execute(select(outages.c.started_at, outages.c.state).order_by(outages.c.started_at))
            return [((row.started_at - START_MS) // MINUTE_MS, row.state) for row in rows]

    def close(self) -> None:
        self.records.dispose()
        self.history.close()
        self.journal.close()
        self.points.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    found = Town(tmp_path)
    yield found
    found.close()


def stop(town: Town, from_min: int, to_min: int, reason: str = "阀门更换") -> PlannedStop:
    return PlannedStop("S1", START_MS + from_min * MINUTE_MS, START_MS + to_min * MINUTE_MS, reason)


def test_a_long_stop_owes_its_notice_when_it_is_registered(town: Town) -> None:
    town.run(5, 80.0)
    plan_stop(town.records, WANG, stop(town, 20, 20 + 9 * 60), town.now_ms)
    town.run(1, 80.0)
    state, late, title, text, english = town.notice() or ()
    assert (state, late, title) == ("published", True, "计划停热通告：和平路站")
    assert text == (
        "和平路站计划于2026年1月14日11:20至2026年1月14日20:20停止供热，涉及和平路18号（1号楼），约56户。原因：阀门更换。"
        "请提前做好准备。服务热线：96069。"
    )
    assert "will not deliver heat from 11:20 on 14 January 2026 to 20:20" in str(english)
    assert town.steps() == [("due", "王调度", "阀门更换"), ("published", "keepwarm", "auto")]
    town.watch.snapshot()
    town.start()  # a restart repeats nothing
    town.run(14, 80.0)
    town.run(9 * 60, 0.0)
    assert town.outages() == []
    town.run(20, 0.0)  # not back in time: an outage from its end
    assert town.outages() == [(20 + 9 * 60, "open")]
    assert town.steps()[2:] == [("closed", "keepwarm", "the planned stop is over")]


def test_a_short_one_owes_none_and_a_stop_called_off_is_an_outage(town: Town) -> None:
    town.run(5, 80.0)
    first = plan_stop(town.records, WANG, stop(town, 10, 100), town.now_ms)
    town.run(5, 80.0)
    town.run(20, 0.0)
    assert (town.notice(), town.outages()) == (None, [])
    call_off(town.records, WANG, first, town.now_ms)
    town.run(30, 0.0)
    assert town.outages() == [(31, "open")]
    with pytest.raises(RefusedError, match="over or was called off"):
        call_off(town.records, WANG, first, town.now_ms)


def test_a_notice_of_a_stop_called_off_is_closed_with_that_reason(town: Town) -> None:
    town.run(1, 80.0)
    number = plan_stop(town.records, WANG, stop(town, 60 * 60, 80 * 60), town.now_ms)
    town.run(1, 80.0)
    assert (town.notice() or ())[:2] == ("published", False)  # more than 48 h ahead
    call_off(town.records, WANG, number, town.now_ms)
    town.run(1, 80.0)
    assert town.steps()[-1] == ("closed", "keepwarm", "called off")
    with town.records.connect() as connection:
        assert connection.execute(select(notices.c.closing)).scalar() == "called_off"
    with town.records.connect() as connection:
        (one,) = registered_stops(connection)
        assert (one.stop, one.cancelled_by) == (None, "王调度")
        assert with_registered(town.site, [one]).planned_stops == ()
        assert [tuple(row) for row in connection.execute(select(audit.c.who, audit.c.action).order_by(audit.c.id))] == [
            ("王调度", "plan_stop"),
            ("王调度", "call_off"),
        ]


@pytest.mark.parametrize(
    ("from_min", "to_min", "reason", "why"),
    [(0, 600, "x", "later than now"), (60, 60, "x", "ends after"), (60, 61 * 1440, "x", "within 60 days"), (60, 600, " ", "has a reason")],
)
def test_what_is_refused(town: Town, from_min: int, to_min: int, reason: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        plan_stop(town.records, WANG, stop(town, from_min, to_min, reason), START_MS + AHEAD_MS)
    with pytest.raises(RefusedError, match="role"):
        plan_stop(town.records, Account("li", "viewer"), stop(town, 60, 600), START_MS)


def test_one_begin_is_registered_once(town: Town) -> None:
    plan_stop(town.records, WANG, stop(town, 60, 600), START_MS)
    with pytest.raises(RefusedError, match="this very instant"):
        plan_stop(town.records, WANG, stop(town, 60, 700), START_MS)


def test_a_shortened_stop_amends_its_notice_and_what_lasts_beyond_is_an_outage(town: Town) -> None:
    town.run(1, 80.0)
    number = plan_stop(town.records, WANG, stop(town, 10, 10 + 9 * 60), town.now_ms)
    town.run(1, 80.0)
    shorten_stop(town.records, WANG, number, START_MS + 100 * MINUTE_MS, town.now_ms)
    town.run(1, 80.0)
    state, _, _, text, _ = town.notice() or ()
    assert state == "amended"
    assert "2026年1月14日11:10至2026年1月14日12:40停止供热" in str(text)
    assert town.steps()[2:] == [("amended", "keepwarm", "correction: the plan has changed")]
    town.run(8, 80.0)
    town.run(110, 0.0)
    assert town.outages() == [(100, "open")]
    assert town.steps()[3:] == [("closed", "keepwarm", "the planned stop is over")]
    town.watch.snapshot()
    town.start()  # a restart repeats nothing
    town.run(3, 0.0)
    assert (len(town.steps()), town.outages()) == (4, [(100, "open")])
    with town.records.connect() as connection:
        done = connection.execute(select(audit.c.action, audit.c.before, audit.c.after).order_by(audit.c.id)).all()[-1]
    assert tuple(done) == ("shorten_stop", {"to_at": START_MS + 550 * MINUTE_MS}, {"to_at": START_MS + 100 * MINUTE_MS})


def test_a_stop_shortened_while_its_notice_waits_is_told_as_it_is(town: Town) -> None:
    town.site = replace(town.site, publish="review")
    town.start()
    number = plan_stop(town.records, WANG, stop(town, 10, 10 + 9 * 60), town.now_ms)
    town.run(1, 80.0)
    shorten_stop(town.records, WANG, number, START_MS + 500 * MINUTE_MS, town.now_ms)
    town.run(1, 80.0)
    state, _, _, text, _ = town.notice() or ()
    assert state == "due"
    assert "至2026年1月14日19:20停止供热" in str(text)


@pytest.mark.parametrize("to_min", [5, 10, 550, 700])
def test_a_stop_is_shortened_to_an_end_before_its_own(town: Town, to_min: int) -> None:
    number = plan_stop(town.records, WANG, stop(town, 10, 550), START_MS)
    with pytest.raises(RefusedError, match="before the end it has"):
        shorten_stop(town.records, WANG, number, START_MS + to_min * MINUTE_MS, START_MS)
    with pytest.raises(RefusedError, match="role"):
        shorten_stop(town.records, Account("li", "viewer"), number, START_MS + 60 * MINUTE_MS, START_MS)
    call_off(town.records, WANG, number, START_MS)
    with pytest.raises(RefusedError, match="over or was called off"):
        shorten_stop(town.records, WANG, number, START_MS + 60 * MINUTE_MS, START_MS)


def test_a_begin_that_was_called_off_is_registered_again_with_a_notice_of_its_own(town: Town) -> None:
    town.run(1, 80.0)
    first = plan_stop(town.records, WANG, stop(town, 60, 600), town.now_ms)
    town.run(1, 80.0)
    call_off(town.records, WANG, first, town.now_ms)
    town.run(1, 80.0)
    second = plan_stop(town.records, WANG, stop(town, 60, 660, "改期检修"), town.now_ms)
    town.run(1, 80.0)
    with pytest.raises(RefusedError, match="this very instant"):
        plan_stop(town.records, WANG, stop(town, 60, 700), town.now_ms)
    with town.records.connect() as connection:
        rows = connection.execute(select(notices.c.planned_stop, notices.c.state, notices.c.closing).order_by(notices.c.id)).all()
        standing = with_registered(town.site, registered_stops(connection)).planned_stops
    key = f"S1@{START_MS + 60 * MINUTE_MS}"
    assert [tuple(row) for row in rows] == [(f"{key}#{first}", "closed", "called_off"), (f"{key}#{second}", "published", "")]
    assert [(one.reason, one.registered_id) for one in standing] == [("改期检修", second)]
    town.run(56, 80.0)
    town.run(100, 0.0)
    assert town.outages() == []
