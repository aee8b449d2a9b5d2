"""The report as a PDF: a page with the indicators, then the tables, numbered pages.

Chinese is set in a TrueType font of the system, embedded, so that every reader shows it (``apt install fonts-wqy-microhei``); where there
is none, in the standard font STSong-Light, which the reader must have.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax import saxutils

from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT, TA_RIGHT
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from dashboard.report.tables import SECTIONS, Section, facts, shown

STANDARD = "STSong-Light"
EMBEDDED = ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc")
FONT_FILE = next((path for path in EMBEDDED if Path(path).is_file()), None)
FONT = STANDARD if FONT_FILE is None else "Chinese"
PAGE = landscape(A4)
MARGIN = 14 * mm
WIDE = PAGE[0] - 2 * MARGIN
RUST, PALE, LINE, GREY = colors.HexColor("#9A2A12"), colors.HexColor("#F8EDE8"), colors.HexColor("#DDD2CC"), colors.HexColor("#666666")


def _style(size: float, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(f"s{size}{sorted(more)}", fontName=FONT, fontSize=size, leading=size * 1.45, wordWrap="CJK", **more)


TITLE = _style(22, textColor=RUST)
HEADING = _style(13, textColor=RUST, spaceBefore=7 * mm, spaceAfter=2 * mm, keepWithNext=1)
NOTE = _style(8, textColor=GREY, spaceAfter=1.5 * mm, keepWithNext=1)
TEXT = _style(8.5, alignment=TA_LEFT)
NUMBER = _style(8.5, alignment=TA_RIGHT)
HEAD = _style(8.5, textColor=RUST)
HEAD_NUMBER = _style(8.5, textColor=RUST, alignment=TA_RIGHT)
SMALL = _style(8, textColor=GREY)
BIG = _style(20, textColor=colors.black)


def escape(text: str) -> str:
    """As a paragraph takes it; the font has no ℃ in one character."""
    return saxutils.escape(text.replace("℃", "°C"))


def as_pdf(document: Mapping[str, Any]) -> bytes:
    """The PDF; its bytes depend on the document alone."""
    # Anew for every document: an embedded font remembers which of its characters were used.
    pdfmetrics.registerFont(UnicodeCIDFont(STANDARD) if FONT_FILE is None else TTFont(FONT, FONT_FILE))
    head = document["report"]
    title = f"{head['site']} 供热质量报告 {head['period']}"
    content = io.BytesIO()
    pages = SimpleDocTemplate(
        content, pagesize=PAGE, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=16 * mm,
        title=title, author=head["software"], invariant=1,
    )  # fmt: skip

    def foot(canvas: Any, _: Any) -> None:
        canvas.setFont(FONT, 8)
        canvas.setFillColor(GREY)
        canvas.drawString(MARGIN, 9 * mm, f"{title}　输入 {head['inputs_sha256'][:16]}　{head['software']}")
        canvas.drawRightString(PAGE[0] - MARGIN, 9 * mm, f"第 {canvas.getPageNumber()} 页")

    story: list[Flowable] = [
        Paragraph(escape(head["site"]), SMALL),
        Paragraph(f"供热质量报告　{escape(head['period'])}", TITLE),
        Spacer(1, 5 * mm),
    ]
    story += [_tiles(document), Spacer(1, 5 * mm), _facts(document)]
    for section in SECTIONS:
        if not section.detail and not (section.optional and not section.rows(document)):
            story += _section(section, document)
    pages.build(story, onFirstPage=foot, onLaterPages=foot)
    return content.getvalue()


def _tiles(document: Mapping[str, Any]) -> Table:
    """The indicators at a glance."""
    rows = document["indicators"]
    cells = [
        [
            Paragraph(row["name_zh"], SMALL),
            Paragraph(shown(row["rate"], "rate"), BIG),
            Paragraph(f"{shown(row['numerator'], 'number1')} / {shown(row['denominator'], 'number1')}", SMALL),
            Paragraph(f"覆盖率 {shown(row['coverage'], 'rate')}", SMALL),
        ]
        for row in rows
    ]
    table = Table([cells], colWidths=[WIDE / len(rows)] * len(rows))
    padding = [(f"{side}PADDING", (0, 0), (-1, -1), 7) for side in ("TOP", "BOTTOM", "LEFT")]
    table.setStyle(TableStyle([("BACKGROUND", (0, 0), (-1, -1), PALE), ("INNERGRID", (0, 0), (-1, -1), 3, colors.white), *padding]))
    return table


def _facts(document: Mapping[str, Any]) -> Table:
    rows = [[Paragraph(name, SMALL), Paragraph(escape(said), TEXT)] for name, said in facts(document)]
    table = Table(rows, colWidths=[34 * mm, WIDE - 34 * mm])
    lines = [("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE), ("TOPPADDING", (0, 0), (-1, -1), 2), ("BOTTOMPADDING", (0, 0), (-1, -1), 2)]
    table.setStyle(TableStyle(lines))
    return table


def _section(section: Section, document: Mapping[str, Any]) -> list[Flowable]:
    rows = section.rows(document)
    parts: list[Flowable] = [Paragraph(section.title, HEADING)]
    if section.note:
        parts.append(Paragraph(escape(section.note), NOTE))
    if not rows:
        return [*parts, Paragraph("本期间没有记录", TEXT)]
    numeric = [column.kind in ("count", "number", "number1", "rate") for column in section.columns]
    lines = [
        [Paragraph(escape(column.head), HEAD_NUMBER if right else HEAD) for column, right in zip(section.columns, numeric, strict=True)]
    ]
    for row in rows:
        cells = zip(section.columns, numeric, strict=True)
        lines.append([Paragraph(escape(shown(column.value(row), column.kind)), NUMBER if right else TEXT) for column, right in cells])
    whole = sum(column.width for column in section.columns)
    table = LongTable(lines, colWidths=[WIDE * column.width / whole for column in section.columns], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, 0), PALE),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ]
        )
    )
    return [*parts, table]
