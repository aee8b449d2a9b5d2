"""Readings that come through a pipe: kept in a nameless file, for they are looked at more than once."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import IO

STDIN = Path("-")
_kept: dict[tuple[Path, int], IO[bytes]] = {}  # by path and inode: a pipe gives its bytes once, also where a file is asked for twice


def on_disk(path: Path) -> Path:
    """Where the bytes of this file can be read again and again; ``-`` is standard input.

    A pipe (``/dev/stdin``, a shell's ``<(…)``) is read to its end at the first call; the copy is gone when the process is.
    Anything else is left as it is.
    """
    source = Path("/dev/stdin") if path == STDIN else path
    if not (source.is_fifo() or source.is_char_device() or source.is_socket()):
        return source
    key = (source.absolute(), source.stat().st_ino)
    if key in _kept:
        return _place(_kept[key])
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
    with source.open("rb", buffering=0) as pipe:  # a buffer would ask the pipe again before it heeds a Ctrl-C
        shutil.copyfileobj(pipe, copy, 1 << 20)
    copy.flush()
    _kept[key] = copy
    atexit.register(copy.close)
    return _place(copy)


def _place(file: IO[bytes]) -> Path:
    return Path(f"/proc/self/fd/{file.fileno()}")
