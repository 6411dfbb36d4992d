"""A line of DL/T 645 meters behind a port: silence for strangers, and what is sent in pieces is still one request."""

import asyncio
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fleet.scenes import START, Caller, Hands, fleet
from tests.fleet.test_dlt645_face import request

VILLAGE = """
[[line]]
name = "village"
protocol = "dlt645"

[[meter]]
meter = "house-{n}"
line = "village"
profile = "dlt645_2007_1p"
address = "240300000100"
count = 3
register = "1000"
"""
TOTAL = bytes.fromhex("00000100")
FIRST, STRANGER = "240300000100", "240300000999"


async def ask(caller: Caller, address: str, identifier: bytes = TOTAL) -> bytes:
    await caller.say(request(identifier, address))
    preamble = int(address[-1]) % 5
    head = await caller.hear(preamble + 10)
    assert head[:preamble] == b"\xfe" * preamble
    return head[preamble:] + await caller.hear(head[-1] + 2)


async def test_all_meters_of_a_line_answer_one_by_one(tmp_path: Path) -> None:
    hands = Hands()
    async with fleet(tmp_path, VILLAGE, hands) as here, Caller(here.listening[0].url) as caller:
        for member in here.members:
            at = hands.turn(minutes=1)
            answer = await ask(caller, member.entry.address)
            value = int(bytes((byte - 0x33) % 256 for byte in answer[14:18])[::-1].hex())
            held = member.meter.value("1-0:1.8.0", at)
            assert held is not None
            assert value == held // 10_000
            assert here.truth.value(member.name, "1-0:1.8.0", "instant", at) == f"{value // 100}.{value % 100:02d}"


async def test_nobody_answers_for_a_stranger(tmp_path: Path) -> None:
    async with fleet(tmp_path, VILLAGE, Hands()) as here, Caller(here.listening[0].url) as caller:
        await caller.say(request(TOTAL, STRANGER))
        assert await caller.hears_nothing()
        assert await ask(caller, FIRST)


async def test_a_request_in_pieces_and_one_behind_noise(tmp_path: Path) -> None:
    async with fleet(tmp_path, VILLAGE, Hands()) as here, Caller(here.listening[0].url) as caller:
        whole = request(TOTAL, FIRST)
        for byte in whole[:-1]:
            await caller.say(bytes([byte]))
        await caller.say(whole[-1:])
        answer = await caller.hear(20)
        begins_like_a_long_frame = bytes.fromhex("68 11 22 33 44 55 66 68 11 C8")
        await caller.say(begins_like_a_long_frame + whole)
        assert await caller.hears_nothing(), "it may still become one"
        assert await caller.hear(20) == answer, "a false start is given up when the line falls silent"


async def test_a_slow_meter_answers_late(tmp_path: Path) -> None:
    scene = VILLAGE.replace('"dlt645"', '"dlt645"\nreply = "150ms"')
    async with fleet(tmp_path, scene, Hands()) as here, Caller(here.listening[0].url) as caller:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await ask(caller, FIRST)
        assert loop.time() - begun >= 0.15
        assert here.truth.value("house-01", "1-0:1.8.0", "instant", START)


async def test_two_clients_share_one_line(tmp_path: Path) -> None:
    async with (
        fleet(tmp_path, VILLAGE, Hands()) as here,
        Caller(here.listening[0].url) as one,
        Caller(here.listening[0].url) as other,
    ):
        assert await ask(one, FIRST) == await ask(other, FIRST)


PEER = Path(__file__).resolve().parents[2] / ".peers" / "dlt645" / "bin" / "python"
ASK_PEER = """
import sys
from dlt645 import MeterClientService, disable_logging
disable_logging()
client = MeterClientService.new_tcp_client("127.0.0.1", int(sys.argv[1]), timeout=5.0)
client.set_address(bytes.fromhex(sys.argv[2])[::-1].hex())  # it wants the order of the wire
for read, di in ((client.read_00, 0x00010000), (client.read_00, 0x00010200), (client.read_02, 0x02010100),
                 (client.read_02, 0x02030000), (client.read_04, 0x04000101), (client.read_04, 0x04000401)):
    print(read(di).value)
"""


@pytest.mark.skipif(not PEER.exists(), reason="the peer dlt645 is not installed: make test sets it up")
async def test_a_client_of_somebody_else_reads_the_exact_values(tmp_path: Path) -> None:
    async with fleet(tmp_path, VILLAGE, Hands()) as here:
        port = here.listening[0].url.rpartition(":")[2]
        asked = await asyncio.create_subprocess_exec(str(PEER), "-c", ASK_PEER, port, FIRST, stdout=subprocess.PIPE)
        async with asyncio.timeout(30):
            printed, _ = await asked.communicate()
    total, peak, volts, kilowatts, date, address = printed.decode().split()
    for quantity, seen in (("8.0", total), ("8.2", peak)):
        assert here.truth.value("house-01", f"1-0:1.{quantity}", "instant", START) == f"{Decimal(seen):.2f}"
    assert here.truth.value("house-01", "1-0:32.7.0", "instant", START) == f"{Decimal(volts):.1f}"
    assert here.truth.value("house-01", "1-0:16.7.0", "instant", START) == f"{Decimal(kilowatts):.4f}"
    assert (date, address) == ("24031404", FIRST), "14 March 2024, a Thursday (0 is Sunday)"
