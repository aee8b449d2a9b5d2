"""Quantities: the authority for every name, unit, text and plausible range (design: domain.md)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


@dataclass(frozen=True)
class Quantity:
    """One physical quantity. ``reject`` and ``suspect`` are (lowest, highest) plausible values; None is no bound.

    A value outside ``reject`` is of bad quality; one outside ``suspect`` is kept and flagged.
    """

    name: str
    unit: str
    zh: str
    en: str
    reject: tuple[float | None, float | None] = (None, None)
    suspect: tuple[float | None, float | None] = (None, None)
    decimals: int = 1
    counter: bool = False


PRESSURE = (-0.1, 2.5)

_ALL = (
    Quantity("primary_supply_temp_c", "℃", "一次供温", "primary supply temperature", (0, 160), (None, 130)),
    Quantity("primary_return_temp_c", "℃", "一次回温", "primary return temperature", (0, 110)),
    Quantity("secondary_supply_temp_c", "℃", "二次供温", "secondary supply temperature", (0, 100), (None, 85)),
    Quantity("secondary_return_temp_c", "℃", "二次回温", "secondary return temperature", (0, 100), (None, 85)),
    Quantity("primary_supply_pressure_mpa", "MPa", "一次供压", "primary supply pressure", PRESSURE, decimals=3),
    Quantity("primary_return_pressure_mpa", "MPa", "一次回压", "primary return pressure", PRESSURE, decimals=3),
    Quantity("secondary_supply_pressure_mpa", "MPa", "二次供压", "secondary supply pressure", PRESSURE, (None, 1.0), decimals=3),
    Quantity("secondary_return_pressure_mpa", "MPa", "二次回压", "secondary return pressure", PRESSURE, (None, 1.0), decimals=3),
    Quantity("primary_flow_m3h", "m³/h", "一次流量", "primary flow", (0, None)),
    Quantity("secondary_flow_m3h", "m³/h", "二次流量", "secondary flow", (0, None)),
    Quantity("makeup_flow_m3h", "m³/h", "补水流量", "make-up flow", suspect=(0, None), decimals=2),  # below 0: a fault to show
    Quantity("heat_power_gjh", "GJ/h", "热功率", "heat power", decimals=2),
    Quantity("heat_energy_gj", "GJ", "累计热量", "heat energy", (0, None), counter=True),
    Quantity("primary_volume_m3", "m³", "一次累计流量", "primary volume", (0, None), decimals=0, counter=True),
    Quantity("secondary_volume_m3", "m³", "二次累计流量", "secondary volume", (0, None), decimals=0, counter=True),
    Quantity("makeup_volume_m3", "m³", "累计补水量", "make-up volume", (0, None), decimals=0, counter=True),
    Quantity("pump_frequency_hz", "Hz", "循环泵频率", "circulation pump frequency", (0, 55)),
    Quantity("pump_running", "", "循环泵运行", "circulation pump running", (0, 1), decimals=0),
    Quantity("makeup_pump_running", "", "补水泵运行", "make-up pump running", (0, 1), decimals=0),
    Quantity("pump_command_hz", "Hz", "循环泵频率给定", "circulation pump frequency command", (0, 55)),
    Quantity("valve_position_pct", "%", "调节阀开度", "valve position", (0, 100)),
    Quantity("valve_command_pct", "%", "调节阀开度给定", "valve position command", (0, 100)),
    Quantity("tank_level_m", "m", "水箱液位", "tank level", (0, None), decimals=2),
    Quantity("outdoor_temp_c", "℃", "室外温度", "outdoor temperature", (-50, 45)),
    Quantity("alarm_word", "", "报警字", "alarm word", (0, 65535), decimals=0),
    Quantity("supply_setpoint_c", "℃", "供温设定", "supply temperature setpoint", (0, 160)),
    Quantity("return_pressure_setpoint_mpa", "MPa", "回压设定", "return pressure setpoint", PRESSURE, decimals=3),
    Quantity("indoor_temp_c", "℃", "室温", "room temperature", (-10, 50), (5, 30)),
    Quantity("indoor_humidity_pct", "%", "室内湿度", "room humidity", (0, 100), decimals=0),
    Quantity("battery_pct", "%", "电池", "battery", (0, 100), decimals=0),
    Quantity("rssi_dbm", "dBm", "信号强度", "signal strength", (-200, 20), decimals=0),
)

# How a source of readings stands (points ``source/ID/…``), as the collector sees it: no device measures these.
_OF_SOURCES = (
    Quantity("exchange_ok", "", "通信正常", "exchange succeeded", decimals=0),
    Quantity("connected", "", "已连接", "connected", decimals=0),
    Quantity("sensors_offline", "", "离线传感器数", "sensors offline", decimals=0),
    Quantity("latency_ms", "ms", "应答时间", "time to answer"),
    Quantity("failures", "", "通信失败次数", "failed exchanges", decimals=0),
    Quantity("overruns", "", "超时轮询次数", "polls overrun", decimals=0),
    Quantity("received_bytes", "B", "接收字节", "bytes received", decimals=0),
    Quantity("silence_s", "s", "距上次正常", "time since the last good exchange", decimals=0),
)

QUANTITIES = {quantity.name: quantity for quantity in _ALL}
SOURCE_QUANTITIES = {quantity.name: quantity for quantity in _OF_SOURCES}

# pump1_running, secondary2_supply_temp_c: the number says which pump or secondary circuit, the rest says what it is.
_NUMBERED = re.compile(r"^(pump|makeup_pump|secondary)(\d+)(_.+)$")


@lru_cache(maxsize=4096)
def quantity(name: str) -> Quantity:
    """The quantity of this name, numbered or not (``pump2_running``).

    Raises KeyError when there is none.
    """
    found = QUANTITIES.get(name) or SOURCE_QUANTITIES.get(name)
    if found is not None:
        return found
    numbered = _NUMBERED.match(name)
    if numbered is None:
        raise KeyError(name)
    one, number = QUANTITIES[numbered[1] + numbered[3]], numbered[2]
    zh, en = f"{one.zh}{number}", f"{one.en} {number}"
    if "pump" in numbered[1]:  # 循环泵1运行, circulation pump 1 running
        zh, en = one.zh.replace("泵", f"泵{number}", 1), one.en.replace("pump", f"pump {number}", 1)
    return Quantity(name, one.unit, zh, en, one.reject, one.suspect, one.decimals, one.counter)


class PointName(NamedTuple):
    """A point's stable name in parts: ``station/S01/secondary_supply_temp_c``, ``room/S01-B03-502/indoor_temp_c``."""

    kind: str
    subject_id: str
    quantity: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.subject_id}/{self.quantity}"


POINT_KINDS = ("station", "room", "source")


def parse_point(name: str) -> PointName:
    """Takes a point's name apart.

    Raises ValueError when it is not ``station/ID/quantity``, ``room/ID/quantity`` or ``source/ID/quantity``.
    """
    kind, _, rest = name.partition("/")
    subject_id, _, last = rest.rpartition("/")
    if kind not in POINT_KINDS or not subject_id or not last:
        raise ValueError(f"{name!r} is not a point: station/ID/quantity, room/ID/quantity or source/ID/quantity would be")
    return PointName(kind, subject_id, last)
