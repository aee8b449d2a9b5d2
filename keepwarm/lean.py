"""Memory of commands that run for long or over files of any length."""

import ctypes
import os
from contextlib import suppress

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
_LARGE_BYTES = 131_072


def lean_memory() -> None:
    """Has what is not used given back: threads that take turns else hold it several times over. To be called before pyarrow is imported.

    Two heaps of glibc instead of eight a core, large columns in pages of their own, and Arrow's in the same place.
    """
    with suppress(AttributeError, OSError):  # other C libraries have no such settings
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
