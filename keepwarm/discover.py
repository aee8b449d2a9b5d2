"""``keepwarm discover SITE``: what the servers and brokers of a site have that is not yet in it."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from domain.clock import Clock
from domain.errors import SourceError
from domain.site import Device, Site
from keepwarm.logs import unsaid
from keepwarm.main import complain
from keepwarm.processes import site_argument

if TYPE_CHECKING:  # loaded late, with the protocols
    from collector.commission import Heard
    from collector.sources.opcua.tree import Variable

BAD_NEWS = 1

T = TypeVar("T")


@click.command()
@site_argument
@click.option("--seconds", type=click.FloatRange(0.5, 3600), default=60.0, show_default=True, help="How long each broker is listened to.")
def discover(folder: Path, *, seconds: float) -> int:
    """Lists the variables of SITE's OPC UA servers that no device reads, and the sensors behind its brokers that stand in no room.

    Sensors that the running collector has noted are among them. One line each, in tabs: kind, where, id, name or profile, values. What
    is being looked at is told on stderr, and so is a server or broker that can't be reached or refuses a subscription: that makes the exit
    code 1.
    """
    from collector.commission import hear_sensors, unread_nodes
    from store.site_folder import load_site
    from store.site_folder.load import SITE_FILE

    site = load_site(folder)
    clock = Clock.load(site.data / "clock.json")
    failed = False
    servers = _servers(site)
    if not servers and not site.brokers:
        complain(f"{folder}: nothing to look at: no device speaks OPC UA, and {SITE_FILE} names no broker under [[mqtt]]")
    for devices in servers:
        found = _try(unread_nodes(site, devices))
        failed |= found is None
        for variable in found or ():
            click.echo(_node(devices[0].address, variable))
    seen: set[str] = set()
    for broker in site.brokers:
        complain(f"{broker.name}: listening for {seconds:g} s")
        heard = _try(hear_sensors(site, broker, clock, seconds))
        failed |= heard is None or bool(heard.refusals)
        for sensor in heard.sensors if heard is not None else ():
            seen.add(sensor.sensor.casefold())
            click.echo(_sensor(broker.name, sensor))
        for refusal in heard.refusals if heard is not None else ():
            complain(refusal)
    for noted in _noted(site):
        if noted.sensor.casefold() not in seen:
            click.echo(_sensor("noted", noted))
    return BAD_NEWS if failed else 0


def _servers(site: Site) -> list[list[Device]]:
    """The devices of each OPC UA server, by address and login."""
    found: dict[tuple[str, ...], list[Device]] = {}
    for device in site.devices.values():
        if device.protocol == "opcua":
            found.setdefault((device.address, device.security, device.user, device.password), []).append(device)
    return list(found.values())


def _try(looking: Coroutine[Any, Any, T]) -> T | None:
    try:
        with unsaid():
            return asyncio.run(looking)
    except SourceError as error:
        complain(str(error))
        return None


def _noted(site: Site) -> list["Heard"]:
    """What the collector (on each node) has noted of sensors in no room."""
    from collector.commission import Heard
    from collector.unknown_sensors import UnknownSensors

    known = {room.sensor_id.casefold() for room in site.rooms.values() if room.sensor_id}
    lists = [UnknownSensors(path, known) for path in sorted(site.data.glob("unknown_sensors*.json"))]
    listed = [one for noted in lists for one in noted.newest(10_000)]
    return [Heard(str(one["sensor"]), str(one["profile"]), str(one["topic"]), dict(one["values"])) for one in listed]  # type: ignore[call-overload]


def _node(address: str, variable: "Variable") -> str:
    value = "" if variable.value is None else str(variable.value)
    return f"opcua\t{address}\t{variable.namespace_uri} {variable.node}\t{variable.name}\t{value}"


def _sensor(broker: str, heard: "Heard") -> str:
    values = " ".join(f"{name}={value:g}" for name, value in heard.values.items())
    return f"mqtt\t{broker}\t{heard.sensor}\t{heard.profile}\t{values}"
