"""The table of devices: how each is reached, and that no two stand in each other's way."""

import re
from collections.abc import Collection, Mapping
from typing import cast

from domain.profile import REGISTERS_OF, ModbusProfile, OpcUaProfile, Profile
from domain.site import Device, Protocol
from store.site_folder.cells import Cells
from store.site_folder.secret_names import NAME_FORM, absolute_secret, is_secret_name
from store.site_folder.suggestion import nearest
from store.site_folder.table import Columns, Table

DEVICES = Columns(
    ("device_id", "station_id", "protocol", "address", "profile"),
    ("unit", "base", "interval_s", "timeout_s", "security", "user", "password", "max_registers"),
)
LAST_REGISTER = 65_535
PROTOCOLS = ("modbus_tcp", "modbus_rtu_tcp", "modbus_rtu", "opcua")

_HOST_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})", re.ASCII)
_SERIAL = re.compile(r"(?:/\S+|COM\d+):(\d{3,7}):([78])([NEO])([12])", re.ASCII)
_OPC = re.compile(r"opc\.tcp://(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+)(?::(\d{1,5}))?(?:/\S*)?")
_SECURITIES = ({""}, {"none"}, {"basic256sha256", "signandencrypt"})
ADDRESS_FORMS = {
    "modbus_tcp": "host:port, such as 10.20.1.7:502",
    "modbus_rtu_tcp": "host:port, such as 10.20.1.7:4001",
    "modbus_rtu": "device:baud:framing, such as /dev/ttyS1:9600:8N1",
    "opcua": "opc.tcp://host:port/path, such as opc.tcp://10.20.1.7:4840",
}


def address_fault(protocol: str, address: str) -> str | None:
    """Why this address can't be one of that protocol, as a remedy; None when it can."""
    form = {"modbus_rtu": _SERIAL, "opcua": _OPC}.get(protocol, _HOST_PORT)
    found = form.fullmatch(address)
    if found is not None and (protocol == "modbus_rtu" or 1 <= int(found[1] or 4840) <= 65_535):
        return None
    return ADDRESS_FORMS[protocol]


def read_devices(
    table: Table, stations: Collection[str] | None, profiles: Mapping[str, Profile], profile_names: Collection[str]
) -> dict[str, Device]:
    """Devices by id. ``stations`` are the known ones, None where there is no table of them.

    A name in ``profile_names`` that is not in ``profiles`` belongs to a file whose mistakes are noted already.
    """
    seen: dict[str, int] = {}
    reached: dict[tuple[object, ...], int] = {}
    lines: dict[str, tuple[int, Device]] = {}
    quantities: dict[tuple[str, str], int] = {}
    devices = {}
    for row in table.rows:
        cells = Cells(table, row)
        device_id = cells.identity("device_id", seen)
        device = _device(cells, device_id or "", stations, profile_names)
        if device is None:
            continue
        _check_alone(cells, device, reached)
        _check_line(cells, device, lines)
        _check_profile(cells, device, profiles.get(device.profile), quantities)
        if device_id is not None:
            devices[device_id] = device
    return devices


def _device(cells: Cells, device_id: str, stations: Collection[str] | None, profile_names: Collection[str]) -> Device | None:
    station_id = cells.reference("station_id", stations, "station", needed=True)
    protocol = cells.choice("protocol", PROTOCOLS, None)
    address = cells.text("address")
    fault = address_fault(protocol, address) if protocol is not None else None
    if fault is not None:
        cells.wrong("address", f"an address of {protocol}: {fault}")
    profile = cells.text("profile")
    if profile not in profile_names:
        cells.wrong("profile", f"no such profile; {nearest(profile, profile_names)}")
    unit = cells.whole("unit", 0, 255, 1)
    base = cells.whole("base", -65_535, 65_535, 0)
    interval_s = cells.number("interval_s", 0, 86_400, 10.0, above_low=True)
    timeout_s = cells.number("timeout_s", 0, 60, 3.0, above_low=True)
    max_registers = cells.whole("max_registers", 0, 2000, 0)
    if max_registers and protocol == "opcua":
        cells.wrong("max_registers", "opcua has none; leave it empty")
    security, user, password = _login(cells, protocol)
    if station_id is None or protocol is None or fault is not None or profile not in profile_names:
        return None
    kind = cast("Protocol", protocol)
    return Device(device_id, station_id, kind, address, profile, unit, base, interval_s, timeout_s, security, user, password, max_registers)


def _login(cells: Cells, protocol: str | None) -> tuple[str, str, str]:
    """``security``, ``user`` and the name of the password, which only OPC UA has."""
    for column in ("security", "user", "password"):
        if cells.text(column) and protocol is not None and protocol != "opcua":
            cells.wrong(column, f"{protocol} has none; leave it empty")
    if protocol == "opcua" and set(re.split(r"[,_/ ]+", cells.text("security").lower())) not in _SECURITIES:
        cells.wrong("security", "Basic256Sha256,SignAndEncrypt, or empty for none")
    password = cells.text("password")
    if password and protocol == "opcua" and not cells.text("user"):
        cells.wrong("user", "the user of this password is missing")
    if password and not is_secret_name(password):
        cells.table.wrong(cells.row.line, "password", None, NAME_FORM)
        password = ""
    return cells.text("security"), cells.text("user"), absolute_secret(password, cells.table.folder)


def _check_alone(cells: Cells, device: Device, reached: dict[tuple[object, ...], int]) -> None:
    """One device for one address: on Modbus with the unit and the block's base, on OPC UA with the station."""
    part = (device.station_id, device.profile) if device.protocol == "opcua" else (device.unit, device.base)
    first = reached.setdefault((device.address, *part), cells.row.line)
    if first != cells.row.line:
        what = "" if device.protocol == "opcua" else f" with unit {device.unit}"
        cells.wrong("address", f"the device of line {first} has this address{what} already")


def _check_line(cells: Cells, device: Device, lines: dict[str, tuple[int, Device]]) -> None:
    """One protocol for one address, one speed and framing for one serial port."""
    port = device.address.rsplit(":", 2)[0] if device.protocol == "modbus_rtu" else device.address
    row, first = lines.setdefault(port, (cells.row.line, device))
    if first.protocol != device.protocol:
        cells.wrong("protocol", f"the device of line {row} is reached at this address by {first.protocol}; it speaks one of them")
    elif device.address not in (port, first.address):
        cells.wrong("address", f"the device of line {row} has this port as {first.address}; a bus has one speed and framing")


def _check_profile(cells: Cells, device: Device, profile: Profile | None, quantities: dict[tuple[str, str], int]) -> None:
    if profile is None:
        return
    if not isinstance(profile, OpcUaProfile if device.protocol == "opcua" else ModbusProfile):
        cells.wrong("profile", f"a profile for {device.protocol}; this one is for other devices")
        return
    if isinstance(profile, ModbusProfile):
        _check_base(cells, device, profile)
    items = profile.nodes if isinstance(profile, OpcUaProfile) else profile.registers
    doubled: dict[int, list[str]] = {}
    for item in items:
        first = quantities.setdefault((device.station_id, item.quantity), cells.row.line)
        if first != cells.row.line:
            doubled.setdefault(first, []).append(item.quantity)
    for first, names in doubled.items():
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        cells.wrong(
            "profile", f"the device of line {first} measures {shown} of station {device.station_id} already; a point has one source"
        )


def _check_base(cells: Cells, device: Device, profile: ModbusProfile) -> None:
    first = device.base + min(register.offset for register in profile.registers)
    ends = [register.offset + REGISTERS_OF.get(register.type, register.length) for register in profile.registers]
    last = device.base + max(ends) - 1
    if first < 0 or last > LAST_REGISTER:
        cells.wrong("base", f"with it, profile {profile.name} reads registers {first} to {last}; there are 0 to {LAST_REGISTER}")
