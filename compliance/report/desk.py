"""Complaints and outages over a period (R4–R7): who was served in time, what was told, and which duties were kept."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select

from compliance.complaint_cases import calendar_of, read_cases, table_of
from compliance.complaint_life import WORKED_ON, Deed, rounds
from compliance.report.rooms import ratio
from compliance.service_duties import Case, DutyState, duty_states, handled_in_time, known_by, origin_of
from domain.clock import iso
from domain.deadlines import DUTIES
from domain.site import Site
from store.records.tables import complaints, notices, outages

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
REPAIRS = ("low_temperature", "leak", "pipe_burst", "heat_stopped")


@dataclass(frozen=True)
class Reported:
    """A complaint opened in the period, as it stood at the instant of the report."""

    id: int
    month: str
    cause: str
    case: Case  # as far as it was known then
    origin: str  # a resident's also where a resident's was merged into a sensor's
    state: str
    duties: tuple[DutyState, ...]
    in_time: bool | None

    @property
    def call_backs(self) -> list[Deed]:
        """Call-backs that reached somebody, of the last round."""
        since = rounds(self.case.reported_at, self.case.steps)[-1].reported_at
        return [deed for deed in self.case.deeds if deed.kind == "call_back" and deed.reached and deed.at >= since]


def reported(
    connection: Connection, site: Site, span: tuple[int, int], as_of_ms: int, stations: Collection[str] | None = None
) -> list[Reported]:
    """The complaints opened in [from, to), with all that was stored up to ``as_of_ms``; maintenance tickets are none.

    Of these ``stations`` only, of all for None.
    """
    columns = complaints.c
    which = (columns.opened_at >= span[0]) & (columns.opened_at < span[1]) & (columns.kind != "maintenance")
    if stations is not None:
        which &= columns.station_id.in_(stations)
    cases, calendar = read_cases(connection, which), calendar_of(site)
    causes = {row.id: row.cause for row in connection.execute(select(columns.id, columns.cause).where(which))}
    found = []
    for number, stored in cases.items():
        case = known_by(stored, as_of_ms)
        table = table_of(site.policy, calendar, case.reported_at)
        month = f"{datetime.fromtimestamp(case.reported_at / 1000, site.timezone):%Y-%m}"
        duties = tuple(duty_states(case, table, calendar, as_of_ms))
        state = case.steps[-1].to_state if case.steps else "new"
        cause = "" if state in WORKED_ON else causes[number]  # one found after the report's day is not known yet
        in_time = handled_in_time(case, table, calendar, as_of_ms)
        found.append(Reported(number, month, cause, case, origin_of(case), state, duties, in_time))
    return found


def desk_indicators(found: Sequence[Reported]) -> list[dict[str, Any]]:
    """Residents' indicators (R7): sensor complaints never count, and a merged complaint counts with the one it was merged into."""
    own = [one for one in found if one.origin == "resident" and one.state != "merged"]
    repairs = [one for one in own if one.case.category in REPAIRS and one.state != "rejected"]
    decided = [one for one in repairs if one.in_time is not None]
    cured = [one for one in own if one.state in ("resolved", "called_back", "closed")]
    called = [one for one in cured if one.call_backs]
    told = [one for one in called if one.call_backs[-1].satisfied is not None]
    over = [one for one in own if one.state in ("closed", "rejected")]
    return [
        indicator("handled_in_time", sum(one.in_time is True for one in decided), len(decided), ratio(len(decided), len(repairs))),
        indicator("closed", len(over), len(own), ratio(len(own), len(own))),
        indicator("called_back", len(called), len(cured), ratio(len(cured), len(own))),
        indicator("satisfied", sum(one.call_backs[-1].satisfied is True for one in told), len(told), ratio(len(told), len(cured))),
    ]


INDICATORS = {
    "rooms_compliant": ("室温合格率", "rooms without a breach", "覆盖率不低于 50% 且无不达标时间的房间 / 覆盖率不低于 50% 的房间"),
    "handled_in_time": ("报修处理及时率", "repairs handled in time", "按时处理的报修 / 已有结果的报修（不含合并、驳回）"),
    "closed": ("投诉办结率", "complaints closed", "已关闭或驳回的用户投诉 / 用户投诉（不含合并）"),
    "called_back": ("回访率", "called back", "已回访到用户的投诉 / 已处理完毕的投诉"),
    "satisfied": ("满意率", "satisfied", "回访表示满意的用户 / 回访给出评价的用户"),
    "water_loss": ("管网失水率", "make-up water of circulation", "补水量 m³ / 循环水量 m³"),
}


def indicator(key: str, numerator: float, denominator: float, coverage: float | None) -> dict[str, Any]:
    """One line of the report: the share with what it is made of, and what part of all it rests on; null where there is nothing."""
    zh, en, rule = INDICATORS[key]
    row = {"key": key, "name_zh": zh, "name_en": en, "numerator": numerator, "denominator": denominator}
    return {**row, "rate": ratio(numerator, denominator), "coverage": coverage, "rule_zh": rule}


def complaint_counts(found: Sequence[Reported]) -> list[dict[str, Any]]:
    """Complaints by origin and category; those still worked on, and those merged, named apart."""
    counts = Counter((one.case.origin, one.case.category) for one in found)
    rows = []
    for (origin, category), count in sorted(counts.items()):
        own = [one for one in found if (one.case.origin, one.case.category) == (origin, category)]
        rows.append(
            {
                "origin": origin,
                "category": category,
                "complaints": count,
                "closed": sum(one.state in ("closed", "rejected") for one in own),
                "merged": sum(one.state == "merged" for one in own),
                "worked_on": sum(one.state in WORKED_ON for one in own),
            }
        )
    return rows


def cause_counts(found: Sequence[Reported]) -> list[dict[str, Any]]:
    """Complaints by origin and the cause found; an empty cause is one not yet found, or not entered."""
    counts = Counter((one.origin, one.cause) for one in found if one.state != "merged")
    return [{"origin": origin, "cause": cause, "complaints": count} for (origin, cause), count in sorted(counts.items())]


def duty_rows(found: Sequence[Reported]) -> list[dict[str, Any]]:
    """Each duty of R7: how often it was owed, kept, missed, and how many still run; by residents and sensors."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for one in found:
        for state in one.duties:
            counts.setdefault((state.duty.duty, one.origin), Counter())[state.standing] += 1
    rows = []
    for (duty, origin), own in sorted(counts.items(), key=lambda item: (list(DUTIES).index(item[0][0]), item[0][1])):
        missed = own["late"] + own["overdue"]
        counted = {"owed": own.total() - own["void"], "kept": own["kept"], "missed": missed, "running": own["open"] + own["held"]}
        names = {"duty": duty, "name_zh": DUTIES[duty][0], "name_en": DUTIES[duty][1], "origin": origin}
        rows.append({**names, **counted, "rate": ratio(own["kept"], own["kept"] + missed)})
    return rows


def outage_register(
    connection: Connection, site: Site, span: tuple[int, int], as_of_ms: int, wanted: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """The outages of the period with their duty times, and whether the notice owed was given; parts stand under their source's outage."""
    columns = outages.c
    lasting = or_(columns.ended_at.is_(None), columns.ended_at > span[0])
    statement = (
        select(outages, notices.c.due_at, notices.c.published_at, notices.c.households)
        .select_from(outages.outerjoin(notices, notices.c.outage_id == columns.id))
        .where(columns.started_at < span[1], lasting, columns.state != "erased", columns.opened_at <= as_of_ms)
        .order_by(columns.started_at, columns.subject)
    )
    rows = connection.execute(statement)
    return [_outage(row, site, as_of_ms) for row in rows if wanted is None or any(one in wanted for one in row.stations)]


def _outage(row: Any, site: Site, as_of_ms: int) -> dict[str, Any]:
    def said(at: int | None) -> str | None:
        return None if at is None or at > as_of_ms else iso(at, site.timezone)

    end = min(row.ended_at if row.ended_at is not None else as_of_ms, as_of_ms)
    return {
        "subject": row.subject,
        "stations": list(row.stations),
        "part_of_source": row.parent_id is not None,
        "cause": row.cause,
        "started_at": said(row.started_at),
        "started_earliest": said(row.started_earliest),
        "ended_at": said(row.ended_at),
        "lasted_h": round((end - row.started_at) / HOUR_MS, 2),
        "households": row.households,
        "notice_due_at": said(row.due_at),
        "notice_published_at": said(row.published_at),
        "kept": _kept(row.due_at, row.published_at, as_of_ms, round(site.review_min * MINUTE_MS)),
    }


def _kept(due_at: int | None, published_at: int | None, as_of_ms: int, grace_ms: int) -> bool | None:
    """Whether the notice was given in time, a dispatcher's minutes (R5) included; None where none is owed, or its time is not over."""
    if due_at is None or due_at > as_of_ms:
        return None
    if published_at is not None and published_at <= as_of_ms:
        return bool(published_at <= due_at + grace_ms)
    return None if as_of_ms <= due_at + grace_ms else False
