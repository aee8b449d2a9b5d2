"""Functions compiled by numba, typed as what they are."""

import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

P = ParamSpec("P")
T = TypeVar("T")

I64: TypeAlias = NDArray[np.int64]
F64: TypeAlias = NDArray[np.float64]
B1: TypeAlias = NDArray[np.bool_]
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
    compiled: Callable[P, T] = njit(cache=True, nogil=True)(function)
    return compiled
