"""The report as a workbook: a cover, then a sheet for each table."""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dashboard.report.tables import SECTIONS, Section, facts, short

FORMATS = {"text": {}, "count": "#,##0", "number": "#,##0.00", "number1": "#,##0.0", "rate": "0.00%", "time": {}}


def as_xlsx(document: Mapping[str, Any]) -> bytes:
    """The workbook; its bytes depend on the document alone."""
    import xlsxwriter

    content = io.BytesIO()
    head = document["report"]
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        created = datetime.fromisoformat(head["created_at"]).replace(tzinfo=None)
        book.set_properties({"title": f"{head['site']} 供热质量报告 {head['period']}", "author": head["software"], "created": created})
        base = {"font_name": "Microsoft YaHei", "font_size": 10, "valign": "vcenter"}
        _cover(book, document, base)
        for section in SECTIONS:
            if section.optional and not section.rows(document):
                continue
            _sheet(book, section, document, base)
    return content.getvalue()


def _cover(book: Any, document: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    sheet = book.add_worksheet("封面")
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, 1, 78)
    head = document["report"]
    title = book.add_format({**base, "bold": True, "font_size": 18, "font_color": "#9A2A12"})
    name = book.add_format({**base, "font_color": "#666666", "bottom": 4, "bottom_color": "#CCCCCC"})
    value = book.add_format({**base, "text_wrap": True, "bottom": 4, "bottom_color": "#CCCCCC"})
    sheet.set_row(0, 36)
    sheet.write_string(0, 0, f"供热质量报告　{head['period']}", title)
    for line, (what, said) in enumerate(facts(document), start=2):
        sheet.write_string(line, 0, what, name)
        sheet.write_string(line, 1, said, value)


def _sheet(book: Any, section: Section, document: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    sheet = book.add_worksheet(section.title)
    line = 0
    if section.note:
        sheet.write_string(0, 0, section.note, book.add_format({**base, "font_color": "#666666", "italic": True}))
        line = 1
    head = book.add_format({**base, "bold": True, "bg_color": "#F4E3DC", "bottom": 1, "text_wrap": True, "align": "center"})
    forms = {kind: book.add_format({**base, **({"num_format": code} if isinstance(code, str) else {})}) for kind, code in FORMATS.items()}
    rows = section.rows(document)
    for position, column in enumerate(section.columns):
        sheet.write_string(line, position, column.head, head)
        texts = [_width(_text(column.value(row), column.kind)) for row in rows[:500]]
        sheet.set_column(position, position, min(70, max([_width(column.head) + 4, *(width + 3 for width in texts)])))
        for below, row in enumerate(rows, start=line + 1):
            _write(sheet, below, position, column.value(row), column.kind, forms)
    sheet.freeze_panes(line + 1, 1)
    if rows:
        sheet.autofilter(line, 0, line + len(rows), len(section.columns) - 1)
    else:
        sheet.write_string(line + 1, 0, "本期间没有记录", forms["text"])
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(line)


def _write(sheet: Any, line: int, position: int, value: Any, kind: str, forms: Mapping[str, Any]) -> None:
    """Numbers stay numbers, text stays text whatever a spreadsheet could take it for; what is not known is left empty."""
    if value is None:
        sheet.write_blank(line, position, None, forms["text"])
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        sheet.write_number(line, position, value, forms["count" if isinstance(value, int) and kind != "rate" else kind])
    else:
        sheet.write_string(line, position, _text(value, kind), forms["text"])


def _text(value: Any, kind: str) -> str:
    return "" if value is None else short(str(value)) if kind == "time" else str(value)


def _width(text: str) -> int:
    """Columns that a text takes: Chinese characters take two."""
    return sum(2 if ord(character) > 0x2E80 else 1 for character in text)
