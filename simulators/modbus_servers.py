"""The stations behind Modbus: TCP gateways with several units each, and serial servers that speak RTU over TCP.

A gateway goes on answering for its other units when one of them is silent. Controllers refuse every function but 1 to 4.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from domain.errors import ConfigError, Mistake
from simulators.ports import HOST, Ports
from simulators.present import Present
from simulators.profiles import RegisterBlock

PROFILE = "xd100n"
CURVE_OFFSET, CURVE_LENGTH = 117, 28  # holding registers: 8 curve points (outdoor, supply), twelve two-hour offsets
_READS = (1, 2, 3, 4)

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it prints its last twenty frames at anything it does not understand


@asynccontextmanager
async def modbus_servers(present: Present, ports: Ports, answered: Counter[str]) -> AsyncIterator[None]:
    """Serves the town's Modbus stations while entered; counts the polls answered by station id.

    Raises ConfigError where a port is taken.
    """
    block = RegisterBlock.of(PROFILE)
    async with AsyncExitStack() as running:
        for framer, protocol, numbers in (
            (FramerType.SOCKET, "modbus_tcp", ports.modbus_tcp),
            (FramerType.RTU, "modbus_rtu_tcp", ports.modbus_rtu_tcp),
        ):
            for server, port in enumerate(numbers):
                units = {
                    access.unit: place
                    for place, access in enumerate(present.town.access)
                    if access.protocol == protocol and access.server == server
                }
                gateway = _Gateway(present, block, units, framer, port, answered)
                running.push_async_callback(gateway.shutdown)
                try:
                    await gateway.serve_forever(background=True)
                except RuntimeError as error:
                    raise ConfigError(
                        Mistake("simulate", "this port is taken; stop what uses it", key=protocol, value=str(port))
                    ) from error
        yield


class _Gateway(ModbusTcpServer):
    """One port with the units behind it, and the faults of the scenario."""

    def __init__(
        self, present: Present, block: RegisterBlock, units: Mapping[int, int], framer: FramerType, port: int, answered: Counter[str]
    ) -> None:
        self.present = present
        self.units = units
        self.answered = answered
        devices = [_controller(present, block, unit, place) for unit, place in units.items()]
        super().__init__(devices, framer=framer, address=(HOST, port))

    def callback_new_connection(self) -> ServerRequestHandler:
        return _Line(self, None, None, None)  # type: ignore[no-untyped-call]  # pymodbus is typed in part


class _Line(ServerRequestHandler):
    """A connection to a gateway: silent, reset or late where the scenario says so."""

    server: _Gateway

    async def handle_request(self) -> None:
        request = self.last_pdu
        if request is None:
            return
        place = self.server.units.get(request.dev_id)
        if place is None:
            nobody = ExceptionResponse(request.function_code, ExcCodes.GATEWAY_NO_RESPONSE, request.dev_id, request.transaction_id)
            self.server_send(nobody, self.last_addr)
            return
        effects = self.server.present.effects
        if effects.refusing[place]:
            if self.transport is not None:
                self.transport.abort()  # type: ignore[attr-defined]  # asyncio's TCP transports have it
            return
        if effects.silent[place]:
            return
        if effects.late_s[place] > 0:
            await asyncio.sleep(float(effects.late_s[place]))
            self.last_pdu = request
        await super().handle_request()  # type: ignore[no-untyped-call]  # pymodbus is typed in part

    def server_send(self, pdu: ModbusPDU, addr: tuple[str, int] | None) -> None:
        place = self.server.units.get(pdu.dev_id)
        if place is not None and not pdu.isError():
            self.server.answered[self.server.present.town.stations[place].station_id] += 1
        super().server_send(pdu, addr)  # type: ignore[no-untyped-call]  # pymodbus is typed in part


_Action = Callable[[int, int, int, int, list[int], list[int] | list[bool] | None], Coroutine[None, None, ExcCodes | None]]


def _controller(present: Present, block: RegisterBlock, unit: int, place: int) -> SimDevice:
    base = present.town.access[place].base
    curve = present.town.curves[place]
    pairs = zip(curve.outdoor_c, curve.supply_c, strict=True)
    points = [round(value * 10) & 0xFFFF for pair in pairs for value in pair]
    return SimDevice(
        unit,
        [
            SimData(base, values=[0] * block.length, datatype=DataType.REGISTERS),
            SimData(base + CURVE_OFFSET, values=[*points, *([0] * (CURVE_LENGTH - len(points)))], datatype=DataType.REGISTERS),
        ],
        action=_shows(present, block, place),
    )


def _shows(present: Present, block: RegisterBlock, place: int) -> _Action:
    """Fills the registers with the station's values whenever they are read."""

    async def show(
        function: int, _start: int, _address: int, _count: int, registers: list[int], _values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        if function not in _READS:
            return ExcCodes.ILLEGAL_FUNCTION
        registers[: block.length] = block.encode(present.values(place))
        return None

    return show
