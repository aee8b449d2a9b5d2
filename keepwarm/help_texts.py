"""``--help`` in the reader's language, with examples: Chinese where the locale is, else English.

arguments ─▶ the commands they name ─▶ help_zh.toml ─▶ texts and examples put into them, before click shows its page
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import click

ASKS = frozenset(("--help", "-h"))
ANYWHERE = "*"
ROOT = "keepwarm"


def chinese(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the locale is Chinese, as gettext finds it out."""
    named = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return next((value for value in named if value), "").lower().startswith("zh")


@cache
def texts() -> dict[str, dict[str, Any]]:
    """By the words of a command: ``zh``, ``examples``, and its options' Chinese."""
    return tomllib.loads(files("keepwarm").joinpath("help_zh.toml").read_text(encoding="utf-8"))


def explain(root: click.Group, arguments: Sequence[str]) -> None:
    """Puts texts and examples into the commands that these arguments name, where they ask for help."""
    if len(arguments) > 1 and not ASKS.intersection(arguments):
        return
    context, words, command = click.Context(root), list[str](), root
    _put(root, ROOT)
    for word in arguments:
        found = command.get_command(context, word)
        if found is None:
            return
        words.append(word)
        _put(found, " ".join(words))
        if not isinstance(found, click.Group):
            return
        command = found
        for name in command.list_commands(context):
            _put(command.get_command(context, name), " ".join((*words, name)))


def half_a_line(words: str) -> str | None:
    """What a command does, for a list of them; None where the locale is not Chinese."""
    return re.split("[：；。（]", texts()[words]["zh"])[0] if chinese() and words in texts() else None


def _put(command: click.Command | None, words: str) -> None:
    found = texts().get(words)
    if command is None or found is None:
        return
    title = "例：" if chinese() else "Examples:"
    command.epilog = "\n".join(("\b", title, *(f"  {example}" for example in found["examples"])))
    if not chinese():
        return
    command.help = command.short_help = found["zh"]
    asks = command.get_help_option(click.Context(command, help_option_names=["-h", "--help"]))
    for option in (*command.params, asks):
        if isinstance(option, click.Option) and not option.hidden:
            option.help = option_zh(words, option.opts[-1]) or option.help


def option_zh(words: str, option: str) -> str | None:
    """An option's Chinese: its command's own, else what it means everywhere."""
    found = texts()
    text = found.get(words, {}).get(option, found[ANYWHERE].get(option))
    return None if text is None else str(text)
