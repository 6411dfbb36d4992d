"""The TCP link alone: what goes wrong has a reason and an owner, memory stays bounded, and a closed connection is made anew."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from collector.acquisition.stream import LIMIT
from collector.acquisition.tcp_link import TcpLink
from collector.errors import LinkError
from storage.records import Owner
from tests.links.serving import Serve, serving


@asynccontextmanager
async def link_to(serve: Serve) -> AsyncIterator[TcpLink]:
    """An open link to a server that does this with each connection."""
    async with serving(serve) as port:
        link = TcpLink("127.0.0.1", port)
        await link.open(soon())
        try:
            yield link
        finally:
            await link.close()


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)


async def say_goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers once, and closes with the answer."""
    writer.write(await reader.read(100))


async def test_bytes_there_and_back() -> None:
    async with link_to(echo) as link:
        await link.write(b"abc", soon())
        assert await link.read(soon()) == b"abc"
        assert await link.read(soon(0.01)) == b""


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        link = TcpLink("127.0.0.1", port)
        with pytest.raises(LinkError, match=f"127.0.0.1:{port}: Connection refused") as caught:
            await link.open(soon())
    assert (caught.value.reason, caught.value.owner) == ("connection_refused", Owner.TERMINAL)


async def test_a_host_that_swallows_everything() -> None:
    """A listener whose queue is full answers no SYN, like a firewall that drops."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        address = busy.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            link = TcpLink(*address)
            with pytest.raises(LinkError, match=f"127.0.0.1:{address[1]} does not answer") as caught:
                await link.open(soon(0.2))
        finally:
            for filler in fillers:
                filler.close()
    assert (caught.value.reason, caught.value.owner) == ("connection_timeout", Owner.UPLINK)


async def test_a_name_that_nobody_knows() -> None:
    link = TcpLink("no-such-host.invalid", 502)
    with pytest.raises(LinkError, match=r"no-such-host\.invalid") as caught:
        await link.open(soon())
    assert (caught.value.reason, caught.value.owner) == ("unknown_host", Owner.OURS)


async def test_what_came_before_the_end_is_read_before_the_loss_is_told() -> None:
    async with link_to(say_goodbye) as link:
        await link.write(b"last words", soon())
        assert await link.read(soon()) == b"last words"
        with pytest.raises(LinkError, match="the other side closed it") as caught:
            await link.read(soon())
        assert (caught.value.reason, caught.value.owner) == ("connection_lost", Owner.UPLINK)
        with pytest.raises(LinkError, match="connection lost"):
            await link.write(b"hello?", soon())
        await link.open(soon())  # made anew
        await link.write(b"hello", soon())
        assert await link.read(soon()) == b"hello"


async def test_a_flood_is_left_in_the_network() -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(10_000))
            await writer.drain()

    async with link_to(pour) as link:
        stream = link._stream
        assert stream is not None
        while not stream._paused:
            await stream.bell.wait(soon())
        before = len(stream.buffer)
        await asyncio.sleep(0.05)  # the sender goes on as long as anybody takes it
        assert LIMIT <= len(stream.buffer) == before <= LIMIT + 256 * 1024
        taken = len(await link.read(soon()))
        assert taken == before
        assert await link.read(soon())  # and it is read again


async def test_a_peer_that_takes_nothing() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.5)

    async with link_to(deaf) as link:
        with pytest.raises(LinkError, match="takes no more bytes") as caught:
            await link.write(bytes(50_000_000), soon(0.05))
        assert caught.value.reason == "no_answer"


async def test_a_peer_that_takes_nothing_and_goes() -> None:
    """Known at once, and as what it is."""

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with link_to(deaf) as link:
        with pytest.raises(LinkError, match="connection lost") as caught:
            await link.write(bytes(50_000_000), soon(5.0))
        assert caught.value.reason == "connection_lost"


async def test_a_connection_is_kept_alive() -> None:
    async with link_to(echo) as link:
        assert link._stream is not None
        assert link._stream.transport is not None
        sock = link._stream.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        idle, interval, count = (sock.getsockopt(socket.IPPROTO_TCP, option) for option in options)
        assert idle + interval * count <= 30  # fault F31


async def test_a_cancelled_read_leaves_the_link_usable() -> None:
    async with link_to(echo) as link:
        reading = asyncio.ensure_future(link.read(soon()))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await link.write(b"abc", soon())
        assert await link.read(soon()) == b"abc"


async def test_a_link_that_is_not_open() -> None:
    link = TcpLink("127.0.0.1", 1)
    with pytest.raises(LinkError, match="not connected"):
        await link.read(soon())
    await link.close()
