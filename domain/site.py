"""A site: what stands in its folder, checked and typed. Read by ``store.site_folder``.

What there are thousands of has slots: a room takes half the memory.
"""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from domain.curve import FiledCurve
from domain.notice_texts import NoticeTexts, shipped_notice_texts
from domain.policy import Policy
from domain.profile import Profile

Premises = Literal["residential", "bungalow", "contract"]
Heating = Literal["radiators", "floor"]
Protocol = Literal["modbus_tcp", "modbus_rtu_tcp", "modbus_rtu", "opcua"]
JournalKeep = Literal["newest", "oldest"]


@dataclass(frozen=True, slots=True)
class Station:
    """A substation (换热站). ``design_flow_m3h`` is its secondary circuit's design flow, ``…_meter_m3h`` are the ranges of its meters."""

    station_id: str
    name: str = ""
    source_id: str | None = None
    district: str = ""
    lat: float | None = None
    lon: float | None = None
    design_flow_m3h: float | None = None
    heated_area_m2: float | None = None
    heating: Heating = "radiators"
    primary_meter_m3h: float | None = None
    secondary_meter_m3h: float | None = None


@dataclass(frozen=True, slots=True)
class Building:
    """A heated building and the station that feeds it."""

    building_id: str
    station_id: str | None = None
    name: str = ""
    street: str = ""
    floors: int | None = None
    households: int | None = None
    lat: float | None = None
    lon: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A line behind the stations on the map, in degrees (WGS 84); ``closed`` where it bounds an area."""

    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """A measuring point room (测温点). ``offset_k`` is added to every reading; a contract room names a schedule of the policy."""

    room_id: str
    building_id: str | None = None
    station_id: str | None = None
    premises: Premises = "residential"
    schedule: str | None = None
    offset_k: float = 0.0
    hold_max_min: float | None = None
    floor: int | None = None
    unit: str = ""
    sensor_id: str | None = None

    @property
    def table(self) -> str:
        """The name of the policy's temperature schedule that this room is held to (R1)."""
        return self.schedule if self.premises == "contract" and self.schedule else self.premises


@dataclass(frozen=True, slots=True)
class Device:
    """A station's controller: how it is reached and which profile describes it.

    ``address`` is ``host:port`` for modbus_tcp and modbus_rtu_tcp, ``/dev/…:9600:8N1`` for modbus_rtu, ``opc.tcp://…`` for
    opcua. ``security`` and ``user`` are OPC UA's; the password is the secret named ``password`` (``env:NAME`` or ``file:PATH``).
    ``base`` is added to every register address of the profile; ``max_registers`` is this device's own limit of registers a request
    (0: the profile's). ``timeout_s`` is in wall seconds, ``interval_s`` in the clock's.
    """

    device_id: str
    station_id: str
    protocol: Protocol
    address: str
    profile: str
    unit: int = 1
    base: int = 0
    interval_s: float = 10.0
    timeout_s: float = 3.0
    security: str = ""
    user: str = ""
    password: str = ""
    max_registers: int = 0


@dataclass(frozen=True)
class Gateway:
    """What a Modbus gateway bears (``[[gateway]]`` of site.toml): so many connections at once, one request in flight on each."""

    address: str
    connections: int = 1


@dataclass(frozen=True)
class Subscription:
    """One topic filter and the profile that reads its payloads."""

    topic: str
    profile: str


@dataclass(frozen=True)
class Broker:
    """An MQTT broker: ``url`` is ``mqtt://host:port`` or ``mqtts://host:port``; the password is a secret's name."""

    name: str
    url: str
    client_id: str
    username: str = ""
    password: str = ""
    protocol: Literal["5", "3.1.1"] = "5"
    ca_file: str = ""
    certificate: str = ""
    private_key: str = ""
    subscriptions: tuple[Subscription, ...] = ()


@dataclass(frozen=True)
class OpenId:
    """A provider of OpenID Connect that signs people in, ``[openid]``. ``client_secret`` is a secret's name, empty for a public client.

    ``page`` is the address of the pages as browsers know it: the provider sends people back to ``page``/openid/back. Without
    ``passwords`` nobody signs in by password; one-time links always work.
    """

    issuer: str
    client_id: str
    page: str
    client_secret: str = ""
    label: str = ""
    ca_file: str = ""
    passwords: bool = True


@dataclass(frozen=True)
class Channel:
    """Where messages go out, ``[[channel]]`` (R5). ``url`` is a secret's name: the secret is an address as apprise writes them, or, with a
    ``template``, the HTTP address of a gateway (of text messages, say) that is posted the template with title, text and key filled in.

    ``sends`` says what: notices to users, warnings to the dispatcher, what is overdue to the department_head and the manager (R7).
    ``language`` is zh, en or both.
    """

    name: str
    url: str
    sends: tuple[str, ...] = ("notices",)
    language: str = "both"
    template: str = ""


@dataclass(frozen=True)
class PlannedStop:
    """A planned stop (计划停热): time inside is suppressed by design (R4). Instants in UTC milliseconds.

    ``registered_id`` is that of the records; None for one of the site's folder.
    """

    station_id: str
    from_ms: int
    to_ms: int
    reason: str = ""
    who: str = ""
    registered_id: int | None = None

    @property
    def key(self) -> str:
        """What its notice knows it by: a begin that was called off may be registered again, with a notice of its own."""
        return f"{self.station_id}@{self.from_ms}" + ("" if self.registered_id is None else f"#{self.registered_id}")


@dataclass(frozen=True)
class Exclusion:
    """Time in which a room is not judged (报停, vacancy, renovation), in UTC milliseconds; no ``to_ms`` means until further notice."""

    room_id: str
    from_ms: int
    to_ms: int | None
    reason: str = ""
    who: str = ""


@dataclass(frozen=True)
class StoreSettings:
    """``[journal]`` and ``[history]`` of site.toml.

    ``journal_keep`` says what a full journal keeps: the newest readings (unread ones are deleted) or the oldest (new ones are not
    taken); ``journal_warn_h`` is how many hours ahead it warns. ``history_days`` is for how long readings stay, 0 for ever.
    ``history_read_url`` is where a server is asked when that is not where it is written to (a VictoriaMetrics cluster).
    """

    journal_days: float = 7.0
    journal_bytes: int = 2_000_000_000
    journal_keep: JournalKeep = "newest"
    journal_warn_h: float = 24.0
    history: str = "parquet"
    history_days: float = 0.0
    history_url: str = ""
    history_read_url: str = ""
    history_ca_file: str = ""
    history_timeout_s: float = 30.0
    history_token: str = ""
    history_org: str = ""
    history_bucket: str = "keepwarm"
    history_database: str = "keepwarm"


@dataclass(frozen=True)
class Share:
    """What one node of several takes of a site: number 1 … ``count``. A site on one node is the share 1 of 1."""

    number: int = 1
    count: int = 1

    @property
    def mark(self) -> str:
        """Put behind the names of what each node has for itself; empty on a site of one node."""
        return f"-{self.number}-of-{self.count}" if self.count > 1 else ""


WHOLE: Final = Share()


@dataclass(frozen=True)
class Site:
    """Everything about one town, or one node's ``share`` of it (``domain.share``). Mappings are by id, in the order of the files.

    ``elsewhere`` are the sensors (folded), and the names of rooms and stations, that other nodes take.
    """

    name: str
    timezone: ZoneInfo
    policy: Policy
    folder: Path
    data: Path
    hold_max_min: float = 30.0
    station_hold_min: float = 5.0
    room_interval_s: float = 600.0
    stations: dict[str, Station] = field(default_factory=dict)
    buildings: dict[str, Building] = field(default_factory=dict)
    rooms: dict[str, Room] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    gateways: dict[str, Gateway] = field(default_factory=dict)
    brokers: tuple[Broker, ...] = ()
    channels: tuple[Channel, ...] = ()
    curves: dict[str, tuple[FiledCurve, ...]] = field(default_factory=dict)
    planned_stops: tuple[PlannedStop, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    working_days: dict[date, bool] = field(default_factory=dict)  # what the site says before the calendar of China does
    profiles: dict[str, Profile] = field(default_factory=dict)
    stores: StoreSettings = field(default_factory=StoreSettings)
    records_url: str = ""
    dashboard_host: str = "127.0.0.1"
    dashboard_port: int = 8600
    reached_by: Literal["http", "https"] = "http"  # how browsers come: https where a proxy with TLS stands before the pages
    openid: OpenId | None = None
    session_idle_min: float = 120.0
    session_most_h: float = 24.0
    hotline: str = ""
    publish: Literal["auto", "review"] = "auto"
    review_min: float = 10.0  # a notice that waits longer for a dispatcher is overdue
    notice_texts: NoticeTexts = field(default_factory=shipped_notice_texts)
    outlines: tuple[Outline, ...] = ()
    share: Share = WHOLE
    elsewhere: frozenset[str] = frozenset()

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """Heat source → the ids of the stations it feeds."""
        feeds: dict[str, list[str]] = {}
        for station in self.stations.values():
            if station.source_id:
                feeds.setdefault(station.source_id, []).append(station.station_id)
        return {source_id: tuple(ids) for source_id, ids in feeds.items()}

    def beside(self, station_id: str) -> tuple[str, ...]:
        """The other stations of a station's heat source; none where its source is not known."""
        source_id = self.stations[station_id].source_id if station_id in self.stations else None
        return tuple(one for one in self.sources.get(source_id or "", ()) if one != station_id)

    def hold_ms(self, room: Room) -> int:
        """How long a reading of this room stands at most, in milliseconds (R2)."""
        return round((self.hold_max_min if room.hold_max_min is None else room.hold_max_min) * 60_000)
