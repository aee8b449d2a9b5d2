"""Functions compiled by numba, typed as what they are."""

from collections.abc import Callable
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


def kernel(function: Callable[P, T]) -> Callable[P, T]:
    """Compiles the function at its first call and keeps the code in numba's cache beside the file; it runs without the GIL."""
    compiled: Callable[P, T] = njit(cache=True, nogil=True)(function)
    return compiled
