"""A TOML file with the line of each of its keys, so that a mistake can name it."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from domain.errors import ConfigError, Mistake
from store.site_folder.encoding import decode, read_bytes

_PART = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEY = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_KEY})\s*\]")
_ENTRY = re.compile(rf"\s*({_KEY})\s*=")
# The keys of messages: version[0].schedule.residential."06:00-21:00"
_STEP = re.compile(r"""\[(\d+)\]|"([^"]*)"|'([^']*)'|([^.\[\]"']+)""")
_POSITION = re.compile(r"^(.*) \(at (?:line (\d+), column (\d+)|(end of document))\)$", re.DOTALL)

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class TomlFile:
    """A parsed TOML file. ``shown`` is its name in messages, ``lines`` the line of each key by its steps."""

    shown: str
    content: bytes
    document: dict[str, Any]
    lines: Mapping[Steps, int]

    def line(self, key: str) -> int | None:
        """The line of a key such as ``mqtt[0].url``, or of the innermost table around it that has a line."""
        steps: Steps = tuple(
            int(found[1]) if found[1] is not None else next(part for part in found.groups()[1:] if part is not None)
            for found in _STEP.finditer(key)
        )
        for length in range(len(steps), 0, -1):
            if steps[:length] in self.lines:
                return self.lines[steps[:length]]
        return None

    def located(self, mistake: Mistake) -> Mistake:
        """The mistake with the line of its key."""
        return mistake if mistake.line or mistake.key is None else replace(mistake, line=self.line(mistake.key))


def read_toml(path: Path, shown: str) -> TomlFile:
    """Reads a TOML file; ``shown`` is its name in messages.

    Raises ConfigError when it is missing, can't be read or decoded, or is no TOML, with line and column.
    """
    content = read_bytes(path, shown)
    text = decode(content, shown)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_mistake(str(error), text, shown)) from error
    return TomlFile(shown, content, document, _lines(text))


def _syntax_mistake(message: str, text: str, shown: str) -> Mistake:
    found = _POSITION.match(message)
    if found is None:
        return Mistake(shown, f"no valid TOML: {message}")
    line = int(found[2]) if found[2] else text.count("\n") + 1
    where = f"column {found[3]}" if found[3] else "end of file"
    written = text.splitlines()[line - 1].strip() if line <= len(text.splitlines()) else ""
    return Mistake(shown, f"no valid TOML: {found[1]}", line=line, key=where, value=written or None)


def _lines(text: str) -> dict[Steps, int]:
    """The line of each table header and each ``key =``, by the steps that lead to it."""
    lines: dict[Steps, int] = {}
    counts: dict[Steps, int] = {}
    table: Steps = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        entry = None if header else _ENTRY.match(line)
        if header:
            table = _resolved(_parts(header[2]), counts, opens_item=header[1] == "[[")
            lines.setdefault(table, number)
        elif entry:
            lines.setdefault(table + _parts(entry[1]), number)
    return lines


def _parts(key: str) -> Steps:
    return tuple(part.strip("\"'") for part in re.findall(_PART, key))


def _resolved(names: Steps, counts: dict[Steps, int], *, opens_item: bool) -> Steps:
    """The steps of a header's names: each name of a list of tables is followed by the index of its last item."""
    steps: Steps = ()
    for position, name in enumerate(names):
        steps += (name,)
        if opens_item and position == len(names) - 1:
            counts[steps] = counts.get(steps, 0) + 1
        if steps in counts:
            steps += (counts[steps] - 1,)
    return steps
