"""``site.toml``: the site's own settings, its stores and gateways."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from domain.errors import ConfigError, Mistake
from domain.policy import Policy
from domain.site import Gateway, JournalKeep, Site, StoreSettings
from store.site_folder.devices import address_fault
from store.site_folder.fields import TomlTables
from store.site_folder.policies import DEFAULT, load_policy, shipped_policies
from store.site_folder.suggestion import nearest
from store.site_folder.toml_file import read_toml

DEFAULT_TIMEZONE = "Asia/Shanghai"
_TOP = ("name", "timezone", "policy", "hold_max_min", "station_hold_min", "room_interval_s", "hotline", "records_url", "data")
_TABLES = ("journal", "history", "dashboard", "openid", "notices", "gateway", "channel", "mqtt")
MOST_CONNECTIONS = 32
_JOURNAL = ("days", "bytes", "keep", "warn_h")
_HISTORY = ("kind", "days", "url", "read_url", "ca_file", "timeout_s", "token", "org", "bucket", "database")
_OF_SERVERS = ("url", "read_url", "ca_file", "token", "org")
_HISTORIES = ("parquet", "influxdb", "victoriametrics")
_RECORDS = re.compile(r"(sqlite|postgresql)(\+\w+)?://.*")
_DASHBOARD = ("host", "port", "reached_by", "session_idle_min", "session_most_h")


@dataclass(frozen=True)
class Settings:
    """What site.toml says, beside the brokers. ``policy`` is None when its file has mistakes (noted)."""

    name: str
    timezone: ZoneInfo
    policy: Policy | None
    data: Path
    hold_max_min: float
    station_hold_min: float
    room_interval_s: float
    hotline: str
    records_url: str
    stores: StoreSettings
    dashboard_host: str
    dashboard_port: int
    reached_by: Literal["http", "https"]
    session_idle_min: float
    session_most_h: float
    publish: Literal["auto", "review"]
    review_min: float


def zone_named(name: object) -> ZoneInfo | None:
    """The time zone of this name, None when there is none."""
    if not isinstance(name, str) or not name or name.startswith("/"):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_fault(name: object) -> str:
    """What to write instead of a zone that is not known."""
    near = nearest(str(name), sorted(available_timezones())) if isinstance(name, str) else ""
    hint = f"; {near}" if near.startswith("the nearest") else ""
    return f'a time zone of the IANA list, such as "{DEFAULT_TIMEZONE}"{hint}'


def read_settings(tables: TomlTables, folder: Path) -> Settings:
    """The settings; defaults stand in for what is wrong (noted)."""
    document = tables.file.document
    tables.unknown(document, _TOP + _TABLES)
    number = tables.number
    dashboard, notices = tables.table(document, "dashboard"), tables.table(document, "notices")
    tables.unknown(dashboard, _DASHBOARD, "dashboard.")
    tables.unknown(notices, ("publish", "review_min"), "notices.")
    return Settings(
        name=tables.text(document, "name", folder.absolute().name),
        timezone=_zone(tables, document),
        policy=_policy(tables, document, folder),
        data=folder / (tables.text(document, "data", "data") or "data"),
        hold_max_min=number(document, "hold_max_min", 0, 10_080, Site.hold_max_min),
        station_hold_min=number(document, "station_hold_min", 0, 1440, Site.station_hold_min),
        room_interval_s=number(document, "room_interval_s", 0, 86_400, Site.room_interval_s),
        hotline=tables.text(document, "hotline", ""),
        records_url=_records_url(tables, document),
        stores=_stores(tables, document, folder),
        dashboard_host=tables.text(dashboard, "host", Site.dashboard_host, "dashboard."),
        dashboard_port=_port(tables, dashboard),
        reached_by=cast("Literal['http', 'https']", tables.choice(dashboard, "reached_by", ("http", "https"), "http", "dashboard.")),
        session_idle_min=number(dashboard, "session_idle_min", 0, 10_080, Site.session_idle_min, "dashboard."),
        session_most_h=number(dashboard, "session_most_h", 0, 720, Site.session_most_h, "dashboard."),
        publish=cast("Literal['auto', 'review']", tables.choice(notices, "publish", ("auto", "review"), "auto", "notices.")),
        review_min=number(notices, "review_min", 0, 1440, Site.review_min, "notices."),
    )


def _zone(tables: TomlTables, document: Mapping[str, Any]) -> ZoneInfo:
    name = document.get("timezone", DEFAULT_TIMEZONE)
    zone = zone_named(name)
    if zone is None:
        tables.wrong("timezone", name, zone_fault(name))
    return zone or ZoneInfo(DEFAULT_TIMEZONE)


def _policy(tables: TomlTables, document: Mapping[str, Any], folder: Path) -> Policy | None:
    name = tables.text(document, "policy", DEFAULT)
    shipped = name == DEFAULT or (name in shipped_policies() and not (folder / name).is_file())
    if not shipped and not (folder / name).is_file():
        tables.wrong("policy", name, f"no such file in the site folder, and none of the shipped policies: {', '.join(shipped_policies())}")
        return None
    try:
        return load_policy(name if shipped else folder / name, name, folder)
    except ConfigError as error:
        tables.mistakes.extend(error.mistakes)
        return None


def _records_url(tables: TomlTables, document: Mapping[str, Any]) -> str:
    url = tables.text(document, "records_url", "")
    if url and not _RECORDS.fullmatch(url):
        tables.wrong("records_url", url, "sqlite:///PATH or postgresql://HOST/DATABASE; leave it out for a file in the data folder")
    return url


def _port(tables: TomlTables, dashboard: Mapping[str, Any]) -> int:
    port = dashboard.get("port", Site.dashboard_port)
    if isinstance(port, int) and not isinstance(port, bool) and 0 <= port <= 65_535:
        return port
    tables.wrong("dashboard.port", port, "a port, 1 to 65535, or 0 for any free one")
    return Site.dashboard_port


def _stores(tables: TomlTables, document: Mapping[str, Any], folder: Path) -> StoreSettings:
    journal, history = tables.table(document, "journal"), tables.table(document, "history")
    tables.unknown(journal, _JOURNAL, "journal.")
    tables.unknown(history, _HISTORY, "history.")
    default = StoreSettings()
    kind = tables.choice(history, "kind", _HISTORIES, default.history, "history.")
    url, read_url = tables.text(history, "url", "", "history."), tables.text(history, "read_url", "", "history.")
    if kind != "parquet" and not _is_http_url(url):
        tables.wrong("history.url", url or None, f"the address of {kind}, such as http://127.0.0.1:8086")
    if history.get("kind", "parquet") == "parquet":
        for key in _OF_SERVERS:
            if history.get(key):
                tables.wrong(f"history.{key}", None, f"parquet has none; is history.kind to be {' or '.join(_HISTORIES[1:])}?")
    elif kind == "influxdb" and read_url:
        tables.wrong("history.read_url", None, "InfluxDB is asked where it is written to; leave it out")
    if read_url and not _is_http_url(read_url):
        tables.wrong("history.read_url", read_url, f"the address at which {kind} answers queries; leave it out where that is the url")
    keep = tables.choice(journal, "keep", get_args(JournalKeep), default.journal_keep, "journal.")
    return StoreSettings(
        journal_days=tables.number(journal, "days", 0, inf, default.journal_days, "journal."),
        journal_bytes=int(tables.number(journal, "bytes", 0, inf, default.journal_bytes, "journal.")),
        journal_keep=cast("JournalKeep", keep),
        journal_warn_h=tables.number(journal, "warn_h", 0, inf, default.journal_warn_h, "journal."),
        history=kind,
        history_days=_history_days(tables, history),
        history_url=url,
        history_read_url=read_url,
        history_ca_file=_ca_file(tables, history, folder),
        history_timeout_s=tables.number(history, "timeout_s", 0, 3600, default.history_timeout_s, "history."),
        history_token=tables.secret(history, "token", "history.", folder),
        history_org=tables.text(history, "org", "", "history."),
        history_bucket=tables.text(history, "bucket", default.history_bucket, "history."),
        history_database=tables.text(history, "database", default.history_database, "history."),
    )


def load_history_settings(path: Path, otherwise: StoreSettings) -> StoreSettings:
    """The ``[history]`` table of a TOML file (other tables of it do not matter); the journal's settings are those given.

    Raises ConfigError with every mistake.
    """
    file = read_toml(path, str(path))
    mistakes: list[Mistake] = []
    if not isinstance(file.document.get("history"), dict):
        mistakes.append(Mistake(str(path), "no [history] table; it says kind, url and so on, as in site.toml"))
    found = _stores(TomlTables(file, mistakes), {"history": file.document.get("history", {})}, path.absolute().parent)
    if mistakes:
        raise ConfigError(*mistakes)
    return replace(
        found,
        journal_days=otherwise.journal_days,
        journal_bytes=otherwise.journal_bytes,
        journal_keep=otherwise.journal_keep,
        journal_warn_h=otherwise.journal_warn_h,
    )


def _history_days(tables: TomlTables, history: Mapping[str, Any]) -> float:
    """For how many days readings stay; 0, which ``number`` would not take, is for ever."""
    found = history.get("days")
    if found == 0 and not isinstance(found, bool):
        return 0.0
    return tables.number(history, "days", 0, inf, StoreSettings.history_days, "history.") if "days" in history else 0.0


def _ca_file(tables: TomlTables, history: Mapping[str, Any], folder: Path) -> str:
    name = tables.text(history, "ca_file", "", "history.")
    if name and not (folder / name).is_file():
        tables.wrong("history.ca_file", name, "no such file")
    return str((folder / name).absolute()) if name else ""


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False


def read_gateways(tables: TomlTables, addresses: Collection[str]) -> dict[str, Gateway]:
    """What Modbus gateways bear, ``[[gateway]]``, by their address, which is that of a device in ``addresses``."""
    gateways: dict[str, Gateway] = {}
    for where, table in tables.tables(tables.file.document, "gateway"):
        values = tables.values(Gateway, table, f"{where}.")
        if values is None:
            continue
        gateway = Gateway(**values)
        if gateway.address in gateways:
            tables.wrong(f"{where}.address", gateway.address, "another [[gateway]] has this address already")
        elif gateway.address not in addresses:
            tables.wrong(f"{where}.address", gateway.address, f"no Modbus device has this address; {nearest(gateway.address, addresses)}")
        most = MOST_CONNECTIONS if address_fault("modbus_rtu", gateway.address) else 1  # a serial port has one master
        if not 1 <= gateway.connections <= most:
            remedy = f"a whole number from 1 to {most}" if most > 1 else "1; a serial port can't be opened twice"
            tables.wrong(f"{where}.connections", gateway.connections, remedy)
        gateways[gateway.address] = gateway
    return gateways
