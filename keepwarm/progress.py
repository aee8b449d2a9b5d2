"""One line that tells how a preparation goes: moving in a terminal, a plain line for each thing begun on a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn


class Tell(Protocol):
    """Says what is being done now, and how much of it is done (0 to 1) where that is known."""

    def __call__(self, what: str, share: float | None = None) -> None:
        """Replaces the line."""


@contextmanager
def progress_line() -> Iterator[Tell]:
    """The line, on stderr; it is gone when the preparation is over."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as line:
        task = line.add_task("", total=None)

        def tell(what: str, share: float | None = None) -> None:
            line.update(task, description=what, completed=share or 0.0, total=None if share is None else 1.0)

        yield tell


def _plain() -> Tell:
    last = ""

    def tell(what: str, share: float | None = None) -> None:  # noqa: ARG001 - a pipe is told of beginnings only
        nonlocal last
        if what != last:
            last = what
            click.echo(f"{what} …", err=True)

    return tell
