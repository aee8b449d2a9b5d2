"""Writes the demo town's site folder, in the formats that a real town's staff would fill in."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import domain
from domain.clock import iso
from domain.site import Building, Device, Room, Station
from simulators.certificate import server_identity
from simulators.history import PROFILE_OF
from simulators.ports import HOST, Ports, opcua_url
from simulators.sensing import ROOM_INTERVAL_S
from simulators.town import TIMEZONE, TOWN_NAME, Access, Town

MQTT_USER = OPCUA_USER = "keepwarm"
MQTT_PASSWORD = "KEEPWARM_DEMO_MQTT_PASSWORD"  # noqa: S105 - the name of an environment variable, not a password
OPCUA_PASSWORD = "KEEPWARM_DEMO_OPCUA_PASSWORD"  # noqa: S105 - likewise
STATION_INTERVAL_S = 30.0
TIMEOUT_S = 2.0
OFFICE = """
[version.schedule.office]                    # named by `schedule` of a contract room
"08:00-18:00" = 20.0
"18:00-08:00" = 12.0
"""


def write_site(
    folder: Path,
    town: Town,
    ports: Ports,
    *,
    dashboard_host: str = "127.0.0.1",
    dashboard_port: int = 8600,
    station_interval_s: float = STATION_INTERVAL_S,
) -> None:
    """Writes site.toml, policy.toml, the tables and ``trusted/`` of the town whose servers listen on these ports.

    Files that are there already are replaced; ``data/`` is left alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server_identity(folder)
    _text(folder / "site.toml", _site_toml(ports, dashboard_host, dashboard_port))
    _text(folder / "policy.toml", _policy_toml())
    _table(folder / "stations.csv", _columns(Station), (asdict(station) for station in town.stations))
    _table(folder / "buildings.csv", _columns(Building), (asdict(building) for building in town.buildings))
    _table(folder / "rooms.csv", _columns(Room), (asdict(room) for room in town.rooms))
    _table(folder / "devices.csv", _columns(Device), (asdict(device) for device in _devices(town, ports, station_interval_s)))
    _table(folder / "curves.csv", ("station_id", "effective_from", "outdoor_c", "supply_c", "filed_by", "reason"), _curve_rows(town))


def _site_toml(ports: Ports, host: str, port: int) -> str:
    subscriptions = "".join(
        f'\n[[mqtt.subscription]]\ntopic = "{topic}"\nprofile = "{profile}"\n'
        for topic, profile in (
            ("application/+/device/+/event/up", "chirpstack"),
            ("v3/+/devices/+/up", "the_things_stack"),
            ("zigbee2mqtt/#", "zigbee2mqtt"),
            ("edge/+/points", "edge_json"),
        )
    )
    return f"""# The demo town. Everything here is invented; it is written anew at each start of the demo.
name = "{TOWN_NAME}"
timezone = "{TIMEZONE}"
policy = "policy.toml"
hold_max_min = 30
station_hold_min = 10
room_interval_s = {ROOM_INTERVAL_S}
hotline = "0431-12345678"

[dashboard]
host = "{host}"
port = {port}

[journal]
days = 7

[history]
kind = "parquet"

# The embedded broker speaks MQTT 3.1.1.
[[mqtt]]
name = "rooms"
url = "mqtt://{HOST}:{ports.mqtt}"
client_id = "keepwarm-demo"
username = "{MQTT_USER}"
password = "env:{MQTT_PASSWORD}"
protocol = "3.1.1"
{subscriptions}"""


def _policy_toml() -> str:
    shipped = Path(domain.__file__).parent / "policies" / "default.toml"
    return shipped.read_text(encoding="utf-8").replace('name = "default"', 'name = "demo"') + OFFICE


def _devices(town: Town, ports: Ports, interval_s: float) -> list[Device]:
    return [
        Device(
            device_id=f"{station.station_id}-PLC",
            station_id=station.station_id,
            protocol=access.protocol,
            address=_address(access, ports),
            profile=PROFILE_OF[access.protocol],
            unit=access.unit,
            base=access.base,
            interval_s=interval_s,
            timeout_s=TIMEOUT_S,
            security="Basic256Sha256,SignAndEncrypt" if access.secure else "",
            user=OPCUA_USER if access.secure else "",
            password=f"env:{OPCUA_PASSWORD}" if access.secure else "",
        )
        for station, access in zip(town.stations, town.access, strict=True)
    ]


def _address(access: Access, ports: Ports) -> str:
    if access.protocol == "opcua":
        return opcua_url(ports.opcua[access.server])
    numbers = ports.modbus_tcp if access.protocol == "modbus_tcp" else ports.modbus_rtu_tcp
    return f"{HOST}:{numbers[access.server]}"


def _curve_rows(town: Town) -> Iterable[dict[str, Any]]:
    for curve in town.curves:
        for outdoor_c, supply_c in zip(curve.outdoor_c, curve.supply_c, strict=True):
            yield {
                "station_id": curve.station_id,
                "effective_from": iso(curve.effective_from_ms, ZoneInfo(TIMEZONE)),
                "outdoor_c": outdoor_c,
                "supply_c": supply_c,
                "filed_by": curve.filed_by,
                "reason": curve.reason,
            }


def _columns(kind: type[Station | Building | Room | Device]) -> tuple[str, ...]:
    return tuple(kind.__dataclass_fields__)


def _table(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:  # Excel knows UTF-8 by its mark
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({column: "" if value is None else value for column, value in row.items()} for row in rows)


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
