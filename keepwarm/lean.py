"""Memory of commands that run for long or over files of any length."""

import ctypes
import os
import sys
from contextlib import suppress
from importlib.abc import MetaPathFinder

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


def without_pandas() -> None:
    """Keeps pandas, which Streamlit brings along for tables and charts that we don't show, out of this process.

    2026-11: pyarrow 26 imports it at the first column it is given, to see whether that is one of pandas': 60 MB and a second for nothing.
    """
    sys.meta_path.insert(0, _NoPandas())


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        """Finds nothing, and lets nobody else find pandas."""
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)
