"""The report's document as a file: JSON, a workbook, a PDF."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from dashboard.report.pdf import as_pdf
from dashboard.report.xlsx import as_xlsx

Document = Mapping[str, Any]


def as_json(document: Document) -> bytes:
    """The document itself."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


WRITERS: Mapping[str, Callable[[Document], bytes]] = {"json": as_json, "xlsx": as_xlsx, "pdf": as_pdf}
