"""A dead gateway is not knocked at by each poll, and one that is back is found. On driven time, and once on a real socket."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from collector.acquisition.backoff import Backoff
from collector.acquisition.spared_link import SparedLink
from collector.acquisition.tcp_link import TcpLink
from collector.errors import LinkError
from storage.records import Owner
from tests.links.driven_loop import run_driven
from tests.links.serving import serving

CONNECT_S = 5.0


class Gateway:
    """A link that counts knocks; dead for the first `dead_s` seconds, and then it opens."""

    name = "tcp://gateway:1"

    def __init__(self, dead_s: float) -> None:
        self.dead_s = dead_s
        self.knocks: list[float] = []
        self.is_open = False

    async def open(self, deadline: float) -> None:
        now = asyncio.get_running_loop().time()
        if self.is_open:
            return
        self.knocks.append(now)
        if now < self.dead_s:
            raise LinkError("connection_refused", Owner.TERMINAL, "gateway:1: Connection refused")
        self.is_open = True

    async def write(self, data: bytes, deadline: float) -> None: ...

    async def read(self, deadline: float) -> bytes:
        return b""

    async def close(self) -> None:
        self.is_open = False


async def poll(link: SparedLink) -> str:
    """One poll's opening; the reason where it failed."""
    try:
        await link.open(asyncio.get_running_loop().time() + CONNECT_S)
    except LinkError as error:
        return error.reason
    return "ok"


async def polls(link: SparedLink, every_s: float, until_s: float) -> list[tuple[float, str]]:
    """When each poll ended and how."""
    loop, found = asyncio.get_running_loop(), []
    while loop.time() < until_s:
        found.append((loop.time(), await poll(link)))
        await asyncio.sleep(every_s)
    return found


def spared(gateway: Gateway, seed: int = 3) -> SparedLink:
    return SparedLink(gateway, backoff=Backoff(dice=random.Random(seed)))


@pytest.mark.parametrize("seed", range(10))
def test_an_hour_dead_is_not_an_hour_of_knocking(seed: int) -> None:
    async def main() -> tuple[Gateway, list[tuple[float, str]]]:
        gateway = Gateway(dead_s=3600)
        return gateway, await polls(spared(gateway, seed), every_s=1.0, until_s=3700)

    gateway, found = run_driven(main())
    assert len(gateway.knocks) < 250  # each poll would have been more than 3,000 knocks
    assert {reason for at, reason in found if at < 3590} == {"connection_refused"}, (
        "each fails for the last known reason"
    )
    assert next(at for at, reason in found if reason == "ok") <= 3600 + 61
    assert found[-1][1] == "ok"


def test_without_it_each_poll_knocks() -> None:
    async def main() -> int:
        gateway = Gateway(dead_s=3600)
        always = SparedLink(gateway, backoff=Backoff(first_s=0.0, ceiling_s=0.0))
        await polls(always, every_s=1.0, until_s=3600)
        return len(gateway.knocks)

    assert run_driven(main()) == 3600


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("dead_s", [0.5, 2.0, 5.0, 60.0])
def test_the_first_poll_after_a_usual_pause_finds_it(seed: int, dead_s: float) -> None:
    """Plans poll in minutes: whatever the dice said, the pause is over by then."""

    async def main() -> str:
        link = spared(Gateway(dead_s), seed)
        await polls(link, every_s=1.0, until_s=dead_s)
        await asyncio.sleep(60.0)
        return await poll(link)

    assert run_driven(main()) == "ok"


def test_after_seconds_it_is_back_within_seconds() -> None:
    async def main() -> float:
        link = spared(Gateway(dead_s=2.0))
        found = await polls(link, every_s=1.0, until_s=20.0)
        return next(at for at, reason in found if reason == "ok")

    assert run_driven(main()) < 6.0


def test_a_connection_that_broke_is_made_anew_at_once() -> None:
    async def main() -> tuple[str, float]:
        link = spared(Gateway(dead_s=0.0))
        for _ in range(50):
            assert await poll(link) == "ok"
            await link.close()
        return await poll(link), asyncio.get_running_loop().time()

    assert run_driven(main()) == ("ok", 0.0)


async def test_on_real_sockets() -> None:
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    link = SparedLink(TcpLink("127.0.0.1", port), backoff=Backoff(first_s=1000.0, ceiling_s=1000.0))
    assert await poll(link) == "connection_refused"
    async with serving(nothing) as other:
        assert await poll(SparedLink(TcpLink("127.0.0.1", other))) == "ok"
    with pytest.raises(LinkError, match=r"Connection refused; tried again in \d+ s at the latest"):
        await link.open(asyncio.get_running_loop().time() + CONNECT_S)
