"""Which row of the site's lists each row of watch's tables is: looked up by name only when the table names others than before."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class TableRows:
    """The names of the site, in the order of its files, and their places in a table that is replaced at every pass."""

    def __init__(self, names: Iterable[str]) -> None:
        self._row_of = {name: row for row, name in enumerate(names)}
        self._ids: pa.ChunkedArray | None = None
        self._rows: NDArray[np.intp] = np.empty(0, np.intp)

    def __len__(self) -> int:
        return len(self._row_of)

    def row(self, name: str) -> int:
        """The row of one name. Raises KeyError for one that the site does not have."""
        return self._row_of[name]

    def rows(self, ids: pa.ChunkedArray) -> NDArray[np.intp]:
        """For each row of the table its row in the site; -1 for a name that the site does not have."""
        if self._ids is None or not ids.equals(self._ids):
            self._rows = np.fromiter((self._row_of.get(name, -1) for name in ids.to_pylist()), np.intp, len(ids))
            self._ids = ids
        return self._rows

    def places(self, ids: pa.ChunkedArray) -> NDArray[np.intp]:
        """For each row of the site its row in the table; -1 for a name that the table does not have."""
        rows = self.rows(ids)
        found = np.full(len(self), -1, np.intp)
        found[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
        return found
