"""The histories on servers, made from a site's settings."""

from domain.site import Site
from store.history.delivery import Quarantine
from store.history.endpoint import Endpoint
from store.history.influxdb import InfluxHistory
from store.history.influxdb_database import Database, Names
from store.history.series import SeriesNames
from store.history.victoriametrics import VictoriaHistory
from store.points import PointRegistry
from store.secrets import secret


def open_influxdb(site: Site, points: PointRegistry) -> InfluxHistory:
    """The history in the site's InfluxDB. Raises ConfigError when the token's secret is not there."""
    stores = site.stores
    endpoint = _endpoint(site, stores.history_url)
    database = Database(endpoint, Names(stores.history_database, stores.history_org, stores.history_bucket), stores.history_days)
    return InfluxHistory(endpoint, database, SeriesNames(points.name), _quarantine(site))


def open_victoriametrics(site: Site, points: PointRegistry) -> VictoriaHistory:
    """The history in the site's VictoriaMetrics. Raises ConfigError when the token's secret is not there."""
    stores = site.stores
    write_to = _endpoint(site, stores.history_url)
    ask = _endpoint(site, stores.history_read_url) if stores.history_read_url else write_to
    return VictoriaHistory(write_to, ask, stores.history_database, SeriesNames(points.name), _quarantine(site), stores.history_days)


def _endpoint(site: Site, url: str) -> Endpoint:
    stores = site.stores
    return Endpoint(url, secret(stores.history_token), timeout_s=stores.history_timeout_s, ca_file=stores.history_ca_file)


def _quarantine(site: Site) -> Quarantine:
    return Quarantine(site.data / "quarantine" / f"{site.stores.history}.lines")
