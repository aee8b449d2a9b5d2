"""The history: where readings stay for good. One protocol, one table of back ends."""

from collections.abc import Callable

from domain.errors import ConfigError, Mistake
from domain.site import Site
from store.history.parquet import ParquetHistory
from store.history.protocol import History
from store.points import PointRegistry

HISTORIES: dict[str, Callable[[Site, PointRegistry], History]] = {
    "parquet": lambda site, points: ParquetHistory(site.data / "history", points.name),
}


def open_history(site: Site, points: PointRegistry | None = None) -> History:
    """The history that the site's settings name. ``points`` is the site's registry where the caller has one open.

    Raises ConfigError for a name that is not in ``HISTORIES``, StoreError when it can't be opened.
    """
    make = HISTORIES.get(site.stores.history)
    if make is None:
        remedy = f"one of {', '.join(HISTORIES)}"
        raise ConfigError(Mistake("site.toml", remedy, key="history.kind", value=site.stores.history))
    return make(site, points or PointRegistry(site.data / "points.db"))


__all__ = ["HISTORIES", "History", "open_history"]
