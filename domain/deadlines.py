"""The service deadlines of a policy (R7): which duty is owed within which time, counted from what, as data.

deadlines = "A" of a policy ──▶ deadlines/A.toml beside the policy, or the shipped one ──▶ DeadlineTable
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from domain.errors import ConfigError, Mistake

Unit = Literal["min", "h", "d", "workdays"]
UNITS: dict[str, Unit] = {"min": "min", "h": "h", "d": "d", "working days": "workdays"}
LENGTH_MS = {"min": 60_000, "h": 3_600_000, "d": 86_400_000}

# The duties of R7 with what each is called; a table may leave out any of them, and may not know others.
DUTIES = {
    "low_temperature_on_site": ("室温不达标：上门测温", "low room temperature: on site, measure, record"),
    "low_temperature_contact": ("室温不达标：电话联系", "low room temperature: contact"),
    "low_temperature_cured": ("室温不达标：处理完毕", "low room temperature: cured (company's cause)"),
    "leak_contact": ("跑冒滴漏：电话联系", "leak: contact"),
    "leak_on_site": ("跑冒滴漏：到达现场", "leak: on site"),
    "burst_repaired": ("管网爆漏、阀门损坏：抢修完毕", "pipe burst, valve broken, steam in the pit: repaired"),
    "burst_repaired_major": ("重大管网爆漏：抢修完毕", "major pipe burst: repaired"),
    "heat_stopped_on_site": ("不明原因停热：到达现场", "heat stopped, cause unknown: on site"),
    "heat_stopped_answered": ("不明原因停热：答复原因", "heat stopped, cause unknown: cause answered"),
    "slip_handed_over": ("投诉单：转交责任部门", "complaint slip to the department in charge"),
    "opinion_answered": ("处理意见：反馈调度室", "handling opinion to the dispatch room"),
    "complaint_verified": ("投诉：与投诉人核实", "complaint verified with the complainant"),
    "slip_filed": ("投诉单：返回归档", "slip returned and filed"),
    "call_back_complaint": ("投诉回访", "call-back after a complaint"),
    "call_back_repair": ("报修回访", "call-back after a repair"),
    "water_loss_handled": ("失水：处理", "make-up water loss handled"),
}
STARTS = ("reported", "resolved", "closed", "began")
TARGETS = ("contacted", "on_site", "resolved", "repaired", "answered", "handed_over", "verified", "filed", "done", "handled")


@dataclass(frozen=True)
class Within:
    """A length of time as the standards write it: minutes, hours, days of 24 h, or working days (the calendar is the caller's)."""

    amount: float
    unit: Unit

    def __str__(self) -> str:
        unit = {"workdays": "working days"}.get(self.unit, self.unit)
        return f"{self.amount:g} {unit}"

    def due_ms(self, start_ms: int, zone: ZoneInfo, is_working_day: Callable[[date], bool]) -> int:
        """The instant (UTC ms) at which a clock started at ``start_ms`` has run out.

        Working days are those after the local day of the start; the duty is owed by the end of the last of them.
        """
        if self.unit != "workdays":
            return start_ms + round(self.amount * LENGTH_MS[self.unit])
        day = datetime.fromtimestamp(start_ms / 1000, zone).date()
        left = round(self.amount)
        while left > 0:
            day += timedelta(days=1)
            left -= is_working_day(day)
        end = day + timedelta(days=1)
        return round(datetime(end.year, end.month, end.day, tzinfo=zone).timestamp()) * 1000


@dataclass(frozen=True)
class Deadline:
    """One duty of R7: from ``starts`` (reported, resolved, closed, began) until ``target`` within a length of time."""

    duty: str
    starts: str
    target: str
    within: Within

    @property
    def name_zh(self) -> str:
        """The duty as the standards call it."""
        return DUTIES[self.duty][0]

    @property
    def name_en(self) -> str:
        """The duty in English."""
        return DUTIES[self.duty][1]


@dataclass(frozen=True)
class DeadlineTable:
    """The deadlines of one profile, by duty in the order of its file; a duty that it does not name is not owed."""

    name: str
    duties: Mapping[str, Deadline]

    def within(self, duty: str) -> Within | None:
        """The length of time in which this duty is owed, None where the profile has no such duty."""
        found = self.duties.get(duty)
        return None if found is None else found.within


_WITHIN = re.compile(r"(\d+(?:\.\d+)?) (min|h|d|working days)")
_KEYS = ("duty", "starts", "target", "within")


def parse_deadlines(document: Mapping[str, Any], file: str) -> DeadlineTable:
    """The deadlines in a TOML document; ``file`` is its name for messages. Raises ConfigError with every mistake found."""
    mistakes: list[Mistake] = []

    def wrong(key: str, value: object, remedy: str) -> None:
        mistakes.append(Mistake(file, remedy, key=key, value=None if value is None else str(value)))

    for key in document.keys() - {"name", "duty"}:
        wrong(key, document[key], "no such key; a table of deadlines has name and [[duty]] tables")
    name, rows = document.get("name"), document.get("duty")
    if not isinstance(name, str) or not name:
        wrong("name", name, 'a table of deadlines needs a name, such as name = "A"')
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        wrong("duty", None, "a table of deadlines needs at least one [[duty]] table")
        rows = []
    duties: dict[str, Deadline] = {}
    for index, row in enumerate(rows):
        where = f"duty[{index}]"
        for key in row.keys() - set(_KEYS):
            wrong(f"{where}.{key}", row[key], f"no such key; a duty has {', '.join(_KEYS)}")
        duty, found = row.get("duty"), _WITHIN.fullmatch(str(row.get("within")))
        if duty not in DUTIES:
            wrong(f"{where}.duty", duty, f"one of {', '.join(DUTIES)}")
        elif duty in duties:
            wrong(f"{where}.duty", duty, "this duty stands in the table already; one time for each")
        for key, known in (("starts", STARTS), ("target", TARGETS)):
            if row.get(key) not in known:
                wrong(f"{where}.{key}", row.get(key), f"one of {', '.join(known)}")
        if found is None or float(found[1]) <= 0 or (found[2] == "working days" and "." in found[1]):
            wrong(f"{where}.within", row.get("within"), 'a time above 0, such as "30 min", "8 h", "3 d" or "5 working days"')
        else:
            duties[str(duty)] = Deadline(
                str(duty), str(row.get("starts")), str(row.get("target")), Within(float(found[1]), UNITS[found[2]])
            )
    if mistakes:
        raise ConfigError(*mistakes)
    return DeadlineTable(str(name), duties)
