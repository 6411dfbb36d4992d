"""A serial line of another computer: what is said about RFC 2217's Telnet, and what servers that are not ours make of it."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.line import Errand, Line
from collector.acquisition.links import make_link
from collector.acquisition.rfc2217 import ComPort
from collector.acquisition.rfc2217_link import Rfc2217Link
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from collector.errors import LinkError
from collector.settings.link_url import SerialLine
from protocols.telegram import Request
from storage.records import Owner
from tests.links.com_server import SER2NET, pyserial_server, ser2net
from tests.links.late_device import RTU, LateDevice, ask_many
from tests.links.pty_device import plugged_in
from tests.links.serving import serving

TIMING = Timing(timeout_s=2.0, retries=0, worst_reply_s=0.2, gap_s=0.01)
PLATE = SerialLine(19200, 8, "E", "1")


def bus() -> LateDevice:
    return LateDevice(random.Random(1), late_p=0, timeout_s=1, usual_s=0)


def line_to(port: int, query: str = "baudrate=19200&parity=E") -> Line:
    return Line(make_link(f"rfc2217://127.0.0.1:{port}?{query}"), DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)))


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_pyserials_server_is_set_and_read_through() -> None:
    async with pyserial_server(bus()) as server:
        line = line_to(server.number, "baudrate=2400&bytesize=7&parity=O&stopbits=2")
        tally = await ask_many(line, 50, TIMING, random.Random(2))  # whatever bytes there are, 0xFF among them
        await line.close()
        port = server.port
        assert (port.baudrate, port.bytesize, port.parity, port.stopbits) == (2400, 7, "O", 2)
        assert (tally.right, tally.wrong) == (50, 0)


async def test_every_byte_goes_through_unchanged_both_ways() -> None:
    every = bytes(range(256)) * 2
    async with pyserial_server(lambda data: [(0.0, data)]) as server:
        link = Rfc2217Link("127.0.0.1", server.number, PLATE)
        await link.open(soon())
        await link.write(every, soon())
        came = b""
        while len(came) < len(every):
            came += await link.read(soon())
        assert came == every
        assert await link.read(soon(0.01)) == b""
        await link.close()


async def test_without_the_escape_a_byte_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative: 0xFF is in one answer of three, and a naive client spoils the Telnet."""
    monkeypatch.setattr(ComPort, "encode", staticmethod(lambda data: data))
    async with pyserial_server(lambda data: [(0.0, data)]) as server:
        link = Rfc2217Link("127.0.0.1", server.number, PLATE)
        await link.open(soon())
        await link.write(b"\x01\xff\x02", soon())
        assert await link.read(soon()) != b"\x01\xff\x02"
        await link.close()


async def test_a_server_that_does_not_take_the_speed() -> None:
    async with pyserial_server(bus(), fastest=9600) as server:
        server.port.baudrate = 9600
        one = await line_to(server.number).exchange(RTU, Request("1", 4, "7", 2), TIMING, Errand())
        assert (one.attempt.outcome, one.attempt.owner) == ("port_failed", Owner.OURS)
        assert "it does not take our baudrate (19200; it says 9600)" in one.attempt.detail


async def test_a_connection_that_breaks_is_made_and_set_anew() -> None:
    async with pyserial_server(bus()) as server:
        line = line_to(server.number)
        for _ in range(3):
            tally = await ask_many(line, 3, TIMING, random.Random(3))
            assert tally.right >= 2, tally
            server.port.baudrate = 300
            server.drop()
            await line.exchange(RTU, Request("1", 4, "7", 2), TIMING, Errand())  # may be the one that sees it
        assert (await ask_many(line, 3, TIMING, random.Random(4))).right == 3
        assert server.port.baudrate == 19200
        await line.close()


async def test_a_server_that_only_passes_bytes_on_is_told_apart() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(mute) as port:
        link = Rfc2217Link("127.0.0.1", port, PLATE)
        with pytest.raises(LinkError, match=r"does not speak RFC 2217; a server that passes bytes on is tcp://"):
            await link.open(soon(0.1))


async def test_a_telnet_that_refuses() -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes([255, 254, 44]))
        await reader.read()

    async with serving(refuses) as port:
        link = Rfc2217Link("127.0.0.1", port, PLATE)
        with pytest.raises(LinkError, match="refuses RFC 2217") as caught:
            await link.open(soon())
        assert caught.value.reason == "port_failed"


async def test_a_server_that_asks_us_to_wait() -> None:
    """RFC 2217 §3, FLOWCONTROL-SUSPEND."""
    suspend, resume = bytes([255, 250, 44, 108, 255, 240]), bytes([255, 250, 44, 109, 255, 240])
    go_on = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes([255, 253, 44]))
        for number, value in ((101, PLATE.baudrate.to_bytes(4, "big")), (102, b"\x08"), (103, b"\x03"), (104, b"\x01")):
            writer.write(bytes([255, 250, 44, number]) + value + bytes([255, 240]))
        writer.write(suspend)
        await go_on.wait()
        writer.write(resume)
        while data := await reader.read(100):
            writer.write(data.replace(b"ask", b"answer"))

    async with serving(slow) as port:
        link = Rfc2217Link("127.0.0.1", port, PLATE)
        await link.open(soon())
        with pytest.raises(LinkError, match="it asks us to wait"):
            await link.write(b"ask", soon(0.05))
        go_on.set()
        await link.write(b"ask", soon())
        assert (await link.read(soon())).endswith(b"answer")
        await link.close()


@given(st.binary(max_size=60), st.sets(st.integers(0, 60)))
def test_any_bytes_in_any_pieces_never_raise_and_never_answer_without_end(data: bytes, cuts: set[int]) -> None:
    whole, pieces = ComPort(PLATE), ComPort(PLATE)
    marks = [0, *sorted(cut for cut in cuts if cut <= len(data)), len(data)]
    text = b"".join(pieces.receive(data[a:b]) for a, b in pairwise(marks))
    assert whole.receive(data) == text
    assert whole.outgoing == pieces.outgoing
    assert len(whole.outgoing) < 400


@given(st.binary(max_size=100))
def test_data_survive_the_escape(data: bytes) -> None:
    assert ComPort(PLATE).receive(ComPort.encode(data)) == data


def test_two_that_confirm_each_other_come_to_an_end() -> None:
    """RFC 854: who confirms a confirmation never ends."""
    state = ComPort(PLATE)
    state.outgoing.clear()
    state.receive(bytes([255, 251, 1]) * 100)  # WILL ECHO
    assert bytes(state.outgoing) == bytes([255, 254, 1])


@pytest.mark.skipif(not SER2NET, reason="needs the Debian package ser2net")
async def test_ser2net(tmp_path: Path) -> None:
    """No parity: a pseudo terminal has none to set, and ser2net says so."""
    with plugged_in(bus()) as pty, ser2net(pty.path, tmp_path) as port:
        line = line_to(port, "baudrate=9600")
        async with asyncio.timeout(20):
            while (await line.exchange(RTU, Request("1", 4, "7", 2), TIMING, Errand())).telegram is None:
                pass  # it is still starting
        tally = await ask_many(line, 50, TIMING, random.Random(5))
        await line.close()
    assert (tally.right, tally.wrong) == (50, 0)
