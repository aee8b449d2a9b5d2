"""The messages of the room sensors, as their networks send them (domain.md, "Room sensors over MQTT")."""

import json
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from domain.clock import iso
from simulators.sensing import ROOM_INTERVAL_S, ROOM_QUANTITIES, RoomReadings, quantities_of
from simulators.town import TIMEZONE, SensorFormat, Town

_ZONE = ZoneInfo(TIMEZONE)
_NAMESPACE = uuid.UUID("6f1d0c3e-6f0a-4b0e-9a83-5b1f5a3c7d10")
_EDGE_FIELDS = {
    "indoor_temp_c": ("temperature", "℃"),
    "indoor_humidity_pct": ("humidity", "%"),
    "battery_pct": ("battery", "%"),
    "rssi_dbm": ("rssi", "dBm"),
}


class Sent(NamedTuple):
    """One reading inside a message: the point it is meant for, the instant (UTC ms) and the value."""

    point: str
    measured_at: int
    value: float


@dataclass(frozen=True)
class Message:
    """One MQTT message and the readings in it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    readings: tuple[Sent, ...]


@dataclass(frozen=True)
class _Report:
    """One sensor's report: its room's place and id, the sensor's id, the values by quantity."""

    place: int
    room_id: str
    sensor_id: str
    building_id: str
    station_id: str
    sensor_format: SensorFormat
    measured_at: int
    values: Mapping[str, float]

    @property
    def count(self) -> int:
        """A frame counter that goes up by one with each report."""
        return self.measured_at // (ROOM_INTERVAL_S * 1000)

    def sent(self) -> tuple[Sent, ...]:
        return tuple(Sent(f"room/{self.room_id}/{quantity}", self.measured_at, value) for quantity, value in self.values.items())


def messages(town: Town, readings: RoomReadings) -> list[Message]:
    """The messages that carry these readings: one per report, but one per edge box and instant."""
    made: list[Message] = []
    at_edge: dict[tuple[str, int], list[_Report]] = {}
    for report in _reports(town, readings):
        if report.sensor_format == "edge_json":
            at_edge.setdefault((report.building_id, report.measured_at), []).append(report)
        else:
            made.append(_ENCODERS[report.sensor_format](report))
    return made + [_edge_json(reports) for reports in at_edge.values()]


def _reports(town: Town, readings: RoomReadings) -> Iterable[_Report]:
    for place, measured_at, row in zip(readings.room.tolist(), readings.measured_at.tolist(), readings.values.tolist(), strict=True):
        room, sensor_format = town.rooms[place], town.formats[place]
        said = dict(zip(ROOM_QUANTITIES, row, strict=True))
        yield _Report(
            place=place,
            room_id=room.room_id,
            sensor_id=str(room.sensor_id),
            building_id=str(room.building_id),
            station_id=str(room.station_id),
            sensor_format=sensor_format,
            measured_at=measured_at,
            values={quantity: round(said[quantity], 1) for quantity in quantities_of(sensor_format)},
        )


def _chirpstack(report: _Report) -> Message:
    values = report.values
    numbers: dict[str, Any] = {
        "temperature": values["indoor_temp_c"],
        "humidity": int(values["indoor_humidity_pct"]),
        "battery": int(values["battery_pct"]),
    }
    if report.place % 3 == 0:  # some codecs write numbers as strings
        numbers = {name: str(number) for name, number in numbers.items()}
    body = {
        "deduplicationId": str(uuid.uuid5(_NAMESPACE, f"{report.sensor_id}/{report.measured_at}")),
        "time": iso(report.measured_at),
        "deviceInfo": {
            "tenantName": "供热公司",
            "applicationId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
            "applicationName": "rooms",
            "deviceProfileName": "EM300-TH",
            "deviceName": report.room_id,
            "devEui": report.sensor_id,
        },
        "devAddr": report.sensor_id[-8:],
        "adr": True,
        "dr": 5,
        "fCnt": report.count % 65536,
        "fPort": 85,
        "confirmed": False,
        "data": b64encode(report.count.to_bytes(8)).decode(),
        "object": numbers,
        "rxInfo": [{"gatewayId": "24e124fffef0" + report.station_id[1:] + "01", "rssi": int(values["rssi_dbm"]), "snr": 8.2}],
        "txInfo": {"frequency": 486_300_000},
    }
    return _message(f"application/rooms/device/{report.sensor_id}/event/up", body, 1, [report])


def _the_things_stack(report: _Report) -> Message:
    values = report.values
    at = datetime.fromtimestamp(report.measured_at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    decoded = {
        "temperature": values["indoor_temp_c"],
        "humidity": int(values["indoor_humidity_pct"]),
        "battery": int(values["battery_pct"]),
        "tamper": False,
    }
    body = {
        "end_device_ids": {"device_id": report.sensor_id, "application_ids": {"application_id": "rooms"}},
        "received_at": at,
        "uplink_message": {
            "f_port": 2,
            "f_cnt": report.count % 65536,
            "frm_payload": b64encode(report.count.to_bytes(8)).decode(),
            "decoded_payload": {name: value for name, value in decoded.items() if value},  # the server leaves out 0 and false
            "rx_metadata": [
                {"gateway_ids": {"gateway_id": f"gw-{report.station_id.lower()}"}, "rssi": int(values["rssi_dbm"]), "snr": 7.5}
            ],
            "received_at": at,
        },
    }
    return _message(f"v3/rooms@heat/devices/{report.sensor_id}/up", body, 0, [report])


def _zigbee2mqtt(report: _Report) -> Message:
    body = {
        "temperature": report.values["indoor_temp_c"],
        "humidity": int(report.values["indoor_humidity_pct"]),
        "battery": int(report.values["battery_pct"]),
        "voltage": 2900,
        "linkquality": 90 + report.place % 60,
        "last_seen": iso(report.measured_at, _ZONE),
    }
    return _message(f"zigbee2mqtt/{report.sensor_id}", body, 1, [report], retain=True)


def _edge_json(reports: list[_Report]) -> Message:
    points = [
        {
            "point_id": f"{report.sensor_id}.{_EDGE_FIELDS[quantity][0]}",
            "value": value,
            "unit": _EDGE_FIELDS[quantity][1],
            "quality": "good",
            "timestamp": report.measured_at,
            "source": {"protocol": "modbus_rtu", "unit": report.place % 200 + 1},
        }
        for report in reports
        for quantity, value in report.values.items()
    ]
    building_id = reports[0].building_id
    return _message(f"edge/{building_id}/points", {"gateway": f"edge-{building_id}", "points": points}, 1, reports)


def _message(topic: str, body: Mapping[str, Any], qos: int, reports: list[_Report], *, retain: bool = False) -> Message:
    payload = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Message(topic, payload, qos, retain, tuple(sent for report in reports for sent in report.sent()))


def announcements(town: Town) -> list[Message]:
    """What Zigbee2MQTT says beside the readings when it starts: its own state and that of each sensor, retained."""
    sensors = [room.sensor_id for room, sensor_format in zip(town.rooms, town.formats, strict=True) if sensor_format == "zigbee2mqtt"]
    topics = ["zigbee2mqtt/bridge/state", *(f"zigbee2mqtt/{sensor}/availability" for sensor in sensors)]
    return [Message(topic, b'{"state":"online"}', 1, retain=True, readings=()) for topic in topics]


_ENCODERS: Mapping[str, Callable[[_Report], Message]] = {
    "chirpstack": _chirpstack,
    "the_things_stack": _the_things_stack,
    "zigbee2mqtt": _zigbee2mqtt,
}
