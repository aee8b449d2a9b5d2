import json
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.document import UnreadableError, parse
from collector.payload import Content, Payload
from domain.profile import Field, MqttProfile
from domain.reading import Quality
from store.site_folder.profiles import SHIPPED, load_profile

AT = 1_796_083_200_000  # 2026-12-01 08:00:00 in Shanghai
ZONE = ZoneInfo("Asia/Shanghai")


def shipped(name: str) -> Payload:
    profile = load_profile(Path(SHIPPED) / f"{name}.toml")
    assert isinstance(profile, MqttProfile)
    return Payload(profile, ZONE)


def values(content: Content) -> dict[tuple[str, str], tuple[float, int, int]]:
    return {(one.sensor, one.quantity): (one.value, one.measured_at - AT, one.quality) for one in content.values}


def test_chirpstack() -> None:
    document = {
        "deduplicationId": "3ac7e3c4",
        "time": "2026-12-01T07:59:58.500+08:00",
        "deviceInfo": {"devEui": "24e124136b000001"},
        "fCnt": 10,
        "object": {"temperature": "20.6", "humidity": 41.5, "battery": 92},
        "rxInfo": [{"rssi": -97, "snr": 7.5}],
    }
    assert values(shipped("chirpstack").read("application/a/device/24e124136b000001/event/up", document, AT)) == {
        ("24e124136b000001", "indoor_temp_c"): (20.6, -1500, 0),
        ("24e124136b000001", "indoor_humidity_pct"): (41.5, -1500, 0),
        ("24e124136b000001", "battery_pct"): (92, -1500, 0),
        ("24e124136b000001", "rssi_dbm"): (-97, -1500, 0),
    }


def test_chirpstack_without_a_codec_says_only_how_it_was_heard() -> None:
    document = {"time": "2026-12-01T00:00:00Z", "data": "AWc=", "rxInfo": [{"rssi": -97}]}
    assert set(values(shipped("chirpstack").read("application/a/device/x/event/up", document, AT))) == {("x", "rssi_dbm")}


def test_the_things_stack_leaves_out_what_is_zero() -> None:
    document = {
        "received_at": "2026-12-01T00:00:00.123456789Z",
        "uplink_message": {"decoded_payload": {"temperature": 19.5, "battery": 80}},
    }
    assert values(shipped("the_things_stack").read("v3/app@tenant/devices/room-1/up", document, AT)) == {
        ("room-1", "indoor_temp_c"): (19.5, 123, 0),
        ("room-1", "indoor_humidity_pct"): (0.0, 123, 0),
        ("room-1", "battery_pct"): (80, 123, 0),
    }
    nothing = shipped("the_things_stack").read("v3/app@tenant/devices/room-1/up", {"uplink_message": {"f_port": 85}}, AT)
    assert nothing.values == []
    assert nothing.faults == ["no field of the profile"]


def test_milesight_history_has_its_own_times_and_is_never_too_old() -> None:
    frames = [
        {"timestamp": AT // 1000 - 7200, "temperature": 17.5, "humidity": 40},
        {"timestamp": AT // 1000 - 3600, "temperature": 17.9},
        {"timestamp": 3600, "temperature": 1.0},
        {"timestamp": AT // 1000 + 7200, "temperature": 2.0},
    ]
    document = {"time": "2026-12-01T00:00:00Z", "object": {"temperature": 18.4, "history": frames}}
    content = shipped("milesight").read("application/a/device/m/event/up", document, AT)
    rows = [(one.quantity, one.measured_at - AT, one.value, one.quality) for one in content.values]
    assert rows == [
        ("indoor_temp_c", 0, 18.4, 0),
        ("indoor_temp_c", -7_200_000, 17.5, 0),
        ("indoor_humidity_pct", -7_200_000, 40, 0),
        ("indoor_temp_c", -3_600_000, 17.9, 0),
    ]
    assert content.faults == ["history frame without a usable time"] * 2


def test_dragino_writes_numbers_as_text_and_has_a_code_for_no_probe() -> None:
    document = {"time": "2026-12-01T00:00:00Z", "object": {"TempC_SHT": "327.67", "Hum_SHT": "38.2"}}
    assert values(shipped("dragino").read("application/a/device/d/event/up", document, AT)) == {
        ("d", "indoor_temp_c"): (327.67, 0, Quality.SENTINEL),
        ("d", "indoor_humidity_pct"): (38.2, 0, 0),
    }


def test_zigbee2mqtt_names_may_hold_slashes_and_last_seen_may_be_missing() -> None:
    payload = shipped("zigbee2mqtt")
    assert values(payload.read("zigbee2mqtt/S01/B03/502", {"temperature": 21.07, "battery": 100, "linkquality": 80}, AT)) == {
        ("S01/B03/502", "indoor_temp_c"): (21.07, 0, 0),
        ("S01/B03/502", "battery_pct"): (100, 0, 0),
    }
    assert values(payload.read("zigbee2mqtt/a", {"temperature": 21, "last_seen": "2026-12-01T00:00:00+00:00"}, AT + 5000)) == {
        ("a", "indoor_temp_c"): (21, 0, 0)
    }
    assert payload.read("zigbee2mqtt/a/availability", {"state": "online"}, AT).values == []
    assert payload.read("zigbee2mqtt/bridge/devices", [{"temperature": 3}], AT).values == []


def test_tasmota_time_is_local_without_offset_and_fahrenheit_is_converted() -> None:
    document = {"Time": "2026-12-01T08:00:00", "DS18B20": {"Id": "00", "Temperature": 68.0}, "TempUnit": "F"}
    assert values(shipped("tasmota").read("tele/flur/SENSOR", document, AT)) == {("flur", "indoor_temp_c"): (20.0, 0, 0)}
    document["TempUnit"] = "C"
    assert values(shipped("tasmota").read("tele/flur/SENSOR", document, AT)) == {("flur", "indoor_temp_c"): (68.0, 0, 0)}


def test_of_several_fields_for_one_quantity_the_first_that_is_there_counts() -> None:
    document = {"AM2301": {"Temperature": 20.0}, "DS18B20": {"Temperature": 30.0}}
    assert values(shipped("tasmota").read("tele/x/SENSOR", document, AT)) == {("x", "indoor_temp_c"): (20.0, 0, 0)}


def test_edge_boxes_send_many_points_in_one_message() -> None:
    points = [
        {"point_id": "R0901.temperature", "value": 21.3, "quality": "good", "timestamp": AT - 1000},
        {"point_id": "R0901.humidity", "value": "41", "quality": 192, "timestamp": AT - 1000},
        {"point_id": "R0902", "value": 18.0, "quality": "uncertain", "timestamp": AT - 2000},
        {"point_id": "R0903.temperature", "value": 18.0, "quality": "bad", "timestamp": AT},
        {"point_id": "station/S01/outdoor_temp_c", "value": -9.5, "timestamp": AT},
        {"value": 3},
        "nonsense",
    ]
    content = shipped("edge_json").read("edge/S09/points", {"gateway": "edge-S09", "points": points}, AT)
    assert values(content) == {
        ("R0901", "indoor_temp_c"): (21.3, -1000, 0),
        ("R0901", "indoor_humidity_pct"): (41, -1000, 0),
        ("R0902", "indoor_temp_c"): (18.0, -2000, Quality.SUSPECT),
        ("R0903", "indoor_temp_c"): (18.0, 0, Quality.BAD),
        ("station/S01/outdoor_temp_c", ""): (-9.5, 0, 0),
    }
    assert content.faults == ["point without id or value"] * 2


POINT = {"point_id": "R0901.temperature", "value": 21.3, "unit": "℃", "quality": "good", "timestamp": AT - 1000, "source": {"unit": 12}}


@pytest.mark.parametrize("document", [POINT, [POINT], {"points": [POINT]}])
def test_edge_boxes_send_one_point_alone_or_a_bare_list_too(document: object) -> None:
    assert values(shipped("edge_json").read("edge/S09/points", document, AT)) == {("R0901", "indoor_temp_c"): (21.3, -1000, 0)}


def test_one_point_alone_needs_no_list() -> None:
    profile = MqttProfile("p", "p", "json", "p", "id", (Field("indoor_temp_c", "t"),), point_id="id", point_value="v")
    assert values(Payload(profile, ZONE).read("p", {"id": "a", "v": 20}, AT)) == {("a", "indoor_temp_c"): (20.0, 0, 0)}


@pytest.mark.parametrize(
    ("stamp", "measured", "quality"),
    [
        ("2026-12-01T00:10:00Z", 600_000, Quality.GOOD),
        ("2026-11-30T23:49:59Z", 0, Quality.CLOCK),
        ("2026-12-01T01:00:00Z", 0, Quality.CLOCK),
        ("1970-01-01T00:00:10Z", 0, Quality.CLOCK),
        ("no time", 0, Quality.CLOCK),
        (None, 0, Quality.GOOD),
    ],
)
def test_the_device_time_counts_if_it_can_be_true(stamp: str | None, measured: int, quality: Quality) -> None:
    document = {"temperature": 20.0, "last_seen": stamp}
    assert values(shipped("zigbee2mqtt").read("zigbee2mqtt/a", document, AT)) == {("a", "indoor_temp_c"): (20.0, measured, quality)}


@pytest.mark.parametrize(
    ("raw", "quality"),
    [
        (None, Quality.NOT_A_NUMBER),
        ("", Quality.NOT_A_NUMBER),
        ("warm", Quality.DECODE),
        (True, Quality.DECODE),
        ([20], Quality.DECODE),
        ("1_0", Quality.DECODE),
    ],
)
def test_what_is_no_number_is_marked_with_the_reason(raw: object, quality: Quality) -> None:
    content = shipped("zigbee2mqtt").read("zigbee2mqtt/a", {"temperature": raw}, AT)
    assert [(one.value == one.value, one.quality) for one in content.values] == [(False, quality)]


def test_exactly_zero_from_a_device_with_battery_is_a_missing_probe() -> None:
    payload = shipped("zigbee2mqtt")
    assert [one.quality for one in payload.read("zigbee2mqtt/a", {"temperature": 0.0, "battery": 80}, AT).values] == [Quality.SENTINEL, 0]
    assert [one.quality for one in payload.read("zigbee2mqtt/a", {"temperature": 0.0}, AT).values] == [0]
    assert [one.quality for one in payload.read("zigbee2mqtt/a", {"temperature": 0.1, "battery": 80}, AT).values] == [0, 0]


def test_payloads_are_read_in_the_charsets_of_the_field_and_with_bare_nan() -> None:
    assert parse('{"名": "室温", "v": 1}'.encode()) == {"名": "室温", "v": 1}
    assert parse('{"名": "室温", "v": 1}'.encode("gb18030")) == {"名": "室温", "v": 1}
    document = parse(b'{"v": NaN}')
    assert isinstance(document, dict)
    assert document["v"] != document["v"]


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"<xml/>", json.dumps(["x" * 1_100_000]).encode()])
def test_what_can_not_be_read_has_a_reason(payload: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"not JSON|over 1 MiB"):
        parse(payload)


@pytest.mark.parametrize("document", [None, 3, "text", [], [1, 2], {}, {"object": 3}, {"object": {"history": {"a": 1}}}, {"points": 7}])
@pytest.mark.parametrize("name", ["chirpstack", "milesight", "the_things_stack", "zigbee2mqtt", "edge_json", "tasmota", "dragino"])
def test_any_document_is_survived(document: object, name: str) -> None:
    content = shipped(name).read("a/b/c/d/e/f", document, AT)
    assert content.values == [] or name == "the_things_stack"
    assert content.faults or content.values


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["2026-12-01T00:00:00Z", "²", "9" * 400])
)
KEYS = st.sampled_from(
    [
        "object",
        "history",
        "temperature",
        "time",
        "timestamp",
        "rxInfo",
        "rssi",
        "battery",
        "points",
        "point_id",
        "value",
        "quality",
        "uplink_message",
        "decoded_payload",
        "received_at",
        "Time",
        "TempUnit",
        "AM2301",
        "Temperature",
        "last_seen",
        "0",
        "TempC_SHT",
    ]
)
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=30)
EVERY = [shipped(name) for name in ("chirpstack", "milesight", "the_things_stack", "zigbee2mqtt", "edge_json", "tasmota", "dragino")]


@given(DOCUMENTS, st.sampled_from(["application/1/device/a/event/up", "tele/x/SENSOR", "a", "", "zigbee2mqtt/a/b"]))
@settings(deadline=None, max_examples=300)
def test_no_document_breaks_the_reading_and_every_value_has_a_time_and_a_mark(document: object, topic: str) -> None:
    for payload in EVERY:
        for one in payload.read(topic, document, AT).values:
            assert isinstance(one.sensor, str)
            assert -(2**62) < one.measured_at <= AT + 600_000
            assert one.quality in set(Quality)
            assert isinstance(one.value, float)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_parser(payload: bytes) -> None:
    with suppress(UnreadableError):
        parse(payload)


def test_a_sensor_id_may_stand_in_the_payload() -> None:
    profile = MqttProfile("p", "p", "json", "x/+", "dev.id", (Field("indoor_temp_c", "t"),))
    payload = Payload(profile, ZONE)
    assert values(payload.read("x/1", {"dev": {"id": 17}, "t": 20}, AT)) == {("17", "indoor_temp_c"): (20.0, 0, 0)}
    assert payload.read("x/1", {"t": 20}, AT).faults == ["no sensor id"]
