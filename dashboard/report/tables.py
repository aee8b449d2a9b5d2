"""The report's tables as people read them: titles, columns and cells in Chinese, the same in the workbook and in the PDF."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dashboard.text import speech
from dashboard.words import CAUSE, COMPLAINT_CATEGORY, COMPLAINT_CAUSE, ORIGIN, name_of

Kind = Literal["text", "count", "number", "number1", "rate", "time"]
_say = speech("zh")


@dataclass(frozen=True)
class Column:
    """One column: its key in the document's rows, its head, how a value is shown, its width as a share, and what its words mean."""

    key: str
    head: str
    kind: Kind = "text"
    width: float = 1.0
    words: Callable[[Any], str] | None = None

    def value(self, row: Mapping[str, Any]) -> Any:
        """The cell: a number as it is, a text in its words, None where nothing is known."""
        value = row.get(self.key)
        return self.words(value) if self.words and value is not None else value


@dataclass(frozen=True)
class Section:
    """A table of the document: ``rows`` gives its rows; ``note`` says what counts.

    ``detail`` ones stand in the workbook only, ``optional`` ones only where they have rows.
    """

    title: str
    columns: tuple[Column, ...]
    rows: Callable[[Mapping[str, Any]], Sequence[Mapping[str, Any]]]
    note: str = ""
    detail: bool = False
    optional: bool = False


def _word(table: Mapping[str, str]) -> Callable[[Any], str]:
    return lambda key: _say(name_of(table, str(key))) if key else "未查明"


def _subject(value: str, names: Mapping[str, str]) -> str:
    kind, _, one = value.partition("/")
    return {"station": f"{one} {names.get(one) or '换热站'}", "source": f"热源 {one}"}.get(kind, value)


def _months(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    if len(document["months"]) < 2:
        return []
    return [{"month": month["month"], **row} for month in document["months"] for row in month["indicators"]]


def _outages(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = {row["station_id"]: row["name"] for row in document["stations"]}
    return [
        {**row, "subject": _subject(row["subject"], names), "stations": "、".join(row["stations"]), "kept": _kept(row)}
        for row in document["outages"]
    ]


def _kept(row: Mapping[str, Any]) -> str:
    if row["kept"] is None:
        if row["part_of_source"]:
            return "随热源"
        return "不需" if row["notice_due_at"] is None and row["ended_at"] is not None else "未到时"
    return "按时" if row["kept"] else "超时"


_INDICATOR = (
    Column("name_zh", "指标", width=1.5),
    Column("numerator", "分子", "number1"),
    Column("denominator", "分母", "number1"),
    Column("rate", "数值", "rate"),
    Column("coverage", "覆盖率", "rate"),
)
SECTIONS: tuple[Section, ...] = (
    Section(
        "考核指标",
        (*_INDICATOR, Column("rule_zh", "口径", width=3.6)),
        lambda document: document["indicators"],
        "用户指标只计用户投诉，不计传感器自动生成的投诉；未知时间既不算达标也不算不达标。",
    ),
    Section("分月指标", (Column("month", "月份"), *_INDICATOR), _months, optional=True),
    Section(
        "室温最差楼栋",
        (
            Column("building_id", "楼栋", width=1.1),
            Column("name", "名称", width=1.9),
            Column("station_id", "换热站", width=0.8),
            Column("rooms", "房间", "count", 0.6),
            Column("rooms_known", "已知", "count", 0.6),
            Column("rooms_without_breach", "无不达标", "count", 0.8),
            Column("compliance_rate", "时间合格率", "rate", 1.0),
            Column("coverage", "覆盖率", "rate", 0.9),
            Column("breach_h", "不达标 h", "number1", 0.9),
            Column("deficit_kh", "欠温 K·h", "number1", 0.9),
            Column("min_c", "最低 ℃", "number", 0.8),
        ),
        lambda document: document["worst_buildings"],
        "按每个房间的欠温（低于限值的度数 × 小时）排序，最多 20 栋。",
    ),
    Section(
        "停热登记",
        (
            Column("subject", "对象", width=1.9),
            Column("cause", "原因", width=1.1, words=_word(CAUSE)),
            Column("started_at", "开始", "time", 1.35),
            Column("started_earliest", "最早开始", "time", 1.35),
            Column("ended_at", "恢复", "time", 1.35),
            Column("lasted_h", "历时 h", "number1", 0.7),
            Column("households", "户数", "count", 0.6),
            Column("notice_due_at", "应通告", "time", 1.35),
            Column("notice_published_at", "已通告", "time", 1.35),
            Column("kept", "通告", width=0.8),
        ),
        _outages,
        "通告义务自最早开始起算，报表时长自开始起算。热源停热的通告覆盖其所属换热站。",
    ),
    Section(
        "供热曲线与失水",
        (
            Column("station_id", "换热站", width=0.8),
            Column("name", "名称", width=1.7),
            Column("adherence", "曲线执行率", "rate", 1.0),
            Column("off_curve_h", "偏离 h", "number1", 0.8),
            Column("off_degree_min", "偏离 K·min", "number1", 1.1),
            Column("curve_coverage", "覆盖率", "rate", 0.9),
            Column("makeup_m3", "补水 m³", "number1", 0.9),
            Column("circulation_m3", "循环 m³", "number1", 1.1),
            Column("water_loss_rate", "失水率", "rate", 0.9),
            Column("water_high_h", "超 1% h", "number1", 0.8),
            Column("water_coverage", "覆盖率", "rate", 0.9),
        ),
        lambda document: document["stations"],
        "供水温度与备案曲线目标相差不超过 2 K 为执行；只计供热且数据有效的时间。",
    ),
    Section(
        "投诉来源",
        (
            Column("origin", "来源", words=_word(ORIGIN)),
            Column("category", "类别", words=_word(COMPLAINT_CATEGORY)),
            Column("complaints", "件数", "count"),
            Column("closed", "办结", "count"),
            Column("worked_on", "处理中", "count"),
            Column("merged", "合并", "count"),
        ),
        lambda document: document["complaints"],
    ),
    Section(
        "投诉原因",
        (
            Column("origin", "来源", words=_word(ORIGIN)),
            Column("cause", "查明的原因", words=_word(COMPLAINT_CAUSE)),
            Column("complaints", "件数", "count"),
        ),
        lambda document: document["causes"],
    ),
    Section(
        "时限执行",
        (
            Column("name_zh", "时限", width=2.6),
            Column("origin", "来源", words=_word(ORIGIN)),
            Column("owed", "应做", "count"),
            Column("kept", "按时", "count"),
            Column("missed", "超时", "count"),
            Column("running", "未到时", "count"),
            Column("rate", "按时率", "rate"),
        ),
        lambda document: document["duties"],
    ),
    Section(
        "曲线与失水（按日）",
        (
            Column("day", "日期"),
            Column("station_id", "换热站"),
            Column("on_curve_min", "执行 min", "number1"),
            Column("off_curve_min", "偏离 min", "number1"),
            Column("off_degree_min", "偏离 K·min", "number1"),
            Column("makeup_m3", "补水 m³", "number"),
            Column("circulation_m3", "循环 m³", "number1"),
        ),
        lambda document: document["station_days"],
        detail=True,
    ),
)


def facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the report is about and what it rests on."""
    head, rooms = document["report"], document["rooms"]
    policy = head["policy"]
    return [
        ("单位", head["site"]),
        *([("区域", str(head["area"]).partition("/")[2])] if head["area"] else []),
        ("期间", f"{short(head['from'])} 至 {short(head['to'])}（不含）"),
        ("数据截至", short(head["as_of"]) + ("" if head["complete"] else "　期间或其回访期尚未结束，数据不完整")),
        ("测温房间", f"{rooms['rooms']} 个，其中覆盖率不低于 50% 的 {rooms['rooms_known']} 个"),
        ("政策", f"{policy['name']}（{policy['valid_from']} 起，时限表 {policy['deadlines']}）"),
        ("政策 SHA-256", policy["sha256"]),
        ("输入数据 SHA-256", head["inputs_sha256"]),
        ("测温记录链", f"{head['visits']['count']} 条，末条哈希 {head['visits']['head']}"),
        ("软件", head["software"]),
        ("生成时间", short(head["created_at"])),
    ]


def short(instant: str | None) -> str:
    """An ISO instant as local day and minute."""
    return "–" if instant is None else instant[:16].replace("T", " ")


def shown(value: Any, kind: Kind) -> str:
    """A cell as text; an unknown one is a dash, and what is not all is never 100 %."""
    if value is None:
        return "–"
    if kind == "rate":
        text = f"{value:.2%}"
        return "99.99%" if text == "100.00%" and value < 1 else text
    if kind == "time":
        return short(str(value))
    if kind in ("number", "number1"):
        decimals = 0 if isinstance(value, int) else 2 if kind == "number" else 1
        return f"{value:,.{decimals}f}"
    return f"{value:,}" if kind == "count" else str(value)
