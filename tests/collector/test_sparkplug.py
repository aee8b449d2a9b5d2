"""Sparkplug B, against payloads built by hand from the specification's wire format."""

import struct
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.payload import Content, Payload
from collector.sparkplug import Births, NotSparkplugError
from domain.profile import MqttProfile
from domain.reading import Quality
from store.site_folder.profiles import SHIPPED, load_profile
from tests.collector.sparkplug_wire import BOOLEAN, DOUBLE, FLOAT, INT16, STRING, Sent, message

AT = 1_796_083_200_000


@pytest.fixture
def payload() -> Payload:
    profile = load_profile(Path(SHIPPED) / "sparkplug_b.toml")
    assert isinstance(profile, MqttProfile)
    return Payload(profile, ZoneInfo("Asia/Shanghai"))


def rows(content: Content) -> list[tuple[str, str, float, int, int]]:
    return [(one.sensor, one.quantity, one.value, one.measured_at - AT, one.quality) for one in content.values]


def test_names_are_told_at_birth_and_aliases_stand_for_them_afterwards(payload: Payload) -> None:
    births = Births(None)
    born = births.read(
        "spBv1.0/town/DBIRTH/S01/B03",
        message([Sent("502/temperature", 20.5, FLOAT, alias=7, at_ms=AT), Sent("503/humidity", 41, INT16, alias=8, at_ms=AT)], seq=1),
    )
    assert born.presence == ("town/S01/B03", True)
    assert rows(payload.read_told(born, AT)) == [
        ("town/S01/B03/502", "indoor_temp_c", 20.5, 0, 0),
        ("town/S01/B03/503", "indoor_humidity_pct", 41, 0, 0),
    ]
    told = births.read("spBv1.0/town/DDATA/S01/B03", message([Sent(None, 21.3, FLOAT, alias=7, at_ms=AT + 1000)], seq=2))
    assert rows(payload.read_told(told, AT + 1500)) == [("town/S01/B03/502", "indoor_temp_c", 21.3, 1000, 0)]


def test_an_alias_without_a_birth_is_counted_by_its_node(payload: Payload) -> None:
    told = Births(None).read("spBv1.0/town/DDATA/S01/B03", message([Sent(None, 21.3, FLOAT, alias=7, at_ms=AT)], seq=2))
    content = payload.read_told(told, AT)
    assert (content.values, content.faults) == ([], ["alias without a birth: town/S01"])


def test_births_are_kept_over_a_restart(payload: Payload, tmp_path: Path) -> None:
    Births(tmp_path / "births.json").read("spBv1.0/town/NBIRTH/S01", message([Sent("temperature", -5, INT16, alias=3, at_ms=AT)], seq=0))
    told = Births(tmp_path / "births.json").read("spBv1.0/town/NDATA/S01", message([Sent(None, -6, 0, alias=3, at_ms=AT)], seq=1))
    assert rows(payload.read_told(told, AT)) == [("town/S01", "indoor_temp_c", -6, 0, 0)], "the type is the birth's as well"


def test_a_new_birth_of_the_node_forgets_its_devices() -> None:
    births = Births(None)
    births.read("spBv1.0/town/DBIRTH/S01/B03", message([Sent("temperature", 20.5, FLOAT, alias=7)], seq=1))
    births.read("spBv1.0/town/NBIRTH/S01", message([Sent("bdSeq", 3, INT16)], seq=0))
    assert births.read("spBv1.0/town/DDATA/S01/B03", message([Sent(None, 21.3, FLOAT, alias=7)], seq=1)).faults == [
        "alias without a birth: town/S01"
    ]


@pytest.mark.parametrize("kind", ["NBIRTH", "NDATA"])
def test_what_a_birth_repeats_keeps_its_own_time_and_what_data_lies_about_does_not(kind: str, payload: Payload) -> None:
    births = Births(None)
    births.read("spBv1.0/g/NBIRTH/n", message([Sent("temperature", 1.0, FLOAT, at_ms=AT)], seq=0))
    told = births.read(f"spBv1.0/g/{kind}/n", message([Sent("temperature", 20.5, FLOAT, at_ms=AT - 7_200_000)], seq=1))
    expected = (-7_200_000, Quality.GOOD) if kind == "NBIRTH" else (0, Quality.CLOCK)
    assert [(row[3], row[4]) for row in rows(payload.read_told(told, AT))] == [expected]


def test_a_historical_value_has_its_own_time(payload: Payload) -> None:
    told = Births(None).read(
        "spBv1.0/g/NDATA/n", message([Sent("temperature", 20.5, FLOAT, at_ms=AT - 86_400_000, historical=True)], seq=1)
    )
    assert [row[3] for row in rows(payload.read_told(told, AT))] == [-86_400_000]


def test_null_text_quality_and_own_points(payload: Payload) -> None:
    sent = [
        Sent("a/temperature", None, FLOAT),
        Sent("b/temperature", "warm", STRING),
        Sent("c/temperature", 20.0, DOUBLE, quality=0),
        Sent("d/temperature", 20.0, DOUBLE, quality=500),
        Sent("e/temperature", 20.0, DOUBLE, quality=192),
        Sent("station/S01/pump1_running", True, BOOLEAN),
        Sent("Node Control/Rebirth", False, BOOLEAN),
    ]
    content = payload.read_told(Births(None).read("spBv1.0/g/NDATA/n", message(sent, seq=1, at_ms=AT)), AT)
    assert [(one.sensor, one.quality) for one in content.values] == [
        ("g/n/a", Quality.NOT_A_NUMBER),
        ("g/n/b", Quality.DECODE),
        ("g/n/c", Quality.BAD),
        ("g/n/d", Quality.BAD),
        ("g/n/e", Quality.GOOD),
        ("station/S01/pump1_running", Quality.GOOD),
    ]
    assert content.values[-1].value == 1.0
    assert content.faults == ["metric without a field"]


def test_a_gap_in_the_sequence_is_counted_and_round_again_is_none() -> None:
    births = Births(None)
    faults = [births.read("spBv1.0/g/NDATA/n", message([], seq=seq)).faults for seq in (254, 255, 0, 2)]
    assert faults == [[], [], [], ["sequence gap: g/n"]]


def test_deaths_are_told_and_states_of_hosts_and_commands_are_nothing() -> None:
    births = Births(None)
    assert births.read("spBv1.0/g/NDEATH/n", message([Sent("bdSeq", 3, INT16)])).presence == ("g/n", False)
    assert births.read("spBv1.0/g/DDEATH/n/d", message([], seq=1)).presence == ("g/n/d", False)
    for topic in ("spBv1.0/STATE/host", "spBv1.0/g/NCMD/n", "spBv1.0/g/DCMD/n/d"):
        told = births.read(topic, b"{}")
        assert (told.metrics, told.faults, told.presence) == ([], [], None)


@pytest.mark.parametrize(
    ("topic", "payload"), [("spBv1.0/g/NDATA/n", b"\xff\xff"), ("spBv1.0/g/XDATA/n", b""), ("other/g/NDATA/n", b""), ("spBv1.0", b"")]
)
def test_what_is_no_sparkplug_has_a_reason(topic: str, payload: bytes) -> None:
    with pytest.raises(NotSparkplugError, match=r"not protobuf|no topic of Sparkplug"):
        Births(None).read(topic, payload)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reading(payload: bytes) -> None:
    try:
        Births(None).read("spBv1.0/g/NBIRTH/n", payload)
    except NotSparkplugError:
        return


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_the_shortest_decimal_that_means_it(value: float) -> None:
    told = Births(None).read("spBv1.0/g/NDATA/n", message([Sent("temperature", value, FLOAT)], seq=1))
    (metric,) = told.metrics
    assert isinstance(metric.value, float)
    assert struct.pack("<f", metric.value) == struct.pack("<f", value)


@given(st.integers(-32768, 32767))
def test_signed_integers_keep_their_sign(value: int) -> None:
    (metric,) = Births(None).read("spBv1.0/g/NDATA/n", message([Sent("temperature", value, INT16)], seq=1)).metrics
    assert metric.value == value


@pytest.mark.parametrize(
    ("sent_as", "value", "read"), [(FLOAT, 20.5, 20.5), (DOUBLE, 20.25, 20.25), (STRING, "20.5", 20.5), (BOOLEAN, True, 1.0)]
)
def test_a_metric_that_is_sent_as_another_kind_than_it_says_is_read(
    sent_as: int, value: float | str, read: float, payload: Payload
) -> None:
    sent = [Sent("temperature", value, INT16, at_ms=AT, sent_as=sent_as), Sent("humidity", 41, INT16, at_ms=AT)]
    content = payload.read_told(Births(None).read("spBv1.0/town/DDATA/S01/B03", message(sent, seq=1)), AT)
    assert [row[1:3] for row in rows(content)] == [("indoor_temp_c", read), ("indoor_humidity_pct", 41)]


def test_a_metric_whose_name_is_no_text_is_counted_and_harms_no_other(payload: Payload, tmp_path: Path) -> None:
    sent = [Sent(b"temp\xff\xfe", 20.5, FLOAT, alias=7, at_ms=AT), Sent("humidity", 41, INT16, alias=8, at_ms=AT)]
    content = payload.read_told(Births(tmp_path / "births.json").read("spBv1.0/town/DBIRTH/S01/B03", message(sent, seq=1)), AT)
    assert (content.faults, [row[1:3] for row in rows(content)]) == (["metric's name is not UTF-8"], [("indoor_humidity_pct", 41)])


def test_births_that_can_not_be_written_now_are_known_and_written_at_the_next(payload: Payload, tmp_path: Path) -> None:
    kept = tmp_path / "later" / "births.json"
    births = Births(kept)
    birth = message([Sent("temperature", 20.5, FLOAT, alias=7, at_ms=AT)], seq=0)
    births.read("spBv1.0/town/NBIRTH/S01", birth)
    told = births.read("spBv1.0/town/NDATA/S01", message([Sent(None, 21.3, FLOAT, alias=7, at_ms=AT)], seq=1))
    assert rows(payload.read_told(told, AT)) == [("town/S01", "indoor_temp_c", 21.3, 0, 0)]
    kept.parent.mkdir()
    births.read("spBv1.0/town/NBIRTH/S01", birth)
    told = Births(kept).read("spBv1.0/town/NDATA/S01", message([Sent(None, 21.4, FLOAT, alias=7, at_ms=AT)], seq=1))
    assert rows(payload.read_told(told, AT)) == [("town/S01", "indoor_temp_c", 21.4, 0, 0)]
