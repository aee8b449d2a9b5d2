"""Every protocol that can be collected, in one table: how the sources of a site that speak it are made."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Protocol, TypeVar

from collector.health import SourceHealth
from collector.intake import Intake
from collector.schedule import phases
from collector.sources.gateway import Gateway
from collector.sources.sensors import Sensors
from collector.sources.unit import Unit
from collector.unknown_sensors import UnknownSensors
from domain.clock import Clock
from domain.errors import ConfigError, Mistake
from domain.profile import ModbusProfile, OpcUaProfile
from domain.site import Device, Site
from store.secrets import secret

T = TypeVar("T")


class Source(Protocol):
    """One connection: a gateway, a server, a broker."""

    name: str

    def point_names(self) -> list[str]:
        """The names of the points it is known to give."""
        ...

    def health(self) -> list[SourceHealth]:
        """The records of what is behind the connection."""
        ...

    async def run(self) -> None:
        """Hands readings to the intake until cancelled. Network errors never leave it; it may be run again."""
        ...

    async def close(self) -> None:
        """Ends what must outlive ``run`` until the last commit."""
        ...


Maker = Callable[[Site, Clock, Intake, UnknownSensors], Sequence[Source]]


def _phases(site: Site, clock: Clock) -> dict[str, float]:
    """When each device is polled first, in wall seconds from the start: over all of the site, so that its polls are spread evenly."""
    devices = sorted(site.devices.values(), key=lambda device: (device.address, device.device_id))
    found = phases([clock.wall_s(device.interval_s) for device in devices])
    return {device.device_id: phase_s for device, phase_s in zip(devices, found, strict=True)}


def _modbus(protocol: str) -> Maker:
    def make(site: Site, clock: Clock, intake: Intake, _unknown: UnknownSensors) -> Sequence[Source]:
        phase_s = _phases(site, clock)
        by_address: dict[str, list[tuple[Device, ModbusProfile]]] = {}
        for device in site.devices.values():
            if device.protocol == protocol:
                profile = site.profiles.get(device.profile)
                if not isinstance(profile, ModbusProfile):
                    raise _wrong_profile(device, "Modbus")
                by_address.setdefault(device.address, []).append((device, profile))
        return [
            Gateway(
                [Unit(device, profile, phase_s[device.device_id], clock, shared=len(part) > 1) for device, profile in part], clock, intake
            )
            for address, devices in by_address.items()
            for part in _parted(devices, site.gateways[address].connections if address in site.gateways else 1)
        ]

    return make


def _parted(devices: Sequence[T], connections: int) -> list[Sequence[T]]:
    """The units behind one address, shared out among the connections that it bears."""
    return [devices[first::connections] for first in range(min(connections, len(devices)))]


def load_protocols(site: Site) -> None:
    """Imports what only some sites need, before anything waits for it: asyncua takes 25 MB, and seconds on a busy machine."""
    if any(device.protocol == "opcua" for device in site.devices.values()):
        import_module("collector.sources.opcua.server")


def _opcua(site: Site, clock: Clock, intake: Intake, _unknown: UnknownSensors) -> Sequence[Source]:
    if not any(device.protocol == "opcua" for device in site.devices.values()):
        return []
    from collector.sources.opcua.server import OpcUaServer
    from collector.sources.opcua.station import Station

    phase_s = _phases(site, clock)
    by_login: dict[tuple[str, str, str, str], list[Station]] = {}
    for device in site.devices.values():
        if device.protocol == "opcua":
            profile = site.profiles.get(device.profile)
            if not isinstance(profile, OpcUaProfile):
                raise _wrong_profile(device, "OPC UA")
            secret(device.password)  # a missing secret stops the start, not the tenth reconnection
            login = (device.address, device.security, device.user, device.password)
            by_login.setdefault(login, []).append(Station(device, profile, phase_s[device.device_id], clock))
    return [OpcUaServer(stations, site.folder, site.data, clock, intake) for stations in by_login.values()]


def _mqtt(site: Site, clock: Clock, intake: Intake, unknown: UnknownSensors) -> Sequence[Source]:
    return [Sensors(broker, site, clock, intake, unknown) for broker in site.brokers]


def _wrong_profile(device: Device, kind: str) -> ConfigError:
    return ConfigError(Mistake("devices.csv", f"the name of a profile for {kind}", key=f"{device.device_id}.profile", value=device.profile))


SOURCES: Mapping[str, Maker] = {
    "modbus_tcp": _modbus("modbus_tcp"),
    "modbus_rtu_tcp": _modbus("modbus_rtu_tcp"),
    "modbus_rtu": _modbus("modbus_rtu"),
    "opcua": _opcua,
    "mqtt": _mqtt,
}
