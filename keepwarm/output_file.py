"""Files that a command writes for people: whole or not at all."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

import click

from domain.errors import ConfigError, Mistake

STDOUT = "-"
TERMINATED = 143  # 128 + SIGTERM, as shells say it


class OutFile(click.ParamType[Path | None]):
    """A file to write; ``-`` is standard output, as where no file is named."""

    name = "path"

    def convert(self, value: str | Path, _param: click.Parameter | None, _ctx: click.Context | None) -> Path | None:
        """The file's path, None for standard output."""
        return None if str(value) == STDOUT else Path(value)


def check_writable(path: Path) -> None:
    """Raises ConfigError when no file can be written there, before any work is done for it."""
    if path.is_dir():
        raise ConfigError(Mistake(str(path), "a folder; --out names a file"))
    if not path.absolute().parent.is_dir():
        raise ConfigError(Mistake(str(path), f"its folder {path.parent} does not exist; make it first"))


def write_whole(path: Path, content: bytes) -> None:
    """Writes the file beside its place and moves it there, so that nobody ever sees half of it.

    Raises ConfigError when it can't be written.
    """
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which stands in its place when the block has ended well, and leaves nothing behind otherwise.

    Raises ConfigError when it can't be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _orderly_end():
            yield from _written(path, part)
    except OSError as error:
        raise ConfigError(Mistake(str(path), f"can't be written: {(error.strerror or str(error)).lower()}")) from error
    finally:
        part.unlink(missing_ok=True)


def _written(path: Path, part: Path) -> Iterator[IO[bytes]]:
    if path.exists() and not path.is_file():
        with path.open("wb") as file:  # /dev/stdout, a pipe: nothing to move
            yield file
        return
    with part.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


@contextmanager
def _orderly_end() -> Iterator[None]:
    """Ends the block, not the process at once, when it is told to (SIGTERM), unless somebody else answers that signal already."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)
