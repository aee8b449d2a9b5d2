"""``--help``: complete in Chinese and in English, with examples that the command takes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dashboard.api.keys import SCOPES
from keepwarm import help_texts
from keepwarm import main as command
from tests.keepwarm.test_scripts import every_command

ROOT = Path(__file__).parents[2]
HAN = re.compile("[\u4e00-\u9fff]")
COMMANDS = {" ".join(words): found for words, found in every_command()}


def help_in(locale: str, *words: str) -> str:
    """What a process of its own shows in this locale."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": locale}
    line = [sys.executable, "-m", "keepwarm", *words, "--help"]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout


def options_of(found: click.Command) -> list[click.Option]:
    return [param for param in found.params if isinstance(param, click.Option) and not param.hidden]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_and_option_is_explained_in_both_languages(words: str) -> None:
    found = COMMANDS[words]
    assert found.help, "no English"
    assert HAN.search(help_texts.texts()[words]["zh"])
    for option in options_of(found):
        assert option.help, f"{option.opts[-1]}: no English"
        assert HAN.search(help_texts.option_zh(words, option.opts[-1]) or ""), f"{option.opts[-1]}: no Chinese"


@pytest.mark.parametrize("words", COMMANDS)
def test_examples_are_taken_by_the_command_they_stand_under(words: str) -> None:
    examples = help_texts.texts()[words]["examples"]
    assert examples
    for example in examples:
        said = shlex.split(example)[1:]
        assert " ".join(said).startswith(words)
        depth = max(len(name.split()) for name in COMMANDS if f"{' '.join(said)} ".startswith(f"{name} "))
        found = COMMANDS[" ".join(said[:depth])]
        found.make_context(" ".join(said[:depth]), said[depth:])  # raises for anything that the command would refuse


def test_nothing_is_explained_that_is_not_there() -> None:
    texts = help_texts.texts()
    assert texts.keys() - COMMANDS.keys() == {"*", "keepwarm"}
    for words, found in COMMANDS.items():
        named = {key for key in texts[words] if key.startswith("--")}
        assert named <= {option.opts[-1] for option in options_of(found)}, words
    used = {option.opts[-1] for found in COMMANDS.values() for option in options_of(found)}
    assert texts["*"].keys() - used == {"--help", "--version"}


def test_the_locale_decides() -> None:
    chinese, english = help_in("zh_CN.UTF-8", "audit"), help_in("C", "audit")
    assert "每个房间有多久达标" in chinese
    assert "显示本帮助后退出" in chinese
    assert "例：" in chinese
    assert "How long each room was warm enough" in english
    assert not HAN.search(english.partition("Examples:")[0])
    for example in help_texts.texts()["audit"]["examples"]:
        assert example in chinese
        assert example in english


def test_lists_of_commands_are_chinese_too() -> None:
    for words, names in (((), list(command.COMMANDS)), (("policy",), ["check", "diff", "list", "show", "verify"])):
        listed = [line.split(maxsplit=1) for line in help_in("zh_CN.UTF-8", *words).partition("Commands:")[2].splitlines() if line.strip()]
        shown = dict(line for line in listed if len(line) == 2 and line[0] != "keepwarm")
        assert list(shown)[: len(names)] == names
        assert all(HAN.search(shown[name]) for name in names)


def test_which_locales_are_chinese() -> None:
    assert help_texts.chinese({"LANG": "zh_CN.UTF-8"})
    assert help_texts.chinese({"LC_ALL": "", "LC_MESSAGES": "zh_TW", "LANG": "en_US.UTF-8"})
    assert not help_texts.chinese({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"})
    assert not help_texts.chinese({})


def test_every_scope_of_a_key_stands_in_its_help() -> None:
    english = next(option.help for option in options_of(COMMANDS["accounts key"]) if option.opts[-1] == "--scope")
    for said in (english, help_texts.option_zh("accounts key", "--scope")):
        assert [scope for scope in SCOPES if scope not in str(said)] == []
