"""The demo town, invented but laid out like a real one: a heat source, two branches, 12 stations, 30 buildings, 400 rooms."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from domain.curve import FiledCurve, textbook_curve_c
from domain.site import Building, Premises, Protocol, Room, Station

SOURCE_ID = "HS1"
TOWN_NAME = "东郊示范供热区"
TIMEZONE = "Asia/Shanghai"
BRANCHES = ("east", "west")
DESIGN_OUTDOOR_C = -24.0
DESIGN_LOAD_W_M2 = 45.0
WATER_KWH_M3K = 1.163  # heat that warms a cubic metre of water by one kelvin

SensorFormat = Literal["chirpstack", "the_things_stack", "zigbee2mqtt", "edge_json"]


@dataclass(frozen=True)
class _BuildingPlan:
    name: str
    street: str
    floors: int
    flats: int
    entrances: int
    premises: Premises = "residential"


@dataclass(frozen=True)
class _StationPlan:
    name: str
    district: str
    heated_area_m2: float
    lat: float
    lon: float
    buildings: tuple[_BuildingPlan, ...]


def _block(name: str, street: str, floors: int, flats: int, entrances: int = 4) -> _BuildingPlan:
    return _BuildingPlan(name, street, floors, flats, entrances)


_PLAN = (
    _StationPlan("和平路站", "东一片区", 92_000, 43.8142, 125.3391, (
        _block("和平小区1号楼", "和平路18号", 7, 2),
        _block("和平小区2号楼", "和平路18号", 6, 2),
        _block("纺织宿舍5号楼", "和平路36号", 6, 3, 3))),
    _StationPlan("建设街站", "东一片区", 68_000, 43.8105, 125.3462, (
        _block("建设新村3号楼", "建设街7号", 6, 2),
        _block("建设新村8号楼", "建设街9号", 5, 3, 5))),
    _StationPlan("东盛路站", "东一片区", 105_000, 43.8067, 125.3528, (
        _block("东盛花园1号楼", "东盛路120号", 7, 2),
        _block("东盛花园6号楼", "东盛路122号", 6, 2),
        _block("机车厂宿舍2号楼", "机车巷4号", 6, 2, 3))),
    _StationPlan("向阳街站", "东二片区", 74_000, 43.8181, 125.3544, (
        _block("向阳家园2号楼", "向阳街55号", 6, 2),
        _block("向阳家园7号楼", "向阳街57号", 6, 3, 3))),
    _StationPlan("文化广场站", "东二片区", 118_000, 43.8213, 125.3457, (
        _block("文苑小区4号楼", "文化街31号", 7, 2),
        _block("文苑小区9号楼", "文化街33号", 6, 2),
        _block("师范家属楼1号楼", "育才路2号", 5, 3))),
    _StationPlan("铁北路站", "东二片区", 52_000, 43.8248, 125.3369, (
        _block("铁北新居11号楼", "铁北路88号", 6, 2),
        _BuildingPlan("铁北平房甲排", "铁北三巷", 1, 8, 1, "bungalow"))),
    _StationPlan("西安路站", "西一片区", 96_000, 43.8119, 125.3105, (
        _block("锦绣园3号楼", "西安路210号", 7, 2),
        _block("锦绣园5号楼", "西安路212号", 6, 3, 3),
        _block("邮电小区1号楼", "西安路240号", 6, 2))),
    _StationPlan("解放桥站", "西一片区", 71_000, 43.8071, 125.3034, (
        _block("桥畔人家2号楼", "解放桥街15号", 6, 2),
        _block("桥畔人家6号楼", "解放桥街19号", 7, 2))),
    _StationPlan("南湖路站", "西一片区", 134_000, 43.8012, 125.3120, (
        _block("南湖新城A座", "南湖路300号", 11, 2, 2),
        _block("南湖小区4号楼", "南湖路288号", 6, 2),
        _block("南湖小区5号楼", "南湖路288号", 6, 2))),
    _StationPlan("工农街站", "西二片区", 83_000, 43.8034, 125.2961, (
        _block("工农新村6号楼", "工农街66号", 6, 2),
        _BuildingPlan("政务服务中心", "工农街1号", 4, 3, 1, "contract"))),
    _StationPlan("红旗街站", "西二片区", 88_000, 43.8096, 125.2917, (
        _block("红旗小区10号楼", "红旗街41号", 7, 2),
        _block("红旗小区12号楼", "红旗街43号", 6, 2),
        _block("电影宿舍3号楼", "红旗街79号", 5, 2))),
    _StationPlan("西郊站", "西二片区", 47_000, 43.8151, 125.2864, (
        _block("西郊安置1号楼", "西郊路5号", 6, 2),
        _BuildingPlan("西郊平房乙排", "西郊二巷", 1, 12, 1, "bungalow"))),
)  # fmt: skip


@dataclass(frozen=True)
class Access:
    """How a station's controller is reached: protocol, which of the protocol's servers, the unit behind it, the block's first register."""

    protocol: Protocol
    server: int = 0
    unit: int = 1
    base: int = 0
    secure: bool = False


# Two Modbus TCP gateways with three units each, two serial servers (RTU over TCP), one open and one secured OPC UA server.
_ACCESS = (
    Access("modbus_tcp", 0, 1), Access("modbus_tcp", 0, 2), Access("modbus_tcp", 0, 3),
    Access("modbus_tcp", 1, 1, 100), Access("modbus_tcp", 1, 2, 100), Access("modbus_tcp", 1, 7, 100),
    Access("modbus_rtu_tcp", 0, 1), Access("modbus_rtu_tcp", 0, 2), Access("modbus_rtu_tcp", 1, 5),
    Access("opcua", 0), Access("opcua", 0), Access("opcua", 1, secure=True),
)  # fmt: skip

_FORMATS: tuple[SensorFormat, ...] = ("chirpstack", "the_things_stack", "zigbee2mqtt", "edge_json")


@dataclass(frozen=True)
class Town:
    """The town's layout. Tuples are in the order of the arrays of the physics: station k, building k, room k."""

    seed: int
    stations: tuple[Station, ...]
    access: tuple[Access, ...]
    buildings: tuple[Building, ...]
    rooms: tuple[Room, ...]
    formats: tuple[SensorFormat, ...]  # of each room's sensor
    curves: tuple[FiledCurve, ...]
    branch_of_station: NDArray[np.intp]
    station_of_room: NDArray[np.intp]
    building_of_room: NDArray[np.intp]

    @cached_property
    def station_index(self) -> dict[str, int]:
        """Station id → its place in the arrays."""
        return {station.station_id: index for index, station in enumerate(self.stations)}

    @cached_property
    def room_index(self) -> dict[str, int]:
        """Room id → its place in the arrays."""
        return {room.room_id: index for index, room in enumerate(self.rooms)}

    @cached_property
    def design_flow_m3h(self) -> NDArray[np.float64]:
        """Design flow of each station's secondary circuit, m³/h."""
        return np.array([station.design_flow_m3h for station in self.stations], np.float64)

    @cached_property
    def design_power_kw(self) -> NDArray[np.float64]:
        """Heat each station delivers at the design outdoor temperature, kW."""
        return np.array([station.heated_area_m2 for station in self.stations], np.float64) * DESIGN_LOAD_W_M2 / 1000


def build_town(seed: int = 1) -> Town:
    """The demo town; the layout is always the same, ``seed`` varies the rooms' small differences, weather and habits."""
    stations: list[Station] = []
    buildings: list[Building] = []
    rooms: list[Room] = []
    formats: list[SensorFormat] = []
    for number, plan in enumerate(_PLAN):
        station = _station(number, plan)
        stations.append(station)
        sensor_format = _FORMATS[number // 3]
        for count, building_plan in enumerate(plan.buildings, 1):
            building = _building(station, plan, count, building_plan)
            buildings.append(building)
            new = _rooms(building, building_plan, sensor_format)
            rooms.extend(new)
            formats.extend([sensor_format] * len(new))
    place = {building.building_id: index for index, building in enumerate(buildings)}
    station_place = {station.station_id: index for index, station in enumerate(stations)}
    return Town(
        seed=seed,
        stations=tuple(stations),
        access=_ACCESS,
        buildings=tuple(buildings),
        rooms=tuple(rooms),
        formats=tuple(formats),
        curves=tuple(_curve(number, station) for number, station in enumerate(stations)),
        branch_of_station=np.array([0 if number < len(_PLAN) // 2 else 1 for number in range(len(_PLAN))], np.intp),
        station_of_room=np.array([station_place[str(room.station_id)] for room in rooms], np.intp),
        building_of_room=np.array([place[str(room.building_id)] for room in rooms], np.intp),
    )


def _station(number: int, plan: _StationPlan) -> Station:
    power_kw = plan.heated_area_m2 * DESIGN_LOAD_W_M2 / 1000
    return Station(
        station_id=f"S{number + 1:02d}",
        name=plan.name,
        source_id=SOURCE_ID,
        district=plan.district,
        lat=plan.lat,
        lon=plan.lon,
        design_flow_m3h=round(power_kw / (WATER_KWH_M3K * 25.0), 1),
        heated_area_m2=plan.heated_area_m2,
    )


def _building(station: Station, plan: _StationPlan, count: int, building: _BuildingPlan) -> Building:
    return Building(
        building_id=f"{station.station_id}-B{count:02d}",
        station_id=station.station_id,
        name=building.name,
        street=building.street,
        floors=building.floors,
        households=building.floors * building.flats * building.entrances,
        lat=round(plan.lat + 0.0011 * (count - 2), 4),
        lon=round(plan.lon + 0.0016 * (1.5 - count), 4),
    )


def _rooms(building: Building, plan: _BuildingPlan, sensor_format: SensorFormat) -> list[Room]:
    return [
        Room(
            room_id=(room_id := f"{building.building_id}-{floor}{flat:02d}"),
            building_id=building.building_id,
            station_id=building.station_id,
            premises=plan.premises,
            schedule="office" if plan.premises == "contract" else None,
            floor=floor,
            unit=f"{flat:02d}",
            sensor_id=_sensor_id(room_id, sensor_format),
        )
        for floor in range(1, plan.floors + 1)
        for flat in range(1, plan.flats + 1)
    ]


def _sensor_id(room_id: str, sensor_format: SensorFormat) -> str:
    """The sensor's name as its network gives it: a device EUI, a device id, a friendly name with slashes, a tag of an edge box."""
    if sensor_format == "chirpstack":
        return "24e124" + hashlib.sha256(room_id.encode()).hexdigest()[:10]
    if sensor_format == "the_things_stack":
        return "room-" + room_id.lower()
    return room_id.replace("-", "/") if sensor_format == "zigbee2mqtt" else "R" + room_id.replace("-", "")


def _curve(number: int, station: Station) -> FiledCurve:
    """The curve filed before the season: the textbook's for 75/50 at −24 ℃, shifted a little from station to station."""
    outdoor_c = np.array([-24.0, -20.0, -15.0, -10.0, -5.0, 0.0, 5.0, 10.0])
    supply_c, _ = textbook_curve_c(outdoor_c, design_outdoor_c=DESIGN_OUTDOOR_C)
    shift_k = (-1.0, 0.0, 0.5, 1.0)[number % 4]
    return FiledCurve(
        station_id=station.station_id,
        effective_from_ms=1_761_926_400_000,  # 2025-11-01 00:00 +08:00, two weeks before the season
        outdoor_c=tuple(float(value) for value in outdoor_c),
        supply_c=tuple(float(value) for value in np.round((supply_c + shift_k) * 2) / 2),
        filed_by="生产技术科",
        reason="2025-2026 供暖季备案",
    )
