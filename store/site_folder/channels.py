"""``site.toml``: the channels that messages go out by, and the templates of their JSON."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from domain.site import Channel
from store.site_folder.fields import TomlTables
from store.site_folder.secret_names import NAME_FORM

SENDS = ("notices", "warnings", "department_head", "manager")
LANGUAGES = ("zh", "en", "both")
TEMPLATE_NAMES = ("title", "text", "key")
_CHANNEL = ("name", "url", "sends", "language", "template")


def read_channels(tables: TomlTables, folder: Path) -> tuple[Channel, ...]:
    """Where messages go out, ``[[channel]]``."""
    channels: dict[str, Channel] = {}
    for where, table in tables.tables(tables.file.document, "channel"):
        tables.unknown(table, _CHANNEL, f"{where}.")
        name = tables.text(table, "name", "", f"{where}.")
        if not name or name in channels:
            tables.wrong(f"{where}.name", name or None, "a name of its own, which every delivery is recorded under")
        url = tables.secret(table, "url", f"{where}.", folder)
        if "url" not in table:
            tables.wrong(f"{where}.url", None, NAME_FORM)
        sends = table.get("sends", ["notices"])
        if not isinstance(sends, list) or not sends or set(map(str, sends)) - set(SENDS):
            tables.wrong(f"{where}.sends", sends, f"a list of what goes out: {', '.join(SENDS)}")
            sends = []
        language = tables.choice(table, "language", LANGUAGES, "both", f"{where}.")
        template = tables.text(table, "template", "", f"{where}.")
        if template:
            _check_template(tables, where, folder / template, template)
        channels[name] = Channel(name, url, tuple(map(str, sends)), language, str((folder / template).absolute()) if template else "")
    return tuple(channels.values())


def _check_template(tables: TomlTables, where: str, path: Path, name: str) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        tables.wrong(f"{where}.template", name, "no such file, or not UTF-8; it is the JSON that the gateway takes")
        return
    fault = template_fault(text)
    if fault:
        tables.wrong(f"{where}.template", name, fault)


def template_fault(text: str) -> str:
    """Why this can't be filled in to be JSON; empty when it can."""
    unknown = set(re.findall(r"{{\s*(\w+)\s*}}", text)) - set(TEMPLATE_NAMES)
    if unknown:
        return f"it names {', '.join(sorted(unknown))}; what is filled in is {', '.join(TEMPLATE_NAMES)}, each written {{{{ name }}}}"
    try:
        json.loads(filled(text, dict.fromkeys(TEMPLATE_NAMES, "x")))
    except ValueError:
        return "filled in, it is no JSON; strings stand in quotes around {{ text }}"
    return ""


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with its names filled in, as the inside of JSON strings."""
    return re.sub(r"{{\s*(\w+)\s*}}", lambda found: json.dumps(values[found[1]], ensure_ascii=False)[1:-1], template)
