"""Readings that come late move, split, erase and restore outages; the notice follows, nothing is told twice (R4, R5)."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from compliance import late_pass
from compliance.events import Event
from compliance.notice_text import Said
from compliance.watch import Watch
from dashboard.actions.notices import amend_notice, close_notice, prepare_notice, publish_notice
from dashboard.roles import Account
from domain.reading import Readings
from domain.site import Building, Site, Station
from store.records import tables
from tests.compliance.feeding import MINUTE_MS, Feed, Row, every, local_ms

WANG = Account("王调度", "dispatcher")
FLOW = "station/S1/secondary_flow_m3h"


class Live:
    """A live loop that is told what arrives, pass by pass."""

    def __init__(self, live: Feed) -> None:
        self.live = live
        self.watch = Watch(live.site, live.journal, live.history, live.points, live.records, local_ms("2026-01-14 18:00"))

    def arrive(self, rows: list[Row], now: str) -> None:
        """The rows arrive at the instants they are measured, or now where that is past; then a pass."""
        ids = self.live.points.ids([name for name, _, _ in rows])
        now_ms = local_ms(now)
        readings = Readings.of(ids, [at for _, at, _ in rows], [value for *_, value in rows], received_at=[now_ms] * len(rows))
        self.live.journal.append(readings)
        while self.watch.step(now_ms):
            pass
        while self.watch.judge_late():
            self.watch.step(now_ms)

    def outages(self) -> list[tuple[str, str, str, str, int, str]]:
        columns = tables.outages.c
        with self.live.records.connect() as connection:
            rows = connection.execute(select(tables.outages).order_by(columns.started_at, columns.id)).all()
        return [(row.subject, row.state, clock(row.started_at), clock(row.ended_at or 0), row.version, row.reason) for row in rows]

    def again(self) -> None:
        """The process is killed; what is committed is judged again by the next."""
        self.watch = Watch(self.live.site, self.live.journal, self.live.history, self.live.points, self.live.records, self.watch.judged_at)

    def said(self, *kinds: str) -> list[tuple[str, str]]:
        events: list[Event] = self.live.events()
        return [(clock(event.at), event.event) for event in sorted(events, key=lambda one: one.at) if event.event in kinds]

    def notice(self) -> tuple[object, ...]:
        with self.live.records.connect() as connection:
            notices = tables.notices.c
            row = connection.execute(select(notices.state, notices.text_zh)).one()
            steps = tables.notice_transitions.c
            return row.state, row.text_zh, [tuple(one) for one in connection.execute(select(steps.from_state, steps.to_state, steps.why))]


def clock(at: int) -> str:
    minutes = (at - local_ms("2026-01-14 00:00")) // MINUTE_MS
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


@pytest.fixture
def live(site: Site, feed: Callable[[Site], Feed]) -> Live:
    town = replace(site, stations={"S1": Station("S1", design_flow_m3h=100.0)}, buildings={"B1": Building("B1", "S1", households=40)})
    return Live(feed(town))


def stopped_for_eight_hours(live: Live) -> None:
    live.arrive(every(FLOW, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1), "2026-01-14 22:00")
    live.arrive(every(FLOW, "2026-01-14 22:00", "2026-01-15 06:01", 0.0, 1), "2026-01-15 06:01")
    assert live.said("notice.due") == [("06:00", "notice.due")]


def test_a_start_moved_by_late_readings_amends_the_notice(site: Site, feed: Callable[[Site], Feed]) -> None:
    soon = tuple(replace(version, notice_after_h=0.5, warn_after_h=()) for version in site.policy.versions)
    policy = replace(site.policy, versions=soon)
    live = Live(feed(replace(site, stations={"S1": Station("S1", design_flow_m3h=100.0)}, policy=policy)))
    live.arrive(every(FLOW, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1), "2026-01-14 22:00")
    live.arrive(every(FLOW, "2026-01-14 22:00", "2026-01-14 22:31", 0.0, 1), "2026-01-14 22:31")
    assert "22:00" in str(live.notice()[1])
    corrected = every(FLOW, "2026-01-14 22:00", "2026-01-14 22:10", 80.0, 1)
    live.arrive(corrected, "2026-01-14 22:35")
    state, text, steps = live.notice()
    assert state == "amended"
    assert "22:10" in str(text)
    assert steps[-1] == ("published", "amended", "correction: what is known has changed")  # type: ignore[index]
    live.arrive([], "2026-01-14 22:36")
    assert live.said("notice.due", "notice.amended") == [("22:30", "notice.due"), ("22:35", "notice.amended")]


def test_an_outage_that_late_readings_erase_and_others_show_after_all(live: Live) -> None:
    live.arrive(every(FLOW, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1), "2026-01-14 22:00")
    live.arrive(every(FLOW, "2026-01-14 22:00", "2026-01-14 22:30", 0.0, 1), "2026-01-14 22:30")
    assert live.said("outage.opened") == [("22:15", "outage.opened")]
    again = [(name, at + 1, value) for name, at, value in every(FLOW, "2026-01-14 22:00", "2026-01-14 22:30", 80.0, 1)]
    live.arrive(again, "2026-01-14 22:31")  # half a second later each: supply nearly all the time
    live.arrive([(name, at, 0.0) for name, at, _ in again], "2026-01-14 22:32")  # corrected: received last wins
    live.again()
    live.arrive([], "2026-01-14 22:33")
    with live.live.records.connect() as connection:
        rows = connection.execute(select(tables.outages.c.state, tables.outages.c.opened_at)).all()
    assert [(row.state, clock(row.opened_at)) for row in rows] == [("open", "22:15")]
    assert live.said("outage.opened") == [("22:15", "outage.opened")]


def test_heat_that_was_not_back_after_all_opens_the_notice_again(live: Live) -> None:
    stopped_for_eight_hours(live)
    back = every(FLOW, "2026-01-15 06:01", "2026-01-15 06:40", 80.0, 1)
    live.arrive(back, "2026-01-15 06:40")
    assert live.notice()[0] == "closed"
    live.arrive([(name, at, 0.0) for name, at, _ in back], "2026-01-15 06:41")
    state, _, steps = live.notice()
    assert state == "amended"
    assert steps[-1] == ("closed", "amended", "correction: heat is not back")  # type: ignore[index]
    assert live.said("notice.amended") == [("06:41", "notice.amended")]
    live.arrive([], "2026-01-15 06:42")
    live.again()
    live.arrive([], "2026-01-15 06:43")
    assert live.said("notice.amended") == [("06:41", "notice.amended")]
    live.arrive(every(FLOW, "2026-01-15 07:00", "2026-01-15 07:40", 80.0, 1), "2026-01-15 07:40")
    assert live.notice()[0] == "closed"


def test_readings_of_days_ago_split_an_outage_and_say_why(live: Live) -> None:
    live.arrive(every(FLOW, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1), "2026-01-14 22:00")
    live.arrive(every(FLOW, "2026-01-14 22:00", "2026-01-15 00:00", 0.0, 1), "2026-01-15 00:00")
    live.arrive(every(FLOW, "2026-01-15 02:00", "2026-01-15 05:00", 0.0, 1), "2026-01-15 05:00")
    live.arrive(every(FLOW, "2026-01-15 05:00", "2026-01-15 12:00", 80.0, 1), "2026-01-15 12:00")
    for day in (16, 17, 18):
        live.arrive(every(FLOW, f"2026-01-{day} 11:00", f"2026-01-{day} 12:00", 80.0, 1), f"2026-01-{day} 12:00")
    before = [("station/S1", "ended", "22:00", "05:00", 1, "")]
    assert live.outages() == before
    live.arrive(every(FLOW, "2026-01-15 00:00", "2026-01-15 02:00", 80.0, 1), "2026-01-18 12:01")
    after = [
        ("station/S1", "ended", "22:00", "00:00", 2, "late readings: its end is another"),
        ("station/S1", "ended", "02:00", "05:00", 1, ""),
    ]
    assert live.outages() == after
    with live.live.records.connect() as connection:
        (kept,) = connection.execute(select(tables.outage_versions)).all()
    assert (kept.version, kept.facts["state"], clock(kept.facts["ended_at"]), kept.facts["reason"]) == (1, "ended", "05:00", "")
    assert live.said("outage.opened") == [("22:15", "outage.opened"), ("02:15", "outage.opened")]
    live.again()
    live.arrive([], "2026-01-18 12:02")
    assert live.outages() == after, "judged again by another process it stays as it is"


def test_late_readings_wait_over_a_restart(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_pass, "FEW", 0)  # as in a flood of them: none is judged within the pass
    live.arrive(every(FLOW, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1), "2026-01-14 22:00")
    live.arrive(every(FLOW, "2026-01-15 07:00", "2026-01-15 12:00", 80.0, 1), "2026-01-15 12:00")
    rows = every(FLOW, "2026-01-14 22:00", "2026-01-14 23:00", 0.0, 1)
    ids = live.live.points.ids([name for name, *_ in rows])
    late = Readings.of(ids, [at for _, at, _ in rows], [0.0] * len(rows), received_at=[local_ms("2026-01-15 12:01")] * len(rows))
    live.live.journal.append(late)
    while live.watch.step(local_ms("2026-01-15 12:01")):
        pass
    live.watch.snapshot()  # the cursor is past them, they are not judged yet
    assert live.outages() == []
    live.again()
    live.arrive([], "2026-01-15 12:02")
    assert [(state, started, ended) for _, state, started, ended, *_ in live.outages()] == [("ended", "22:00", "07:00")]


def test_nobody_is_told_of_a_notice_that_was_learned_of_after_its_outage(live: Live) -> None:
    live.arrive(every(FLOW, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1), "2026-01-14 22:00")
    live.arrive(every(FLOW, "2026-01-15 07:00", "2026-01-15 12:00", 80.0, 1), "2026-01-15 12:00")
    live.arrive(every(FLOW, "2026-01-14 22:00", "2026-01-15 07:00", 0.0, 1), "2026-01-15 12:01")
    state, _, steps = live.notice()
    assert state == "closed"
    assert [step[1] for step in steps] == ["due", "closed"]  # type: ignore[attr-defined]
    assert live.said("notice.due", "notice.closed") == [("06:00", "notice.due"), ("07:30", "notice.closed")]


def test_readings_older_than_the_watch_itself_are_counted(live: Live) -> None:
    live.arrive(every(FLOW, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1), "2026-01-14 22:00")
    live.arrive(every(FLOW, "2026-01-13 20:00", "2026-01-13 21:00", 0.0, 1), "2026-01-14 22:01")
    assert (live.watch.stations.too_late, live.watch.late.rejudged) == (60, 0)


def test_an_outage_of_the_source_is_not_erased_when_its_parts_are_days_old(site: Site, feed: Callable[[Site], Feed]) -> None:
    stations = {f"S{n}": Station(f"S{n}", source_id="H", design_flow_m3h=100.0) for n in range(5)}  # S4 never says anything
    live = Live(feed(replace(site, stations=stations)))
    flows = [f"station/S{n}/secondary_flow_m3h" for n in range(4)]

    def both(start: str, stop: str, *values: float) -> None:
        rows = [row for flow, value in zip(flows, values, strict=True) for row in every(flow, start, stop, value, 2)]
        live.arrive(rows, stop)

    both("2026-01-14 20:00", "2026-01-14 22:00", 80.0, 80.0, 80.0, 80.0)
    both("2026-01-14 22:00", "2026-01-15 01:00", 0.0, 0.0, 0.0, 80.0)
    for day in range(15, 19):
        for number, flow in enumerate(flows):  # each in a pass of its own, so that they are settled one after the other
            live.arrive(every(flow, f"2026-01-{day} 02:00", f"2026-01-{day} 12:00", 80.0, 2), f"2026-01-{day} 12:0{number}")
    both("2026-01-18 13:00", "2026-01-18 14:00", 0.0, 0.0, 0.0, 80.0)  # another one, days later
    source = [one[1:] for one in live.outages() if one[0] == "source/H"]
    assert source == [("ended", "22:00", "02:00", 1, ""), ("open", "13:00", clock(0), 1, "")]


def test_every_version_that_users_were_told_is_kept(live: Live) -> None:
    """A person's amendment, then late readings that move the start: three texts, and the last one still says what the person said."""
    live.arrive(every(FLOW, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1), "2026-01-14 22:00")
    live.arrive(every(FLOW, "2026-01-14 22:00", "2026-01-15 06:01", 0.0, 1), "2026-01-15 06:01")
    said = Said(measures_zh="更换水泵", expected_at=local_ms("2026-01-15 09:00"))
    amend_notice(live.live.records, WANG, live.live.site, 1, 2, said, "", local_ms("2026-01-15 06:02"))
    live.arrive(every(FLOW, "2026-01-15 06:02", "2026-01-15 06:05", 0.0, 1), "2026-01-15 06:05")
    with live.live.records.connect() as connection:
        steps = tables.notice_transitions.c
        found = connection.execute(select(steps.to_state, steps.who, steps.text_zh).order_by(steps.version)).all()
    assert [(step.to_state, step.who) for step in found] == [("due", "keepwarm"), ("published", "keepwarm"), ("amended", "王调度")]
    assert "恢复供热时间另行通告" in found[1].text_zh
    assert "措施：更换水泵。预计2026年1月15日09:00恢复供热。" in found[2].text_zh


def test_what_a_person_closed_is_not_opened_again(live: Live) -> None:
    stopped_for_eight_hours(live)
    close_notice(live.live.records, WANG, live.live.site, 1, 2, "restored", "流量计故障", local_ms("2026-01-15 06:02"))
    live.again()
    live.arrive(every(FLOW, "2026-01-15 06:01", "2026-01-15 06:30", 0.0, 1), "2026-01-15 06:30")
    live.arrive(every(FLOW, "2026-01-15 06:30", "2026-01-15 07:10", 80.0, 1), "2026-01-15 07:10")
    state, _, steps = live.notice()
    assert state == "closed"
    assert steps[-1] == ("published", "closed", "流量计故障")  # type: ignore[index]
    assert live.said("notice.due", "notice.amended", "notice.closed") == [("06:00", "notice.due")]


def test_what_was_prepared_goes_out_to_the_second(live: Live) -> None:
    live.arrive(every(FLOW, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1), "2026-01-14 22:00")
    live.arrive(every(FLOW, "2026-01-14 22:00", "2026-01-15 05:00", 0.0, 1), "2026-01-15 05:00")
    prepare_notice(live.live.records, WANG, 1, Said(), Said(cause_zh="电机烧毁"), local_ms("2026-01-15 05:00"))
    live.arrive(every(FLOW, "2026-01-15 05:00", "2026-01-15 06:01", 0.0, 1), "2026-01-15 06:01")
    state, text, _ = live.notice()
    assert state == "published"
    assert "原因：电机烧毁。" in str(text)


def test_a_notice_waiting_too_long_is_told_one_step_up_once_each(live: Live) -> None:
    live.live.site = replace(live.live.site, publish="review")
    live.again()
    stopped_for_eight_hours(live)
    for minutes in (9, 10, 11, 12, 20, 21, 22):
        live.arrive([(FLOW, local_ms("2026-01-15 06:00") + minutes * MINUTE_MS, 0.0)], f"2026-01-15 06:{minutes:02}")
        live.watch.look_after_desk()
    with live.live.records.connect() as connection:
        told = tables.escalations.c
        found = connection.execute(select(told.subject, told.duty, told.due_at, told.at, told.told).order_by(told.id)).all()
    ten_past = local_ms("2026-01-15 06:10")
    assert [tuple(row) for row in found] == [
        ("notice/1", "notice_review", ten_past, ten_past, "department_head"),
        ("notice/1", "notice_review", ten_past, ten_past + 10 * MINUTE_MS, "manager"),
    ]
    publish_notice(live.live.records, WANG, 1, 1, local_ms("2026-01-15 06:23"))
    live.watch.look_after_desk()
    assert live.notice()[0] == "published"


def versions(live: Live) -> list[tuple[int, int, str]]:
    """Every version of an outage that was replaced, and what every outage is now."""
    with live.live.records.connect() as connection:
        before = connection.execute(select(tables.outage_versions)).all()
        now = connection.execute(select(tables.outages)).all()
    return sorted([(row.outage_id, row.version, str(row.facts)) for row in before] + [(row.id, row.version, row.state) for row in now])


@pytest.fixture
def five(site: Site, feed: Callable[[Site], Feed]) -> Live:
    """More stations than a pass judges again by itself."""
    return Live(feed(replace(site, stations={f"S{n}": Station(f"S{n}", design_flow_m3h=100.0) for n in range(5)})))


def of_five(start: str, stop: str, value: float) -> list[Row]:
    return [row for n in range(5) for row in every(f"station/S{n}/secondary_flow_m3h", start, stop, value, 2)]


def test_a_restart_right_after_late_readings_adds_no_version(five: Live) -> None:
    five.arrive(of_five("2026-01-14 20:00", "2026-01-14 22:00", 80.0), "2026-01-14 22:00")
    five.arrive(of_five("2026-01-14 22:00", "2026-01-15 00:00", 0.0), "2026-01-15 00:00")
    five.arrive(of_five("2026-01-15 00:00", "2026-01-15 06:00", 80.0), "2026-01-15 06:00")
    five.watch.snapshot()
    five.arrive(of_five("2026-01-14 23:01", "2026-01-14 23:59", 80.0), "2026-01-15 06:01")  # between those that said 0
    five.arrive(of_five("2026-01-14 23:00", "2026-01-15 00:00", 80.0), "2026-01-15 06:02")
    before = versions(five)
    assert {version for _, version, _ in before} == {1, 2}
    five.again()
    five.arrive([], "2026-01-15 06:03")
    assert versions(five) == before


def test_a_restart_does_not_erase_an_outage_found_since_the_last_snapshot(five: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    five.arrive(of_five("2026-01-14 20:00", "2026-01-14 22:00", 80.0), "2026-01-14 22:00")
    five.arrive(of_five("2026-01-14 22:00", "2026-01-15 00:00", 0.0), "2026-01-15 00:00")
    five.arrive(of_five("2026-01-15 00:00", "2026-01-15 06:00", 80.0), "2026-01-15 06:00")
    five.watch.snapshot()
    five.arrive(of_five("2026-01-15 06:00", "2026-01-15 06:10", 0.0), "2026-01-15 06:10")
    five.arrive(of_five("2026-01-15 06:10", "2026-01-15 08:00", 0.0), "2026-01-15 08:00")
    before = versions(five)
    assert before == sorted((n, 1, "ended") for n in range(1, 6)) + sorted((n, 1, "open") for n in range(6, 11))
    read_on = five.live.journal.read
    monkeypatch.setattr(five.live.journal, "read", lambda after, _most=1: read_on(after, 1))  # pass by pass, as it came
    five.again()
    five.arrive([], "2026-01-15 08:01")
    assert versions(five) == before


def ends(live: Live) -> list[tuple[str, str, str]]:
    """Subject, state and end of every notice, as they were owed."""
    columns = tables.notices.c
    with live.live.records.connect() as connection:
        rows = connection.execute(select(columns.subject, columns.state, columns.closing).order_by(columns.id))
        return [tuple(row) for row in rows]


def test_of_a_source_with_too_few_stations_stopped_nobody_is_told_that_heat_was_there(site: Site, feed: Callable[[Site], Feed]) -> None:
    stations = {f"S{n}": Station(f"S{n}", source_id="H", design_flow_m3h=100.0) for n in range(3)}
    live = Live(feed(replace(site, stations=stations)))
    flows = [f"station/{one}/secondary_flow_m3h" for one in stations]
    for start, stop, value in (("2026-01-14 20:00", "2026-01-14 22:00", 80.0), ("2026-01-14 22:00", "2026-01-15 06:01", 0.0)):
        live.arrive([row for flow in flows for row in every(flow, start, stop, value, 1)], stop)
    assert ends(live) == [("source/H", "published", "")]
    live.arrive(every(flows[2], "2026-01-14 22:00", "2026-01-15 06:01", 80.0, 1), "2026-01-15 06:02")  # its meter, read again
    assert ends(live) == [("source/H", "closed", "superseded"), ("station/S0", "published", ""), ("station/S1", "published", "")]
    assert [one[1::4] for one in live.outages() if one[0] == "source/H"] == [
        ("erased", "late readings: too few stations of the source at once")
    ]
    live.arrive([row for flow in flows[:2] for row in every(flow, "2026-01-14 22:00", "2026-01-15 06:01", 80.0, 1)], "2026-01-15 06:03")
    assert ends(live)[1:] == [("station/S0", "closed", "correction"), ("station/S1", "closed", "correction")]


def test_the_notice_of_an_outage_that_is_part_of_the_one_before_ends_as_replaced(live: Live) -> None:
    for start, stop, value in (
        ("2026-01-14 18:00", "2026-01-14 19:00", 80.0),
        ("2026-01-14 19:00", "2026-01-14 21:00", 0.0),
        ("2026-01-14 21:00", "2026-01-14 22:00", 80.0),
        ("2026-01-14 22:00", "2026-01-15 06:01", 0.0),
    ):
        live.arrive(every(FLOW, start, stop, value, 1), stop)
    live.arrive(every(FLOW, "2026-01-14 21:00", "2026-01-14 22:00", 0.0, 1), "2026-01-15 06:02")
    assert [(one[1], one[2], one[5]) for one in live.outages()] == [
        ("open", "19:00", "late readings: heat was not back"),
        ("erased", "22:00", "late readings: part of the outage before it"),
    ]
    assert sorted(ends(live)) == [("station/S1", "closed", "superseded"), ("station/S1", "published", "")]
