"""``notices.toml`` of a site's folder: its own words of notices over the shipped ones (R5)."""

import re
from dataclasses import replace
from pathlib import Path

from domain.errors import ConfigError, Mistake
from domain.notice_texts import NoticeTexts, parse_notice_texts, shipped_notice_texts
from store.site_folder.toml_file import TomlFile, read_toml

NOTICES_FILE = "notices.toml"
_FIELD = re.compile(r"unknown field ({[^}]*})")


def read_notice_texts(folder: Path, mistakes: list[Mistake]) -> NoticeTexts:
    """The words of this site's notices; the shipped ones where it has no file, or (noted) one with mistakes."""
    path = folder / NOTICES_FILE
    if not path.exists():
        return shipped_notice_texts()
    try:
        file = read_toml(path, NOTICES_FILE)
    except ConfigError as error:
        mistakes.extend(error.mistakes)
        return shipped_notice_texts()
    try:
        return parse_notice_texts(file.document, NOTICES_FILE)
    except ConfigError as error:
        mistakes.extend(_located(file, mistake) for mistake in error.mistakes)
    return shipped_notice_texts()


def _located(file: TomlFile, mistake: Mistake) -> Mistake:
    """With the line of its key; of an unknown field the very line it stands on, where the text goes over several."""
    found = file.located(mistake)
    field = _FIELD.match(mistake.remedy)
    if field is None or found.line is None:
        return found
    lines = file.content.decode("utf-8-sig", "replace").splitlines()
    there = next((number for number in range(found.line, len(lines) + 1) if field[1] in lines[number - 1]), found.line)
    return replace(found, line=there)
