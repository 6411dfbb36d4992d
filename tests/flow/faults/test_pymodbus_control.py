"""The control that the fault matrix names for F20, F23, F24 and F26: the pymodbus client under the same faults.

It is a good library and our probe uses it; that it believes these answers is why readings come another way. Should a later
version believe them no more, these tests fail, and the sentence in docs/faults.md can go.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from simulators.fault_proxy import FaultProxy
from simulators.toxics import Late, Noise, Place
from tests.flow.faults.conftest import Tell
from tests.flow.faults.street import SEED
from tests.links import hostile
from tests.links.hostile import hostile_server
from tests.links.late_device import LateDevice, truth
from tests.links.serving import serving

TIMEOUT_S = 0.05


@asynccontextmanager
async def client(port: int, framer: FramerType = FramerType.SOCKET) -> AsyncIterator[AsyncModbusTcpClient]:
    """Connected."""
    one = AsyncModbusTcpClient("127.0.0.1", port=port, framer=framer, timeout=TIMEOUT_S, retries=0, reconnect_delay=0)
    assert await one.connect()
    try:
        yield one
    finally:
        one.close()


async def test_it_takes_function_3_for_4() -> None:
    async with hostile_server(hostile.wrong_function) as device, client(device.port) as one:
        answer = await one.read_input_registers(100, count=3, device_id=17)
    assert not answer.isError()
    assert answer.registers == [100, 101, 102]


async def test_it_returns_one_register_of_two() -> None:
    async with hostile_server(hostile.one_short) as device, client(device.port) as one:
        answer = await one.read_input_registers(100, count=2, device_id=17)
    assert not answer.isError()
    assert answer.registers == [100]


async def test_four_bytes_before_an_answer_kill_every_read() -> None:
    async with (
        hostile_server() as device,
        FaultProxy("127.0.0.1", device.port, [Noise(Place.BEFORE, least=4, most=4)], seed=SEED) as proxy,
        client(proxy.port) as one,
    ):
        with pytest.raises(ModbusException):
            await one.read_input_registers(100, count=3, device_id=17)


async def test_a_late_answer_is_taken_for_the_next(tell: Tell) -> None:
    dice = random.Random(SEED)
    device = LateDevice(dice, 0.0, TIMEOUT_S, 0.0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            for _, answer in device(data):
                writer.write(answer)

    wrong = asked = 0
    async with (
        asyncio.timeout(60),
        serving(serve) as port,
        FaultProxy("127.0.0.1", port, [Late(0.02, TIMEOUT_S, 2 * TIMEOUT_S)], seed=SEED) as proxy,
        client(proxy.port, FramerType.RTU) as one,
    ):
        for _ in range(300):
            start = dice.randrange(0x8000)
            asked += 1
            try:
                answer = await one.read_input_registers(start, count=2, device_id=1)
            except ModbusException:
                if not one.connected:
                    await one.connect()
                continue
            wrong += struct.pack(">HH", *answer.registers) != truth(start)
    assert wrong > 0
    tell("F20", f"pymodbus, rtu over tcp, 0.02 late: {proxy.hits['Late']} late answers, {wrong} of {asked} wrong")
