"""The Modbus face on real sockets: what stands in the registers is what the meter shows, and the truth says the same."""

import asyncio
import struct
import subprocess
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fleet.scenes import START, Caller, Hands, fleet, read_registers

PEER = Path(__file__).resolve().parents[2] / ".peers" / "pymodbustcp" / "bin" / "python"
TWO_UNITS = """
[[line]]
name = "street"
protocol = "modbus-tcp"

[[meter]]
meter = "shop"
line = "street"
profile = "eastron_sdm630"
address = "1"
load = "shop"
register = "1500.25"

[[meter]]
meter = "flat"
line = "street"
profile = "eastron_sdm120"
address = "17"
serial = "18032024"
"""
ENERGY, VOLTS = "1-0:1.8.0", "1-0:32.7.0"


def fault(meter: str, kind: str, more: str = "") -> str:
    return f'\n[[fault]]\nmeter = "{meter}"\nkind = "{kind}"\n{more}\n'


async def test_each_unit_shows_its_own_register_at_the_moment_it_is_asked(tmp_path: Path) -> None:
    hands = Hands()
    async with fleet(tmp_path, TWO_UNITS, hands) as here, Caller(here.listening[0].url) as caller:
        for member in here.members:
            for _ in range(3):
                at = hands.turn(minutes=7)
                (seen,) = struct.unpack(">f", await read_registers(caller, int(member.entry.address), 72, 2))
                held = member.meter.value(ENERGY, at)
                assert held is not None
                assert f"{Decimal(seen):.2f}" == f"{Decimal(held // 10_000) / 100:.2f}", (
                    "cut to 0.01, then the nearest float"
                )
                assert here.truth.value(member.name, ENERGY, "instant", at) == f"{Decimal(seen):.2f}"
        assert here.listening[0].url == here.listening[1].url


async def test_a_block_holds_every_value_and_zeros_between(tmp_path: Path) -> None:
    hands = Hands()
    async with fleet(tmp_path, TWO_UNITS, hands) as here, Caller(here.listening[0].url) as caller:
        block = await read_registers(caller, 1, 0, 80)
        floats = struct.unpack(">40f", block)
        shop = here.members[0].meter
        for place, quantity in ((0, VOLTS), (35, "1-0:14.7.0"), (26, "1-0:16.7.0"), (36, ENERGY)):
            held = shop.value(quantity, START) or 0
            scale = 1000 if quantity == "1-0:16.7.0" else 1
            assert abs(floats[place] - held * scale / 1_000_000) <= max(0.011, floats[place] * 1e-6)
            assert here.truth.value("shop", quantity, "instant", START)
        assert floats[27] == 0.0, "register 54 is a hole that may be read along"


async def test_half_a_value_is_no_value(tmp_path: Path) -> None:
    """Who asks for one word of a float is given it, but it was not shown."""
    async with fleet(tmp_path, TWO_UNITS, Hands()) as here, Caller(here.listening[0].url) as caller:
        assert len(await read_registers(caller, 1, 72, 1)) == 2
        assert here.truth.value("shop", ENERGY, "instant", START) is None


async def test_the_serial_says_which_meter_this_is(tmp_path: Path) -> None:
    async with fleet(tmp_path, TWO_UNITS, Hands()) as here, Caller(here.listening[0].url) as caller:
        assert await read_registers(caller, 17, 64512, 2, function=3) == struct.pack(">I", 18032024)
        assert await read_registers(caller, 1, 64512, 2, function=3) == struct.pack(">I", int(here.members[0].serial))


@pytest.mark.parametrize(
    ("unit", "first", "function", "code"),
    [(1, 5000, 4, 2), (1, 72, 3, 2), (1, 0, 1, 1), (99, 72, 4, 0x0B)],
    ids=["no such register", "no holding register there", "no coils", "nobody there"],
)
async def test_what_is_not_there_is_an_exception(
    tmp_path: Path, unit: int, first: int, function: int, code: int
) -> None:
    async with fleet(tmp_path, TWO_UNITS, Hands()) as here, Caller(here.listening[0].url) as caller:
        assert await read_registers(caller, unit, first, 2, function) == bytes([function | 0x80, code])
        assert not here.truth.shown


async def test_a_silent_meter_says_nothing_and_its_neighbour_does(tmp_path: Path) -> None:
    hands = Hands()
    scene = TWO_UNITS + fault("shop", "silent", 'from = "1h"\nto = "2h"')
    async with fleet(tmp_path, scene, hands) as here, Caller(here.listening[0].url) as caller:
        assert await read_registers(caller, 1, 72, 2)
        at = hands.turn(hours=1)
        await caller.say(bytes.fromhex("0007 0000 0006 01 04 0048 0002"))
        assert await caller.hears_nothing()
        assert here.truth.value("shop", ENERGY, "instant", at) is None
        assert [(one.meter, one.kind) for one in here.truth.spoilt] == [("shop", "silent")]
        assert await read_registers(caller, 17, 72, 2)
        hands.turn(hours=1)
        assert await read_registers(caller, 1, 72, 2)


async def test_a_wrong_value_leaves_as_it_is_and_the_truth_keeps_what_was_shown(tmp_path: Path) -> None:
    hands = Hands()
    scene = TWO_UNITS + fault("flat", "wrong_value", 'from = "15m"\nto = "30m"\nkwh = 9000')
    async with fleet(tmp_path, scene, hands) as here, Caller(here.listening[0].url) as caller:
        seen: list[tuple[datetime, float]] = []
        for _ in range(3):
            (value,) = struct.unpack(">f", await read_registers(caller, 17, 72, 2))
            seen.append((hands.at, value))
            assert here.truth.value("flat", ENERGY, "instant", hands.at) == f"{Decimal(value):.2f}"
            hands.turn(minutes=15)
        assert seen[1][1] - seen[0][1] > 8999
        assert abs(seen[2][1] - seen[0][1]) < 5
        assert [one.name for one in here.healthy] == ["shop"]


RTU = TWO_UNITS.replace('"modbus-tcp"', '"modbus-rtu"')
ASK_RTU = bytes.fromhex("11 04 00 48 00 02")
EASTRON_S_EXAMPLE = bytes.fromhex("01 04 00 00 00 02 71 CB")
"""Protocol paper of the SDM120CT, example of function 04: holds the checksum below to somebody else's."""


def crc16(data: bytes) -> bytes:
    """Modbus over serial line V1.02, 6.2.2: polynomial A001, low byte first; written bit by bit from that page."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register.to_bytes(2, "little")


async def test_the_same_meters_speak_rtu(tmp_path: Path) -> None:
    hands = Hands()
    scene = RTU + fault("flat", "bad_checksum", 'from = "1h"')
    async with fleet(tmp_path, scene, hands) as here, Caller(here.listening[0].url) as caller:
        assert crc16(EASTRON_S_EXAMPLE[:-2]) == EASTRON_S_EXAMPLE[-2:]
        await caller.say(ASK_RTU + crc16(ASK_RTU))
        answer = await caller.hear(9)
        assert answer[:3] == bytes([17, 4, 4])
        assert crc16(answer) == b"\x00\x00"
        assert (
            here.truth.value("flat", ENERGY, "instant", START) == f"{Decimal(struct.unpack('>f', answer[3:7])[0]):.2f}"
        )
        at = hands.turn(hours=1)
        await caller.say(ASK_RTU + crc16(ASK_RTU))
        assert crc16(await caller.hear(9)) != b"\x00\x00"
        assert here.truth.value("flat", ENERGY, "instant", at) is None
        nobody = bytes.fromhex("09 04 00 48 00 02")
        await caller.say(nobody + crc16(nobody))
        assert await caller.hears_nothing(), "on a serial line nobody answers for a meter that is not there"


ASK_PEER = """
import sys
from pyModbusTCP.client import ModbusClient
client = ModbusClient(host="127.0.0.1", port=int(sys.argv[1]), unit_id=1, auto_open=True, auto_close=True)
print(*client.read_input_registers(72, 2))
"""


@pytest.mark.skipif(not PEER.exists(), reason="the peer pyModbusTCP is not installed: make test sets it up")
async def test_a_client_of_somebody_else_reads_the_exact_value(tmp_path: Path) -> None:
    async with fleet(tmp_path, TWO_UNITS, Hands()) as here:
        port = here.listening[0].url.rpartition(":")[2]
        peer = await asyncio.create_subprocess_exec(str(PEER), "-c", ASK_PEER, port, stdout=subprocess.PIPE)
        async with asyncio.timeout(20):
            printed, _ = await peer.communicate()
        words = [int(word) for word in printed.split()]
        (value,) = struct.unpack(">f", struct.pack(">HH", *words))
        assert here.truth.value("shop", ENERGY, "instant", START) == f"{Decimal(value):.2f}"
        assert value > 1500.25
