"""The history: where readings stay for good. One protocol, one table of back ends."""

from collections.abc import Callable

from domain.errors import ConfigError, Mistake
from domain.site import Site
from store.history.parquet import ParquetHistory
from store.history.protocol import History
from store.points import PointRegistry


def _parquet(site: Site, points: PointRegistry) -> History:
    return ParquetHistory(site.data / "history", points.name, days=site.stores.history_days)


def _influxdb(site: Site, points: PointRegistry) -> History:
    from store.history.servers import open_influxdb  # late: its client takes half a second to import

    return open_influxdb(site, points)


def _victoriametrics(site: Site, points: PointRegistry) -> History:
    from store.history.servers import open_victoriametrics

    return open_victoriametrics(site, points)


HISTORIES: dict[str, Callable[[Site, PointRegistry], History]] = {
    "parquet": _parquet,
    "influxdb": _influxdb,
    "victoriametrics": _victoriametrics,
}


def open_history(site: Site, points: PointRegistry | None = None) -> History:
    """The history that the site's settings name. ``points`` is the site's registry where the caller has one open.

    A server need not be up yet. Raises ConfigError for a name that is not in ``HISTORIES`` or a secret that is not there, StoreError
    when it can't be opened.
    """
    make = HISTORIES.get(site.stores.history)
    if make is None:
        remedy = f"one of {', '.join(HISTORIES)}"
        raise ConfigError(Mistake("site.toml", remedy, key="history.kind", value=site.stores.history))
    return make(site, PointRegistry(site.data / "points.db") if points is None else points)  # one without points is false


__all__ = ["HISTORIES", "History", "open_history"]
