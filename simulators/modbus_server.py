"""Modbus on a real socket: pymodbus serves, our meters say what stands in the registers at the moment they are asked.

One listener carries several units, as a gateway does: Modbus TCP, or RTU framing over TCP. pymodbus is not ours and the
collector's codec is, so a mistake cannot hide on both sides. Faults of the line act where the frame leaves; a value is
entered into the truth only then. Unknown units answer as a gateway does (exception 0B), or on RTU not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Self, cast

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulators.faults import FaultKind, spoilt
from simulators.modbus_registers import RegisterImage
from simulators.truth import Display, Truth

HOLDING, INPUT = 3, 4
ANY_UNIT = 0
"""pymodbus: the device that answers for all that are not there."""
_UNIT_AT = {FramerType.SOCKET: 6, FramerType.RTU: 0}


class ModbusServer:
    """One listener with the meters behind it, by unit. `async with` starts and stops it."""

    def __init__(
        self,
        units: Mapping[int, RegisterImage],
        *,
        now: Callable[[], datetime],
        truth: Truth,
        rtu: bool = False,
        reply_s: float = 0.0,
    ) -> None:
        self._units = dict(units)
        self._now = now
        self._truth = truth
        self._framer = FramerType.RTU if rtu else FramerType.SOCKET
        self._reply_s = reply_s
        self._asked: dict[int, tuple[datetime, list[Display]]] = {}
        self._exchanges = dict.fromkeys(units, 0)
        self._server: ModbusTcpServer | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        devices = [self._device(unit, image) for unit, image in self._units.items()]
        nobody = SimDevice(ANY_UNIT, [SimData(0, count=65536, datatype=DataType.REGISTERS)], action=_nobody)
        self._server = ModbusTcpServer(
            [*devices, nobody], framer=self._framer, address=("127.0.0.1", 0), trace_packet=self._leaving
        )
        await self._server.serve_forever(background=True)
        # pymodbus keeps the listener where it keeps transports; uvloop's is no asyncio.Server by inheritance
        self.port = cast(asyncio.Server, self._server.transport).sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]

    def _device(self, unit: int, image: RegisterImage) -> SimDevice:
        coils = [SimData(0, values=False, datatype=DataType.BITS)]
        return SimDevice(
            unit,
            (coils, list(coils), _blocks(image, HOLDING), _blocks(image, INPUT)),
            action=partial(self._answer, unit),
        )

    async def _answer(
        self,
        unit: int,
        function: int,
        base: int,
        first: int,
        count: int,
        registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if function not in (HOLDING, INPUT) or set_values is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        if self._reply_s:
            await asyncio.sleep(self._reply_s)
        at = self._now()
        self._asked[unit] = (at, self._units[unit].fill(function, first, count, at, registers, base))
        return None

    def _leaving(self, sending: bool, packet: bytes) -> bytes:
        """The frame as it leaves: whole, spoilt, or not at all."""
        unit_at = _UNIT_AT[self._framer]
        if not sending or len(packet) <= unit_at:
            return packet
        unit = packet[unit_at]
        if unit not in self._units:
            return b"" if self._framer is FramerType.RTU else packet
        meter = self._units[unit].meter
        at, displays = self._asked.pop(unit) if unit in self._asked else (self._now(), [])
        self._exchanges[unit] += 1
        match spoilt(meter.faults, at, self._exchanges[unit]):
            case FaultKind.SILENT | FaultKind.POWER_DOWN as kind:
                self._truth.spoil(meter.name, at, kind)
                return b""
            case FaultKind.BAD_CHECKSUM if self._framer is FramerType.RTU:
                self._truth.spoil(meter.name, at, FaultKind.BAD_CHECKSUM)
                return packet[:-1] + bytes([packet[-1] ^ 0x55])
            case _:
                self._truth.show(meter.name, at, displays)
                return packet


async def _nobody(*_: object) -> ExcCodes:
    return ExcCodes.GATEWAY_NO_RESPONSE


def _blocks(image: RegisterImage, function: int) -> list[SimData]:
    """What can be read; outside of it pymodbus answers exception 2."""
    spans = image.spans(function)
    if not spans:
        return [SimData(0, datatype=DataType.INVALID)]
    return [SimData(first, count=count, datatype=DataType.REGISTERS, readonly=True) for first, count in spans]
