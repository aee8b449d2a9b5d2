"""The ports of the demo town's servers on loopback."""

import socket
from dataclasses import dataclass

HOST = "127.0.0.1"
OPCUA_PATH = "keepwarm/station"


@dataclass(frozen=True)
class Ports:
    """Two Modbus TCP gateways, two serial servers (RTU over TCP), an open and a secured OPC UA server, an MQTT broker."""

    modbus_tcp: tuple[int, int]
    modbus_rtu_tcp: tuple[int, int]
    opcua: tuple[int, int]
    mqtt: int


def pick_ports() -> Ports:
    """Ports that are free at this moment."""
    held = [socket.socket() for _ in range(7)]
    try:
        for one in held:
            one.bind((HOST, 0))
        numbers = [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
    return Ports((numbers[0], numbers[1]), (numbers[2], numbers[3]), (numbers[4], numbers[5]), numbers[6])


def opcua_url(port: int) -> str:
    """The address of the OPC UA server on this port."""
    return f"opc.tcp://{HOST}:{port}/{OPCUA_PATH}"
