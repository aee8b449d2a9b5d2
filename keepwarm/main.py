"""The one command. Each of its commands is loaded only when it is asked for: ``keepwarm audit`` needs no web server."""

import errno
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

import click

from domain.errors import ConfigError, KeepwarmError
from keepwarm import help_texts
from keepwarm.lean import lean_memory, without_pandas

WRONG_USE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells say it
PIPE_CLOSED = 141  # 128 + SIGPIPE


class Entry(NamedTuple):
    """Where a command lives (``module:attribute``), and what it does in half a line; ``lean``: it gives memory back (``keepwarm.lean``)."""

    where: str
    does: str
    lean: bool = False


COMMANDS = {
    "demo": Entry("keepwarm.demo:demo", "a simulated town on real protocols, watched; opens the page"),
    "run": Entry("keepwarm.run:run", "collect, watch and dashboard of SITE, supervised"),
    "collect": Entry("keepwarm.processes:collect", "devices → readings → journal → history", lean=True),
    "watch": Entry("keepwarm.processes:watch", "readings → verdicts, alarms, outages, notices, complaints", lean=True),
    "dashboard": Entry("keepwarm.processes:dashboard", "the pages, the public board, the API", lean=True),
    "simulate": Entry("keepwarm.simulate:simulate", "the outside world alone: a scenario's stations, rooms and broker"),
    "status": Entry("keepwarm.status:status", "each process of SITE and the age of its last work"),
    "accounts": Entry("keepwarm.accounts:accounts", "one-time links into a SITE's pages"),
    "init": Entry("keepwarm.init:init", "a site's FOLDER to begin with: every setting, every table"),
    "check": Entry("keepwarm.check:check", "every mistake of a SITE's folder at once; --connect reads every device once"),
    "discover": Entry("keepwarm.discover:discover", "OPC UA nodes and MQTT sensors that are not yet in a SITE"),
    "trust": Entry("keepwarm.trust:trust", "certificates of OPC UA servers: shows and accepts them"),
    "site": Entry("keepwarm.site_import:site", "stations, buildings, rooms, devices of a SITE from spreadsheets"),
    "policy": Entry("keepwarm.policy:policy", "policies: show, check, diff, list"),
    "curves": Entry("keepwarm.curves:curves", "supply curves of a SITE: file, list, verify"),
    "report": Entry("keepwarm.report:report", "a month, quarter or season of a SITE: workbook, PDF, JSON"),
    "visits": Entry("keepwarm.visits:visits", "measuring visits of a SITE: file, list, verify"),
    "verify-records": Entry("keepwarm.visits:verify_records", "proves that no record of a SITE was altered"),
    "replay": Entry("keepwarm.replay:replay", "every rule over files of readings: what would have fired"),
    "explain": Entry("keepwarm.explain:explain", "how a room's figures of a day came about, down to each reading"),
    "events": Entry("keepwarm.events:events", "what one replay decided and another did not"),
    "import": Entry("keepwarm.exchange:import_", "files of readings into a SITE's history", lean=True),
    "export": Entry("keepwarm.exchange:export", "readings of a SITE as CSV or Parquet", lean=True),
    "history": Entry("keepwarm.history:history", "carries a SITE's readings over from one history into another", lean=True),
    "backup": Entry("keepwarm.backup:backup", "all that a SITE has stored, in one FILE, while it runs"),
    "restore": Entry("keepwarm.backup:restore", "puts a backup back where nothing is"),
    "audit": Entry("keepwarm.audit:audit", "the exact rate of compliance of a file of readings"),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and lists its commands without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        if entry.lean:
            lean_memory()
        module, _, attribute = entry.where.partition(":")
        found = getattr(import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with. Raises NoSuchCommand, which names those that look like it."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands under ``--help``."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_texts.half_a_line(name) or entry.does) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="keepwarm", message="keepwarm %(version)s")
def keepwarm() -> None:
    """守温 watches every heat station and every measured room of a town, and keeps the 18 ℃ promise."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the shell's arguments, or these, and exits."""
    if arguments is None:
        without_pandas()
    code = exit_code(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        gc.freeze()  # the interpreter's last collection would go through a million objects of libraries: a second, for nothing
    sys.exit(code)


def exit_code(arguments: Sequence[str]) -> int:
    """Runs a command line: 0 done, 1 bad news, 2 wrong use or input, 130 interrupted; no traceback for a mistake."""
    try:
        answer = _run(list(arguments))
        sys.stdout.flush()
    except ConfigError as error:
        for mistake in error.mistakes:
            complain(str(mistake))
        return WRONG_USE
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_USE
    except click.ClickException as error:
        complain(_usage_line(error))
        return WRONG_USE
    except KeepwarmError as error:
        complain(f"keepwarm: {error}")
        return 1
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains once more on its way out
        return PIPE_CLOSED
    except OSError as error:
        if error.filename is None:  # none that a person could look after
            raise
        complain(f"{error.filename}: {(error.strerror or str(error)).lower()}")
        return WRONG_USE if isinstance(error, PermissionError) or error.errno == errno.EROFS else 1
    return answer if isinstance(answer, int) else 0


def _run(arguments: list[str]) -> object:
    """What the command returned. Not by click's own ``main``, which takes a closed pipe for bad news (exit code 1)."""
    if "_KEEPWARM_COMPLETE" in os.environ:  # the shell asks for completions
        keepwarm.main(arguments, prog_name="keepwarm")
    help_texts.explain(keepwarm, arguments)
    try:
        with keepwarm.make_context("keepwarm", arguments) as context:
            return keepwarm.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code


def complain(line: str) -> None:
    """One line on stderr, whatever line breaks a value carries."""
    click.echo(" ".join(line.splitlines()), err=True)


def _usage_line(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "keepwarm"
    return f"{command}: {error.format_message()} ({command} --help)"
