"""Tables of a TOML file, read into the dataclasses of the domain; every mistake is noted, none is raised."""

import math
import types
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from domain.errors import Mistake
from store.site_folder.secret_names import NAME_FORM, absolute_secret, is_secret_name
from store.site_folder.suggestion import nearest
from store.site_folder.toml_file import TomlFile

T = TypeVar("T")


class TomlTables:
    """The tables of one file, with the mistakes found in them."""

    def __init__(self, file: TomlFile, mistakes: list[Mistake]) -> None:
        self.file = file
        self.mistakes = mistakes

    def wrong(self, key: str, value: object, remedy: str) -> None:
        """Notes a mistake at a key; ``value`` None is not shown (nothing is there, or it is secret)."""
        shown = None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        self.mistakes.append(Mistake(self.file.shown, remedy, line=self.file.line(key), key=key, value=shown))

    def table(self, document: Mapping[str, Any], key: str) -> dict[str, Any]:
        """The table under this key, empty where there is none."""
        found = document.get(key, {})
        if isinstance(found, dict):
            return found
        self.wrong(key, found, f"a table, [{key}]")
        return {}

    def tables(self, document: Mapping[str, Any], key: str, where: str = "") -> list[tuple[str, dict[str, Any]]]:
        """The tables of a list of tables, each with its name in messages (``mqtt[0]``)."""
        found = document.get(key, [])
        if isinstance(found, list) and all(isinstance(item, dict) for item in found):
            return [(f"{where}{key}[{index}]", item) for index, item in enumerate(found)]
        self.wrong(f"{where}{key}", found, f"a list of tables, each begins with [[{key}]]")
        return []

    def secret(self, table: Mapping[str, Any], key: str, where: str, folder: Path) -> str:
        """The name of a secret under this key, a relative path made absolute against ``folder``; empty where there is none."""
        name = self.text(table, key, "", where) if isinstance(table.get(key, ""), str) else "?"
        if not name or is_secret_name(name):
            return absolute_secret(name, folder)
        self.wrong(f"{where}{key}", None, NAME_FORM)
        return ""

    def unknown(self, document: Mapping[str, Any], known: Collection[str], where: str = "") -> None:
        """Notes each key that is not known."""
        for key in document:
            if key not in known:
                self.wrong(f"{where}{key}", None, f"unknown key; {nearest(key, [word for word in known if word not in document] or known)}")

    def values(self, kind: type, document: Mapping[str, Any], where: str = "", leave: Collection[str] = ()) -> dict[str, Any] | None:
        """The arguments of a dataclass from the table's keys of the same names; fields in ``leave`` are read by others.

        None (noted) when one that is needed is missing or wrong; a wrong one that has a default is noted and left out.
        """
        hints = get_type_hints(kind)
        own = [field for field in fields(kind) if field.name not in leave]
        self.unknown(document, [field.name for field in own] + list(leave), where)
        found: dict[str, Any] = {}
        complete = True
        for field in own:
            needed = field.default is MISSING and field.default_factory is MISSING
            if field.name not in document:
                if needed:
                    self.wrong(f"{where}{field.name}", None, f"this key is missing: {described(hints[field.name])}")
                complete = complete and not needed
                continue
            value = converted(document[field.name], hints[field.name])
            if value is None:
                self.wrong(f"{where}{field.name}", document[field.name], described(hints[field.name]))
                complete = complete and not needed
            else:
                found[field.name] = value
        return found if complete else None

    def number(self, document: Mapping[str, Any], key: str, low: float, high: float, default: float, where: str = "") -> float:
        """A number above ``low`` and at most ``high``. ``default`` where there is none and (noted) for anything else."""
        found = document.get(key, default)
        if isinstance(found, (int, float)) and not isinstance(found, bool) and low < found <= high:
            return float(found)
        limit = "" if math.isinf(high) else f" and at most {high:g}"
        self.wrong(f"{where}{key}", found, f"a number above {low:g}{limit}")
        return default

    def text(self, document: Mapping[str, Any], key: str, default: str, where: str = "") -> str:
        """A text. ``default`` where there is none and (noted) for anything else."""
        found = document.get(key, default)
        if isinstance(found, str):
            return found
        self.wrong(f"{where}{key}", found, described(str))
        return default

    def choice(self, document: Mapping[str, Any], key: str, words: Collection[str], default: str, where: str = "") -> str:
        """One of these words. ``default`` where there is none and (noted) for anything else."""
        found = document.get(key, default)
        if isinstance(found, str) and found in words:
            return found
        self.wrong(f"{where}{key}", found, f"one of {', '.join(words)}")
        return default


def described(hint: Any) -> str:
    """What a value of this type is, in words."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(f'"{word}"' for word in get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return described(next(part for part in get_args(hint) if part is not type(None)))
    if get_origin(hint) is tuple:
        return f"a list, each item {described(get_args(hint)[0])}"
    names = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number"}
    return names.get(hint, "a table")


def converted(value: Any, hint: Any) -> Any:
    """The value as this type, None when it is not of it."""
    if get_origin(hint) is Literal:
        return value if value in get_args(hint) and not isinstance(value, bool) else None
    if get_origin(hint) in (Union, types.UnionType):
        return converted(value, next(part for part in get_args(hint) if part is not type(None)))
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            return None
        items = [converted(item, get_args(hint)[0]) for item in value]
        return None if any(item is None for item in items) else tuple(items)
    if isinstance(value, bool) or hint is bool:
        return value if isinstance(value, bool) and hint is bool else None
    if hint is float and isinstance(value, (int, float)):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, hint) else None
