"""The proxy on real sockets: what its toxics say happens to the connection itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from simulators.fault_proxy import FaultProxy
from simulators.toxics import Cut, Double, End, Latency, Limit, Lose, Slice, Toxic
from tests.links.serving import serving

ANSWER = bytes(range(40))


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forty bytes for every three."""
    while True:
        await reader.readexactly(3)
        writer.write(ANSWER)
        await writer.drain()


@asynccontextmanager
async def connected(*toxics: Toxic) -> AsyncIterator[tuple[FaultProxy, asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(10), serving(answering) as port, FaultProxy("127.0.0.1", port, toxics, seed=7) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        try:
            yield proxy, reader, writer
        finally:
            writer.close()


async def test_all_passes_where_there_are_no_toxics() -> None:
    async with connected() as (proxy, reader, writer):
        for _ in range(3):
            writer.write(b"ask")
            assert await reader.readexactly(40) == ANSWER
        assert proxy.connections == 1


async def test_slices_come_one_by_one() -> None:
    async with connected(Slice(0.005, size=8)) as (_, reader, writer):
        writer.write(b"ask")
        pieces = [await reader.read(100) for _ in range(5)]
        assert b"".join(pieces) == ANSWER
        assert {len(piece) for piece in pieces} == {8}


async def test_reset_in_the_middle() -> None:
    async with connected(Cut(1.0, End.RESET, after_s=0.01)) as (proxy, reader, writer):
        writer.write(b"ask")
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(40)
        assert proxy.hits == {"Cut": 1}


async def test_slow_close_in_the_middle() -> None:
    async with connected(Cut(1.0, End.CLOSE, after_s=0.05)) as (_, reader, writer):
        writer.write(b"ask")
        begun = asyncio.get_running_loop().time()
        assert len(await reader.read()) < 40
        assert asyncio.get_running_loop().time() - begun >= 0.04


async def test_limit_then_the_end() -> None:
    async with connected(Limit(60)) as (_, reader, writer):
        writer.write(b"askask")
        assert await reader.read() == (ANSWER + ANSWER)[:60]


async def test_toxics_change_while_it_is_open() -> None:
    async with connected(Lose()) as (proxy, reader, writer):
        writer.write(b"ask")
        while not proxy.hits:  # noqa: ASYNC110 - nothing tells that something was lost
            await asyncio.sleep(0)
        proxy.disturb(Double(), Latency(0.01))
        writer.write(b"ask")
        assert await reader.readexactly(80) == ANSWER + ANSWER


async def test_half_open_tells_nobody_and_a_new_connection_works() -> None:
    async with connected() as (proxy, reader, writer):
        writer.write(b"ask")
        assert await reader.readexactly(40) == ANSWER
        proxy.half_open()
        writer.write(b"ask")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        again, writes = await asyncio.open_connection("127.0.0.1", proxy.port)
        writes.write(b"ask")
        assert await again.readexactly(40) == ANSWER
        writes.close()


async def test_the_server_goes_after_its_last_word() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(ANSWER)

    async with (
        asyncio.timeout(10),
        serving(once) as port,
        FaultProxy("127.0.0.1", port, [Slice(0.002)], seed=7) as proxy,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"ask")
        assert await reader.read() == ANSWER
        writer.close()


async def test_no_server_is_a_reset() -> None:
    async with serving(answering) as port:
        pass
    async with asyncio.timeout(10), FaultProxy("127.0.0.1", port, seed=7) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
