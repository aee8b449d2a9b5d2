"""Messages look as domain.md says each network writes them, and the shipped profiles find the values in them."""

import json
import tomllib
from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatch
from typing import Any

import numpy as np
import pytest

from simulators.payloads import Message, announcements, messages
from simulators.profiles import PROFILES
from simulators.sensing import RoomReadings
from simulators.simulate import DEMO_START_MS
from simulators.town import Town

AT_MS = DEMO_START_MS + 123_000
AT = datetime.fromisoformat("2026-01-13T19:32:03+00:00")
ROOM_OF = {"chirpstack": "S01-B03-502", "the_things_stack": "S04-B01-302", "zigbee2mqtt": "S07-B01-101", "edge_json": "S10-B01-201"}


def of_rooms(town: Town, *room_ids: str, temp_c: float = 20.7) -> list[Message]:
    rooms = np.array([town.room_index[room_id] for room_id in room_ids])
    rows = np.tile([temp_c, 36.0, 88.0, -97.0], (len(rooms), 1))
    return messages(town, RoomReadings(rooms, np.full(len(rooms), AT_MS), rows))


def body_of(message: Message) -> Any:
    return json.loads(message.payload)


def find(document: Any, path: str) -> Any:
    for step in path.split("."):
        document = document[int(step) if isinstance(document, list) else step]
    return document


def test_chirpstack(town: Town) -> None:
    [message] = of_rooms(town, ROOM_OF["chirpstack"])
    body = body_of(message)
    dev_eui = town.rooms[town.room_index[ROOM_OF["chirpstack"]]].sensor_id
    assert message.topic == f"application/rooms/device/{dev_eui}/event/up"
    assert len(str(dev_eui)) == 16
    assert datetime.fromisoformat(body["time"]) == AT
    assert body["rxInfo"][0]["rssi"] == -97
    assert {"deduplicationId", "fCnt", "object", "deviceInfo"} <= body.keys()
    assert (message.qos, message.retain) == (1, False)


def test_some_codecs_write_numbers_as_strings(town: Town) -> None:
    rooms = [room.room_id for room in town.rooms if room.station_id == "S01"]
    kinds = {type(body_of(message)["object"]["temperature"]) for message in of_rooms(town, *rooms)}
    assert kinds == {str, float}


def test_the_things_stack_leaves_out_zeros(town: Town) -> None:
    room_id = ROOM_OF["the_things_stack"]
    [message] = of_rooms(town, room_id)
    assert message.topic == f"v3/rooms@heat/devices/room-{room_id.lower()}/up"
    body = body_of(message)
    assert body["uplink_message"]["decoded_payload"] == {"temperature": 20.7, "humidity": 36, "battery": 88}
    assert body["received_at"].endswith("Z")
    assert message.qos == 0
    [message] = of_rooms(town, room_id, temp_c=0.0)
    assert "temperature" not in body_of(message)["uplink_message"]["decoded_payload"]


def test_zigbee2mqtt_retains_its_state_under_a_name_with_slashes(town: Town) -> None:
    [message] = of_rooms(town, ROOM_OF["zigbee2mqtt"])
    assert message.topic == "zigbee2mqtt/S07/B01/101"
    assert message.retain
    assert body_of(message)["last_seen"] == "2026-01-14T03:32:03+08:00"
    assert not any(sent.point.endswith("rssi_dbm") for sent in message.readings)
    said = announcements(town)
    assert said[0].topic == "zigbee2mqtt/bridge/state"
    assert all(one.retain and not one.readings for one in said)
    assert len(said) == 1 + town.formats.count("zigbee2mqtt")


def test_an_edge_box_sends_many_points_in_a_message(town: Town) -> None:
    rooms = [room.room_id for room in town.rooms if room.building_id == "S10-B01"]
    [message] = of_rooms(town, *rooms)
    body = body_of(message)
    assert message.topic == "edge/S10-B01/points"
    assert len(body["points"]) == 4 * len(rooms) == len(message.readings)
    point = body["points"][0]
    assert point.keys() == {"point_id", "value", "unit", "quality", "timestamp", "source"}
    assert point["timestamp"] == AT_MS


def test_boxes_of_two_buildings_send_two_messages(town: Town) -> None:
    assert [message.topic for message in of_rooms(town, "S10-B01-201", "S11-B01-201")] == ["edge/S10-B01/points", "edge/S11-B01/points"]


def found_by_profile(profile: dict[str, Any], message: Message) -> Iterator[tuple[str, str, float]]:
    """Sensor, quantity and value of each field, by the profile alone."""
    body = body_of(message)
    if profile.get("points"):
        paths = {field["path"]: field["quantity"] for field in profile["field"]}
        for point in find(body, profile["points"]):
            sensor, _, path = point[profile["point_id"]].rpartition(".")
            yield sensor, paths[path], float(point[profile["point_value"]])
        return
    levels = message.topic.split("/")
    where = profile["sensor"].removeprefix("topic:")
    sensor = "/".join(levels[int(where[:-1]) :]) if where.endswith("+") else levels[int(where)]
    for field in profile["field"]:
        yield sensor, field["quantity"], float(find(body, field["path"]))


@pytest.mark.parametrize("profile_name", ROOM_OF)
def test_the_shipped_profile_reads_what_is_sent(town: Town, profile_name: str) -> None:
    profile = tomllib.loads((PROFILES / f"{profile_name}.toml").read_text(encoding="utf-8"))
    rooms = [room for room, sensor_format in zip(town.rooms, town.formats, strict=True) if sensor_format == profile_name]
    room_of = {room.sensor_id: room.room_id for room in rooms}
    for message in of_rooms(town, *(room.room_id for room in rooms)):
        assert fnmatch(message.topic, profile["topic"].replace("+", "*").replace("#", "*"))
        found = {(f"room/{room_of[sensor]}/{quantity}", value) for sensor, quantity, value in found_by_profile(profile, message)}
        assert found == {(sent.point, sent.value) for sent in message.readings}
        assert {sent.measured_at for sent in message.readings} == {AT_MS}
