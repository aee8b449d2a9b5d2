"""``site.toml``: the site's own settings, its stores, brokers and channels."""

import json
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
from domain.profile import MqttProfile, Profile
from domain.site import Broker, Channel, Gateway, JournalKeep, Site, StoreSettings, Subscription
from store.site_folder.devices import address_fault
from store.site_folder.fields import TomlTables
from store.site_folder.policies import DEFAULT, load_policy, shipped_policies
from store.site_folder.profiles import topic_fault
from store.site_folder.secret_names import NAME_FORM, absolute_secret, is_secret_name
from store.site_folder.suggestion import nearest
from store.site_folder.toml_file import read_toml

DEFAULT_TIMEZONE = "Asia/Shanghai"
SENDS = ("notices", "warnings", "department_head", "manager")
LANGUAGES = ("zh", "en", "both")
TEMPLATE_NAMES = ("title", "text", "key")
_CHANNEL = ("name", "url", "sends", "language", "template")
_TOP = ("name", "timezone", "policy", "hold_max_min", "station_hold_min", "room_interval_s", "hotline", "records_url", "data")
_TABLES = ("journal", "history", "dashboard", "openid", "notices", "gateway", "channel", "mqtt")
MOST_CONNECTIONS = 32
_JOURNAL = ("days", "bytes", "keep", "warn_h")
_HISTORY = ("kind", "days", "url", "read_url", "ca_file", "timeout_s", "token", "org", "bucket", "database")
_OF_SERVERS = ("url", "read_url", "ca_file", "token", "org")
_HISTORIES = ("parquet", "influxdb", "victoriametrics")
_RECORDS = re.compile(r"(sqlite|postgresql)(\+\w+)?://.*")
_DASHBOARD = ("host", "port", "reached_by", "session_idle_min", "session_most_h")
_FILES = ("ca_file", "certificate", "private_key")


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
        history_token=_secret(tables, history, "token", "history.", folder),
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


def _secret(tables: TomlTables, table: Mapping[str, Any], key: str, where: str, folder: Path) -> str:
    name = tables.text(table, key, "", where) if isinstance(table.get(key, ""), str) else "?"
    if not name or is_secret_name(name):
        return absolute_secret(name, folder)
    tables.wrong(f"{where}{key}", None, NAME_FORM)
    return ""


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


def read_channels(tables: TomlTables, folder: Path) -> tuple[Channel, ...]:
    """Where messages go out, ``[[channel]]``."""
    channels: dict[str, Channel] = {}
    for where, table in tables.tables(tables.file.document, "channel"):
        tables.unknown(table, _CHANNEL, f"{where}.")
        name = tables.text(table, "name", "", f"{where}.")
        if not name or name in channels:
            tables.wrong(f"{where}.name", name or None, "a name of its own, which every delivery is recorded under")
        url = _secret(tables, table, "url", f"{where}.", folder)
        if "url" not in table:
            tables.wrong(f"{where}.url", None, NAME_FORM)
        sends = table.get("sends", ["notices"])
        if not isinstance(sends, list) or not sends or set(map(str, sends)) - set(SENDS):
            tables.wrong(f"{where}.sends", sends, f"a list of what goes out: {', '.join(SENDS)}")
            sends = []
        language = tables.choice(table, "language", LANGUAGES, "both", f"{where}.")
        template = tables.text(table, "template", "", f"{where}.")
        if template:
            _check_template(tables, where, folder / template, template)
        channels[name] = Channel(name, url, tuple(map(str, sends)), language, str((folder / template).absolute()) if template else "")
    return tuple(channels.values())


def _check_template(tables: TomlTables, where: str, path: Path, name: str) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        tables.wrong(f"{where}.template", name, "no such file, or not UTF-8; it is the JSON that the gateway takes")
        return
    fault = template_fault(text)
    if fault:
        tables.wrong(f"{where}.template", name, fault)


def template_fault(text: str) -> str:
    """Why this can't be filled in to be JSON; empty when it can."""
    unknown = set(re.findall(r"{{\s*(\w+)\s*}}", text)) - set(TEMPLATE_NAMES)
    if unknown:
        return f"it names {', '.join(sorted(unknown))}; what is filled in is {', '.join(TEMPLATE_NAMES)}, each written {{{{ name }}}}"
    try:
        json.loads(filled(text, dict.fromkeys(TEMPLATE_NAMES, "x")))
    except ValueError:
        return "filled in, it is no JSON; strings stand in quotes around {{ text }}"
    return ""


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with its names filled in, as the inside of JSON strings."""
    return re.sub(r"{{\s*(\w+)\s*}}", lambda found: json.dumps(values[found[1]], ensure_ascii=False)[1:-1], template)


def read_brokers(
    tables: TomlTables, folder: Path, site_name: str, profiles: Mapping[str, Profile], profile_names: Collection[str]
) -> tuple[Broker, ...]:
    """The MQTT brokers, ``[[mqtt]]``, with their subscriptions."""
    brokers: list[Broker] = []
    names: dict[str, str] = {}
    clients: dict[tuple[str, str], str] = {}
    for where, table in tables.tables(tables.file.document, "mqtt"):
        first = names.setdefault(str(table.get("name")), where)
        if "name" in table and first != where:
            tables.wrong(f"{where}.name", table["name"], f"{first} has this name already; each broker has its own")
        broker = _broker(tables, where, table, folder, site_name)
        subscriptions = _subscriptions(tables, where, table, profiles, profile_names)
        if broker is not None:
            brokers.append(Broker(**broker, subscriptions=subscriptions))
            client = brokers[-1].url.rstrip("/").lower(), brokers[-1].client_id
            first = clients.setdefault(client, where)
            if first != where:
                remedy = f"{first} is this client of this broker already, and one would push out the other; each has its own"
                tables.wrong(f"{where}.client_id", client[1], remedy)
    return tuple(brokers)


def _broker(tables: TomlTables, where: str, table: dict[str, Any], folder: Path, site_name: str) -> dict[str, Any] | None:
    named = {"client_id": f"keepwarm-{site_name}", **{key: value for key, value in table.items() if key != "subscription"}}
    password = _secret(tables, table, "password", f"{where}.", folder)
    values = tables.values(Broker, {key: value for key, value in named.items() if key != "password"}, f"{where}.", ("subscriptions",))
    if "subscriptions" in table:
        tables.wrong(f"{where}.subscriptions", None, "unknown key; each begins with [[mqtt.subscription]]")
    if values is None:
        return None
    url = values["url"]
    if not _is_mqtt_url(url):
        tables.wrong(f"{where}.url", url, "mqtt://host:port or mqtts://host:port")
    if password and not values.get("username"):
        tables.wrong(f"{where}.username", None, "the user of this password is missing")
    for key in _FILES:
        if values.get(key) and url.startswith("mqtt://"):
            tables.wrong(f"{where}.{key}", None, "without TLS nobody looks at it; with TLS the url begins with mqtts://")
        if values.get(key):
            values[key] = str((folder / values[key]).absolute())
            if not Path(values[key]).is_file():
                tables.wrong(f"{where}.{key}", table[key], "no such file")
    if bool(values.get("certificate")) != bool(values.get("private_key")):
        tables.wrong(f"{where}.certificate", None, "certificate and private_key go together")
    return {**values, "password": password}


def _is_mqtt_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("mqtt", "mqtts") and bool(parts.hostname) and parts.port != 0 and parts.path in ("", "/") and "@" not in url
    except ValueError:
        return False


def _subscriptions(
    tables: TomlTables, where: str, table: Mapping[str, Any], profiles: Mapping[str, Profile], profile_names: Collection[str]
) -> tuple[Subscription, ...]:
    found = tables.tables(table, "subscription", f"{where}.")
    if not found and not table.get("subscription"):
        tables.wrong(f"{where}.subscription", None, "a broker needs at least one [[mqtt.subscription]] with topic and profile")
    subscriptions: list[Subscription] = []
    for here, item in found:
        values = tables.values(Subscription, item, f"{here}.")
        if values is None:
            continue
        fault = topic_fault(values["topic"])
        if fault:
            tables.wrong(f"{here}.topic", values["topic"], fault)
        name = values["profile"]
        if name not in profile_names:
            tables.wrong(f"{here}.profile", name, f"no such profile; {nearest(name, profile_names)}")
        elif not isinstance(profiles.get(name), MqttProfile | None):
            tables.wrong(f"{here}.profile", name, "a profile for MQTT; this one is for other devices")
        subscriptions.append(Subscription(**values))
    return tuple(subscriptions)
