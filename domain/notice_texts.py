"""The words of notices (停热通告, R5): templates in Chinese and English with fields in braces. A site overrides any of them.

notice_texts.toml (shipped) ─┐
notices.toml of the site ────┴─▶ NoticeTexts ─▶ compliance.notice_text fills them in
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from string import Formatter
from typing import Any, Final

from domain.errors import ConfigError, Mistake

LANGUAGES: Final = ("zh", "en")
# What R5 has every notice name, and what may stand beside it.
NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "outage": ("stations", "places", "households", "start", "cause", "measures", "expected", "hotline"),
    "planned": ("stations", "places", "households", "start", "end", "cause", "measures", "hotline"),
}
FREE: Final[Mapping[str, tuple[str, ...]]] = {"outage": ("site", "area", "earliest", "remark"), "planned": ("site", "area", "remark")}
# What staff are told (R5, R7), and what may stand in it.
TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "detected": ("site", "subject", "due", "time"),
    "warning": ("site", "subject", "hours", "due", "time"),
    "overdue": ("site", "subject", "duty", "time"),
}
CLOSINGS: Final = ("restored", "season_ended", "correction", "superseded", "planned_over", "called_off")


@dataclass(frozen=True)
class NoticeTexts:
    """All templates by their key in the file, such as ``outage.title_zh`` or ``part.hotline.without_en``."""

    templates: Mapping[str, str]

    def said(self, table: str, key: str, zh: Mapping[str, str], en: Mapping[str, str]) -> tuple[str, str]:
        """A template filled in, in Chinese and in English; ``key`` is without its language, empty for ``zh`` and ``en`` themselves."""
        in_zh, in_en = (self.templates[f"{table}.{key}_{language}" if key else f"{table}.{language}"] for language in LANGUAGES)
        return in_zh.format_map(zh), in_en.format_map(en)

    def part(self, name: str, zh: Mapping[str, str], en: Mapping[str, str]) -> tuple[str, str]:
        """How a notice says one of its parts, ``hotline`` say; what it says without it where the value is empty."""
        known = zh["measures" if name == "preparation" else name]
        return self.said(f"part.{name}", "" if known else "without", zh, en)


@lru_cache(maxsize=1)
def shipped_notice_texts() -> NoticeTexts:
    """The words that come with Keepwarm."""
    return NoticeTexts({f"{table}{key}": text for table, key, text in _entries(tomllib.loads(shipped_file()))})


def shipped_file() -> str:
    """The shipped file itself: every template with its comments."""
    return files("domain").joinpath("notice_texts.toml").read_text(encoding="utf-8")


def parse_notice_texts(document: Mapping[str, Any], shown: str) -> NoticeTexts:
    """The shipped templates with those of a site's document over them. Raises ConfigError with every mistake; ``shown`` names the file."""
    shipped = shipped_notice_texts().templates
    own: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for table, key, text in _entries(document):
        name = f"{table}{key}"
        if name not in shipped:
            mistakes.append(Mistake(shown, f"no text of a notice; {_known_in(table, shipped)}", key=name))
        elif not isinstance(text, str):
            mistakes.append(Mistake(shown, "a text in quotes", key=name, value=str(text)))
        else:
            fault = template_fault(name, text)
            if fault:
                mistakes.append(Mistake(shown, fault, key=name))
            own[name] = text
    if not mistakes:
        mistakes = list(_left_out(own, {**shipped, **own}, shown))
    if mistakes:
        raise ConfigError(*mistakes)
    return NoticeTexts({**shipped, **own})


def allowed_fields(name: str) -> tuple[str, ...]:
    """What may stand in braces in a template, by its key with the language: ``outage.text_zh``, ``part.hotline.zh``."""
    table, _, key = name.rpartition(".")
    if table in NAMED:
        return (*NAMED[table], *FREE[table])
    if table in TOLD:
        return TOLD[table]
    if table == "amended":
        return ("title",)
    if table in CLOSINGS:
        return ("time",) if key.startswith("text") else ()
    if table.startswith("part.") and not key.startswith("without"):
        part = table.removeprefix("part.")
        return ("measures",) if part == "preparation" else (part,)
    return ()


def template_fault(name: str, text: str) -> str:
    """What is wrong with a template; empty when nothing is."""
    try:
        found = list(Formatter().parse(text))
    except ValueError:
        return "a { or } stands alone; a field is {name}, a brace of its own is written twice"
    allowed = allowed_fields(name)
    formed = [field for _, field, form, conversion in found if field is not None and (form or conversion)]
    if formed:
        return f"a field stands alone in its braces: {{{formed[0]}}}"
    unknown = [field for _, field, _, _ in found if field is not None and field not in allowed]
    if not unknown:
        return ""
    may = ", ".join(f"{{{field}}}" for field in allowed) or "no field"
    return f"unknown field {{{unknown[0]}}}; what may stand here: {may}"


def _left_out(own: Mapping[str, str], merged: Mapping[str, str], shown: str) -> Iterator[Mistake]:
    """What R5 has a notice name, and a changed template leaves out."""
    for table, named in NAMED.items():
        for language in LANGUAGES:
            changed = next((key for key in (f"{table}.text_{language}", f"{table}.title_{language}") if key in own), None)
            if changed is None:
                continue
            said = merged[f"{table}.title_{language}"] + merged[f"{table}.text_{language}"]
            fields = {field for _, field, _, _ in Formatter().parse(said)}
            missing = [field for field in named if field not in fields]
            if missing:
                lacking = ", ".join(f"{{{field}}}" for field in missing)
                yield Mistake(shown, f"leaves out {lacking}, which every notice names (R5)", key=changed)


def _entries(document: Mapping[str, Any], table: str = "") -> Iterator[tuple[str, str, Any]]:
    """(table with its dot, key, text) of every entry."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _entries(value, f"{table}{key}.")
        else:
            yield table, key, value


def _known_in(table: str, known: Mapping[str, str]) -> str:
    keys = [key.removeprefix(table) for key in known if key.startswith(table) and "." not in key.removeprefix(table)]
    if table and keys:
        return f"[{table.rstrip('.')}] has {', '.join(keys)}"
    return f"the tables are {', '.join(dict.fromkeys(key.rpartition('.')[0] for key in known))}"
