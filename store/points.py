"""The site's registry of points: stable names ↔ int32 ids, dense from 0, the same for every process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.site import Site
from store.sqlite import Database

_LAYOUT = ("CREATE TABLE points (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",)
_VERSION = 1


class PointRegistry:
    """The points of one site, kept in ``points.db``. An id once given is never changed nor given again.

    Many processes may use one file at once; each sees what others have added after ``refresh`` (or when it asks for the same name).
    Raises StoreError when the file can't be read or written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = Database(path, _LAYOUT, _VERSION)
        self._ids: dict[str, int] = {}
        self._names: list[str] = []
        self.refresh()

    def __len__(self) -> int:
        return len(self._names)

    def ids(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The id of each name, in their order; names not known yet are registered, durably, before this returns."""
        try:
            return self._known(names)
        except KeyError:
            self._register(names)
            return self._known(names)

    def name(self, point: int) -> str:
        """The name of this id. Raises KeyError when it was never given."""
        if not 0 <= point < len(self._names):
            self.refresh()
        if not 0 <= point < len(self._names):
            raise KeyError(point)
        return self._names[point]

    def names(self) -> dict[int, str]:
        """Every id known here and its name."""
        return dict(enumerate(self._names))

    def find(self, name: str) -> int | None:
        """The id of this name as known here, None where there is none; registers nothing and reads no file."""
        return self._ids.get(name)

    def found(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The id of each name as known here, −1 where there is none; registers nothing and reads no file."""
        return np.fromiter(map(self._ids.get, names, repeat(-1)), np.int32, len(names))

    def refresh(self) -> int:
        """Learns what other processes have registered; returns how many points were new here."""
        with self._database.lock:
            before = len(self._names)
            for point, name in self._database.rows("SELECT id, name FROM points WHERE id >= ? ORDER BY id", (before,)):
                self._ids[name] = point
                self._names.append(name)
            return len(self._names) - before

    def close(self) -> None:
        """Gives the file back."""
        self._database.close()

    def _known(self, names: Sequence[str]) -> NDArray[np.int32]:
        return np.fromiter(map(self._ids.__getitem__, names), np.int32, len(names))

    def _register(self, names: Sequence[str]) -> None:
        with self._database.writing() as connection:
            self.refresh()
            unknown = [name for name in dict.fromkeys(names) if name not in self._ids]
            first = len(self._names)
            connection.executemany("INSERT INTO points (id, name) VALUES (?, ?)", list(enumerate(unknown, first)))
        # Known here only once it is on the disk: a failed commit must not leave ids behind that another process may give away.
        self.refresh()


@contextmanager
def open_points(site: Site) -> Iterator[PointRegistry]:
    """The site's registry, closed in the end. Raises StoreError when it can't be opened."""
    registry = PointRegistry(site.data / "points.db")
    try:
        yield registry
    finally:
        registry.close()
