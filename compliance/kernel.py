"""Functions compiled by numba, typed as what they are, and the code kept of them.

Numba (0.68) keeps the code of a function in numbered files beside an index, names a file in the index before it is written, and asks
of a change the function's own source file only. So a process could be given machine code of another signature (two that compile at
once both take number 1), of the version before (between index and file; for good after a kill there), or code that has a kernel of
another source file in it as it was before that one was changed. Here each piece of code has a name of its own for good, and stands
there before the index names it.
"""

import fcntl
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar
from uuid import uuid4

import numba
import numpy as np
from numba import njit
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps
from numpy.typing import NDArray

P = ParamSpec("P")
T = TypeVar("T")

I64: TypeAlias = NDArray[np.int64]
F64: TypeAlias = NDArray[np.float64]
B1: TypeAlias = NDArray[np.bool_]
_pickled: Callable[[Any], bytes] = dumps
Record: TypeAlias = Any  # one row of a structured array: its fields are attributes inside a kernel


def _without_blas() -> None:
    """Loads numba's functions on arrays as if scipy had no BLAS: to look for it takes them longer than all the rest.

    No kernel multiplies matrices. 2026-11, numba 0.66: 0.15 s of every command that judges.
    """
    if "scipy.linalg" in sys.modules or threading.active_count() > 1:  # another thread might want it just now
        return
    sys.modules["scipy.linalg"] = None  # type: ignore[assignment]  # which makes an import of it fail
    try:
        import_module("numba.np.arraymath")
    finally:
        del sys.modules["scipy.linalg"]


_without_blas()


def kernel(function: Callable[P, T]) -> Callable[P, T]:
    """Compiles the function at its first call and keeps the code in numba's cache beside the file; it runs without the GIL."""
    compiled: Any = njit(cache=True, nogil=True)(function)
    cache, place = compiled._cache, compiled._cache._impl  # noqa: SLF001 - numba is pinned, and has no other way to it
    stamp = (place.locator.get_source_stamp(), _taken_in(function))
    cache._cache_file = KeptCode(Path(cache.cache_path), place.filename_base, stamp)  # noqa: SLF001 - as above
    typed: Callable[P, T] = compiled
    return typed


def _taken_in(function: Callable[..., Any]) -> tuple[Any, ...]:
    """What of other source files the function's code may have in it: their kernels (as of when), numbers and words."""
    known = getattr(function, "__globals__", {})
    others: list[Any] = [one for one in known.values() if isinstance(one, Dispatcher) and one.__module__ != function.__module__]
    kernels = {one.__module__: one._cache._cache_file.stamp for one in others}  # noqa: SLF001 - see kernel
    values = {name: repr(value) for name, value in known.items() if isinstance(value, int | float | str) and not name.startswith("__")}
    return tuple(sorted(kernels.items())), tuple(sorted(values.items()))


class KeptCode:
    """The code kept of one kernel, for processes that compile, are killed, or are of different versions, all at once.

    ``stamp`` says which sources it is made of. What can't be read is compiled anew; where the disk takes nothing, nothing is kept.
    """

    def __init__(self, folder: Path, base: str, stamp: tuple[Any, ...]) -> None:
        self.stamp = (numba.__version__, stamp)
        self._folder = folder
        self._base = base

    def save(self, key: Any, code: Any) -> None:
        """Keeps the code of one signature."""
        with suppress(OSError), self._alone():
            name = f"{self._base}.{uuid4().hex}.nbc"
            self._write(name, code)
            names = {**self._names(), key: name}
            self._write(self._index, (self.stamp, names))
            self._sweep({self._index, *names.values()})

    def load(self, key: Any) -> Any:
        """The code of one signature; None where none is kept, or what is kept can't be read."""
        name = self._names().get(key)
        return None if name is None else self._read(name)

    def flush(self) -> None:
        """Forgets all code."""
        with self._alone():
            self._write(self._index, (self.stamp, {}))

    @property
    def _index(self) -> str:
        return f"{self._base}.nbi"

    def _names(self) -> dict[Any, str]:
        """The file of each signature's code; none where they are of other sources."""
        found = self._read(self._index)
        return dict(found[1]) if isinstance(found, tuple) and found[0] == self.stamp else {}

    def _read(self, name: str) -> Any:
        try:
            return pickle.loads((self._folder / name).read_bytes())  # noqa: S301 - our own, as trusted as the source beside it
        except Exception:  # pickle raises whatever a damaged file makes it stumble over
            return None

    def _write(self, name: str, content: Any) -> None:
        part = self._folder / f"{name}.tmp"
        part.write_bytes(_pickled(content))
        part.replace(self._folder / name)

    def _sweep(self, kept: set[str]) -> None:
        """Removes code that no index names any more, also of writers that were killed."""
        for path in self._folder.iterdir():
            if path.name.startswith(f"{self._base}.") and path.name not in kept:
                path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / "kernels.lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
