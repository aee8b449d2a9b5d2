"""An audit as JSON, CSV, a workbook or a table in the terminal."""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from compliance.audit import Audit, Figure, Figures
from domain.clock import iso

if TYPE_CHECKING:
    from rich.table import Table

Kind = Literal["text", "s", "c", "kh", "n", "rate"]  # s: seconds, c: ℃, kh: K·h, n: a count


class Column(NamedTuple):
    """One figure as people see it: its key in the contract, Chinese and English name, kind."""

    key: str
    zh: str
    en: str
    kind: Kind


ROOM = (
    Column("room_id", "房间", "room", "text"),
    Column("building_id", "楼栋", "building", "text"),
    Column("station_id", "换热站", "station", "text"),
)
SUMS = (
    Column("judged_s", "应判时长", "judged", "s"),
    Column("compliant_s", "合格时长", "compliant", "s"),
    Column("breach_s", "不合格时长", "breach", "s"),
    Column("unknown_s", "未知时长", "unknown", "s"),
    Column("breach_day_s", "白天不合格", "breach by day", "s"),
    Column("breach_night_s", "夜间不合格", "breach by night", "s"),
    Column("deficit_kh", "欠温", "deficit", "kh"),
)
EXTREMES = (
    Column("longest_breach_s", "最长不合格", "longest breach", "s"),
    Column("min_c", "最低", "lowest", "c"),
    Column("max_c", "最高", "highest", "c"),
    Column("mean_c", "平均", "mean", "c"),
)
RATES = (
    Column("readings", "读数", "readings", "n"),
    Column("readings_breach", "低温读数", "readings below", "n"),
    Column("compliance_rate", "合格率", "compliance", "rate"),
    Column("coverage", "覆盖率", "coverage", "rate"),
)
HOUSEHOLDS = (
    Column("rooms", "房间数", "rooms", "n"),
    Column("rooms_known", "有效房间", "rooms known", "n"),
    Column("rooms_without_breach", "无低温房间", "rooms without breach", "n"),
    Column("households_rate", "室温合格率", "households", "rate"),
)
ROOM_COLUMNS = ROOM + SUMS + EXTREMES + RATES
GROUP_COLUMNS = SUMS + RATES + HOUSEHOLDS
KEYS = {
    "building": Column("key", "楼栋", "building", "text"),
    "station": Column("key", "换热站", "station", "text"),
    "day": Column("key", "日期", "day", "text"),
}
TABLE_LEAVES_OUT = {"breach_day_s", "breach_night_s", "readings", "readings_breach", "rooms"}
FIRST_TO_GO = (
    *("max_c", "mean_c", "judged_s", "compliant_s", "rooms_known", "rooms_without_breach", "longest_breach_s"),
    *("station_id", "building_id", "deficit_kh", "min_c"),
)
UNITS: dict[Kind, tuple[str, str]] = {"s": ("秒", "s"), "c": ("℃", "℃"), "kh": ("K·h", "K·h")}


def as_json(audit: Audit) -> bytes:
    """The contract's document."""
    import orjson

    return orjson.dumps(audit.document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def as_csv(audit: Audit) -> bytes:
    """One row per room, or per group where groups were asked for; the columns are the contract's keys."""
    rows = audit.rooms if audit.groups is None else audit.groups
    columns = ROOM_COLUMNS if audit.groups is None else (KEYS["day"], *GROUP_COLUMNS)
    text = io.StringIO()
    writer = csv.DictWriter(text, [column.key for column in columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_xlsx(audit: Audit, by: str) -> bytes:
    """A workbook: rooms, groups where they were asked for, totals."""
    import xlsxwriter

    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        _sheet(book, "房间", ROOM_COLUMNS, audit.rooms)
        if audit.groups is not None:
            _sheet(book, f"按{KEYS[by].zh}", (KEYS[by], *GROUP_COLUMNS), audit.groups)
        _summary_sheet(book, audit)
    return content.getvalue()


def _sheet(book: Any, name: str, columns: Sequence[Column], rows: Sequence[Figures]) -> None:
    sheet = book.add_worksheet(name)
    head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
    formats = {kind: book.add_format({"num_format": code}) for kind, code in _NUMBER_FORMATS.items()}
    sheet.freeze_panes(1, 1)
    for position, column in enumerate(columns):
        sheet.write_string(0, position, _head(column, "zh"), head)
        texts = [str(row[column.key]) for row in rows[:1000] if row[column.key] is not None]
        widest = max((_width(text) for text in texts), default=0) if column.kind == "text" else 11
        sheet.set_column(position, position, min(40, max(_width(column.zh) + 2, widest + 2)))
        for line, row in enumerate(rows, start=1):
            _write(sheet, line, position, row[column.key], formats.get(column.kind))
    if rows:
        sheet.autofilter(0, 0, len(rows), len(columns) - 1)


_NUMBER_FORMATS: dict[Kind, str] = {"s": "#,##0.###", "c": "0.00", "kh": "#,##0.00", "n": "#,##0", "rate": "0.00%"}


def _write(sheet: Any, line: int, position: int, value: Figure, form: Any) -> None:
    """Text stays text, whatever a spreadsheet could take it for; nothing is left empty."""
    if isinstance(value, str):
        sheet.write_string(line, position, value)
    elif value is not None:
        sheet.write_number(line, position, value, form)


def _summary_sheet(book: Any, audit: Audit) -> None:
    sheet = book.add_worksheet("合计")
    head = book.add_format({"bold": True, "bottom": 1})
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 44)
    sheet.freeze_panes(1, 0)
    sheet.write_string(0, 0, "项目", head)
    sheet.write_string(0, 1, "数值", head)
    facts = (("政策", audit.policy.name), ("政策 SHA-256", audit.policy.sha256), *_period(audit, "开始", "结束"))
    for line, (name, value) in enumerate(facts, start=1):
        sheet.write_string(line, 0, name)
        sheet.write_string(line, 1, value)
    for line, column in enumerate(GROUP_COLUMNS, start=len(facts) + 1):
        sheet.write_string(line, 0, _head(column, "zh"))
        form = book.add_format({"num_format": _NUMBER_FORMATS[column.kind], "align": "left"})
        _write(sheet, line, 1, audit.totals[column.key], form)


def _period(audit: Audit, start: str, end: str) -> tuple[tuple[str, str], tuple[str, str]]:
    instants = (audit.from_ms, audit.to_ms)
    texts = ["–" if instant is None else iso(instant, audit.zone) for instant in instants]
    return (start, texts[0]), (end, texts[1])


def _head(column: Column, language: str) -> str:
    name = column.zh if language == "zh" else column.en
    unit = UNITS.get(column.kind)
    return name if unit is None else f"{name}（{unit[0]}）" if language == "zh" else f"{name} {unit[1]}"


def _width(text: str) -> int:
    """Columns that a text takes: Chinese characters take two."""
    return sum(2 if ord(character) > 0x2E80 else 1 for character in text)


def as_table(audit: Audit, by: str, width: int | None) -> str:
    """A table for the terminal of this width; None is plain text as wide as it needs to be (a pipe, a file).

    A narrow terminal gets fewer columns, never cut ones.
    """
    from rich.console import Console

    rows = audit.rooms if audit.groups is None else audit.groups
    wanted = ROOM_COLUMNS if audit.groups is None else (KEYS[by], *GROUP_COLUMNS)
    columns = [column for column in wanted if column.key not in TABLE_LEAVES_OUT and _told(column, rows)]
    text = io.StringIO()
    console = Console(file=text, width=1000, color_system=None, highlight=False, emoji=False, markup=False)
    table = _table(columns, rows, audit.totals)
    for key in FIRST_TO_GO:
        if width is None or console.measure(table).maximum <= width:
            break
        columns = [column for column in columns if column.key != key]
        table = _table(columns, rows, audit.totals)
    console.print(table)
    console.print(_closing_lines(audit), soft_wrap=True)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _table(columns: Sequence[Column], rows: Sequence[Figures], totals: Figures) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_footer=True, pad_edge=False)
    for position, column in enumerate(columns):
        total = "合计 total" if position == 0 else _shown(totals.get(column.key), column.kind)
        justify: Literal["left", "right"] = "left" if column.kind == "text" else "right"
        unit = {"s": " h", "c": " ℃", "kh": " K·h"}.get(column.kind, "")
        table.add_column(f"{column.zh}{unit}\n{column.en}", footer=total, justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*(_shown(row[column.key], column.kind) for column in columns))
    return table


def _told(column: Column, rows: Sequence[Figures]) -> bool:
    """Whether a column says anything: buildings and stations may not be known at all."""
    return column.kind != "text" or column.key in ("room_id", "key") or any(row[column.key] is not None for row in rows)


def _shown(value: Figure, kind: Kind) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return "".join(character if character.isprintable() else "�" for character in value)  # an id may hold a terminal's commands
    if kind == "rate":
        text = f"{value:.1%}"
        return "99.9%" if text == "100.0%" and value < 1 else text
    return {"s": f"{value / 3600:,.2f}", "kh": f"{value:,.2f}", "c": f"{value:.2f}"}.get(kind, f"{value:,}")


def _closing_lines(audit: Audit) -> str:
    (_, start), (_, end) = _period(audit, "", "")
    totals = audit.totals
    households = f"{totals['rooms_without_breach']}/{totals['rooms_known']} = {_shown(totals['households_rate'], 'rate')}"
    return (
        f"期间 period: {start} – {end}\n"
        f"政策 policy: {audit.policy.name} ({audit.policy.sha256[:12]})\n"
        f"室温合格率 households without breach: {households} (覆盖率 coverage ≥ 50% 的房间 rooms, {totals['rooms']} in all)"
    )
