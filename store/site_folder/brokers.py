"""``site.toml``: the MQTT brokers and what is subscribed to at each."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from domain.profile import MqttProfile, Profile
from domain.site import Broker, Subscription
from store.site_folder.fields import TomlTables
from store.site_folder.profiles import topic_fault
from store.site_folder.suggestion import nearest

_FILES = ("ca_file", "certificate", "private_key")


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
    password = tables.secret(table, "password", f"{where}.", folder)
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
