"""Random messages written from domain.md, "Room sensors over MQTT" and "Which time", and what the text says is kept (Sparkplug:
``test_sparkplug``)."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collector.document import parse
from collector.payload import Payload
from domain.profile import MqttProfile
from domain.reading import Quality
from store.site_folder.profiles import SHIPPED, load_profile

RECEIVED = 1_796_083_200_000  # 2026-12-01 08:00:00 in Shanghai
SHANGHAI = ZoneInfo("Asia/Shanghai")
TEN_MIN = 600_000
AGES = (0, 0, 0, 1, 999, 1000, 60_000, TEN_MIN, TEN_MIN + 1000, -TEN_MIN, -TEN_MIN - 1000, 3_600_000, 10**12)
TEMPS_C = (20.5, 17.9, 0.0, -3.25, 18.0, 20, 327.67)
Kept = dict[tuple[str, str], tuple[float, int, int]]  # sensor, quantity → value, measured_at, quality
Message = tuple[str, bytes, Kept]


def when(age_ms: int | None) -> tuple[int, int]:
    """By "the device's, if within 10 min of receipt …; else the time of receipt, with quality clock"; none given: that of receipt."""
    if age_ms is None:
        return RECEIVED, Quality.GOOD
    return (RECEIVED - age_ms, Quality.GOOD) if abs(age_ms) <= TEN_MIN else (RECEIVED, Quality.CLOCK)


def iso(age_ms: int, hours: int = 8) -> str:
    return (
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=RECEIVED - age_ms))
        .astimezone(timezone(timedelta(hours=hours)))
        .isoformat()
    )


def sensor_values(sensor: str, age_ms: int | None, **values: float) -> Kept:
    """What is kept of one frame; "a probe's exact 0.00 with battery present" is no value."""
    measured_at, quality = when(age_ms)
    found = {(sensor, quantity): (float(value), measured_at, quality) for quantity, value in values.items()}
    if values.get("indoor_temp_c") == 0 and values.get("battery_pct", 0) > 0:
        found[sensor, "indoor_temp_c"] = (0.0, measured_at, Quality.SENTINEL)
    return found


def frame(chance: random.Random) -> dict[str, float]:
    values = {"indoor_temp_c": chance.choice(TEMPS_C[:-1])}
    if chance.random() < 0.5:
        values["indoor_humidity_pct"] = chance.choice([41.5, 0, 100])
    if chance.random() < 0.5:
        values["battery_pct"] = chance.choice([92, 10])
    return values


KEYS = {"indoor_temp_c": "temperature", "indoor_humidity_pct": "humidity", "battery_pct": "battery"}


def chirpstack(chance: random.Random) -> Message:
    """Values under ``object``, only if a codec is set; numbers may be strings; ``rxInfo[].rssi``."""
    age, values, rssi = chance.choice(AGES), frame(chance), chance.choice([-97, -120])
    document = {"deduplicationId": "3ac7", "time": iso(age, chance.choice([0, 8])), "fCnt": 3, "rxInfo": [{"rssi": rssi}, {"rssi": -50}]}
    if chance.random() < 0.8:
        document["object"] = {KEYS[name]: chance.choice([value, str(value)]) for name, value in values.items()}
        values["rssi_dbm"] = rssi
    else:
        values = {"rssi_dbm": rssi}
    return "application/a/device/24e1/event/up", json.dumps(document).encode(), sensor_values("24e1", age, **values)


def the_things_stack(chance: random.Random) -> Message:
    """ "Fields that are 0, false or empty are left out": temperature and humidity that are not there are 0; a battery is never."""
    age, values = chance.choice(AGES), frame(chance)
    decoded = {KEYS[name]: value for name, value in values.items() if value}
    document = {"received_at": iso(age, 0), "uplink_message": {"decoded_payload": decoded}}
    return (
        "v3/app@tenant/devices/room-1/up",
        json.dumps(document).encode(),
        sensor_values("room-1", age, **{"indoor_humidity_pct": 0, **values}),
    )


def milesight(chance: random.Random) -> Message:
    """Late data with its own times, whatever their age."""
    age = chance.choice(AGES)
    kept = sensor_values("24e1", age, indoor_temp_c=20.25)
    late = [chance.choice([3_600_000, 7_200_000, 86_400_000]) * (number + 1) for number in range(chance.randint(0, 3))]
    history = [{"timestamp": (RECEIVED - ms) // 1000, "temperature": 17.5} for ms in dict.fromkeys(late)]
    document = {"time": iso(age), "object": {"temperature": 20.25, "history": history}}
    kept |= {("24e1", f"indoor_temp_c {ms}"): (17.5, RECEIVED - ms, Quality.GOOD) for ms in late}
    return "application/a/device/24e1/event/up", json.dumps(document).encode(), kept


def dragino(chance: random.Random) -> Message:
    """Numbers as strings, 0x7FFF = no probe."""
    age, temp_c = chance.choice(AGES), chance.choice(TEMPS_C)
    measured_at, quality = when(age)
    document = {"time": iso(age), "object": {"TempC_SHT": f"{temp_c:.2f}", "Hum_SHT": "38.2"}}
    kept = {("d", "indoor_temp_c"): (temp_c, measured_at, Quality.SENTINEL if temp_c == 327.67 else quality)}
    return (
        "application/a/device/d/event/up",
        json.dumps(document).encode(),
        kept | {("d", "indoor_humidity_pct"): (38.2, measured_at, quality)},
    )


def zigbee2mqtt(chance: random.Random) -> Message:
    """Names may hold ``/``; ``last_seen`` is optional, and an ISO time or a number."""
    name, age, values = chance.choice(["a", "S01/B03/502", "三号楼/502", "x y/z"]), chance.choice([None, *AGES]), frame(chance)
    document: dict[str, object] = {"linkquality": 80, **{KEYS[one]: value for one, value in values.items()}}
    if age is not None:
        document["last_seen"] = chance.choice([iso(age), RECEIVED - age])
    return f"zigbee2mqtt/{name}", json.dumps(document, ensure_ascii=chance.random() < 0.5).encode(), sensor_values(name, age, **values)


def tasmota(chance: random.Random) -> Message:
    """``Time`` is local without offset; ``TempUnit`` may be F."""
    age, temp_c, unit = chance.choice(AGES) // 1000 * 1000, chance.choice([20.0, -5.0, 17.5]), chance.choice(["C", "F"])
    local = datetime.fromisoformat(iso(age)).replace(tzinfo=None).isoformat()
    shown = temp_c * 1.8 + 32 if unit == "F" else temp_c
    document = {"Time": local, chance.choice(["AM2301", "SI7021", "DS18B20"]): {"Temperature": shown}, "TempUnit": unit}
    return "tele/flur/SENSOR", json.dumps(document).encode(), sensor_values("flur", age, indoor_temp_c=temp_c)


def edge_json(chance: random.Random) -> Message:
    """``{"point_id","value","unit","quality","timestamp"(ms),"source":{…}}``, often many points per message."""
    points, kept = [], {}
    for number in range(chance.randint(1, 5)):
        age, temp_c, (word, said) = chance.choice(AGES), chance.choice([20.5, 18.0]), chance.choice(SAID)
        point = {
            "point_id": f"R{number}.temperature",
            "value": temp_c,
            "unit": "℃",
            "quality": word,
            "timestamp": RECEIVED - age,
            "source": {},
        }
        points.append(point)
        measured_at, quality = when(age)
        kept[f"R{number}", "indoor_temp_c"] = (temp_c, measured_at, said or quality)
    document = points[0] if len(points) == 1 and chance.random() < 0.5 else chance.choice([points, {"gateway": "g", "points": points}])
    return "edge/g/points", json.dumps(document, ensure_ascii=False).encode(chance.choice(["utf-8", "gb18030"])), kept


SAID = [("good", Quality.GOOD), ("good", Quality.GOOD), ("uncertain", Quality.SUSPECT), ("bad", Quality.BAD)]
FORMATS: list[Callable[[random.Random], Message]] = [chirpstack, the_things_stack, milesight, dragino, zigbee2mqtt, tasmota, edge_json]


def read(name: str, topic: str, content: bytes) -> Kept:
    """What the collector makes of it; a frame of history is told apart by its age."""
    profile = load_profile(Path(SHIPPED) / f"{name}.toml")
    assert isinstance(profile, MqttProfile)
    found = Payload(profile, SHANGHAI).read(topic, parse(content), RECEIVED)
    assert found.faults == []
    kept: Kept = {}
    for one in found.values:
        again = f" {RECEIVED - one.measured_at}" if (one.sensor, one.quantity) in kept else ""
        kept[one.sensor, one.quantity + again] = (one.value, one.measured_at, one.quality)
    return kept


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.__name__)
def test_what_is_kept_of_a_message_is_what_the_text_says(form: Callable[[random.Random], Message]) -> None:
    chance = random.Random(form.__name__)
    for _ in range(150):
        topic, content, kept = form(chance)
        assert read(form.__name__, topic, content) == {key: (pytest.approx(value, abs=1e-9), *rest) for key, (value, *rest) in kept.items()}
