"""A serial line at the far end of a broker, against a real Mosquitto and a modem that is a client of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt
import pytest

from collector.acquisition import tunnel_link
from collector.acquisition.line import Errand, Line
from collector.acquisition.links import Beside, make_link
from collector.acquisition.timing import CARRIED_GAP_S, Timing
from collector.acquisition.tunnel_link import TunnelEnds, TunnelLink
from collector.clock import DrivenClock, SystemClock
from collector.errors import LinkError
from protocols.telegram import Request
from storage.records import Owner
from tests.links.broker import TALKATIVE, Mosquitto, needs_mosquitto
from tests.links.late_device import RTU, LateDevice, ask_many, truth
from tests.links.memory_link import Device

pytestmark = needs_mosquitto

TIMING = Timing(timeout_s=2.0, retries=0, worst_reply_s=0.1, gap_s=0.02)
HASTY = Timing(timeout_s=0.2, retries=0, worst_reply_s=0.2, gap_s=0.02)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path, *TALKATIVE)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


def bus() -> LateDevice:
    return LateDevice(random.Random(1), late_p=0, timeout_s=1, usual_s=0)


@asynccontextmanager
async def modem(broker: Mosquitto, device: Device) -> AsyncIterator[None]:
    """Carries what comes by `to/4712` to the device, and its answers back."""
    client = aiomqtt.Client(broker.host, broker.port, identifier="modem")

    async def carry() -> None:
        with suppress(aiomqtt.MqttError):  # the end of the connection
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                for _, answer in device(message.payload):
                    await client.publish("from/4712", answer)

    async with asyncio.timeout(30):
        async with client:
            await client.subscribe("to/4712")
            carrying = asyncio.create_task(carry())
            yield
        await carrying


def line_to(broker: Mosquitto, username: str | None = None, password: str | None = None) -> Line:
    link = make_link(
        f"mqtt-tunnel://{broker.host}:{broker.port}/to/4712?back=from/4712",
        Beside(username=username, password=password),
    )
    return Line(link, DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)))


async def ask(line: Line, timing: Timing = TIMING) -> str:
    one = await line.exchange(RTU, Request("1", 4, "7", 2), timing, Errand())
    assert one.telegram is None or one.telegram.payload == truth(7)
    return one.attempt.outcome


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_meters_behind_a_tunnel(broker: Mosquitto) -> None:
    async with modem(broker, bus()):
        line = line_to(broker)
        tally = await ask_many(line, 50, TIMING, random.Random(2))
        await line.close()
    assert (tally.right, tally.wrong) == (50, 0)


async def test_answers_in_pieces(broker: Mosquitto) -> None:
    """A modem sends what its line gives it, when it gives it."""
    device = bus()

    def in_pieces(data: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, bytes([byte])) for _, answer in device(data) for byte in answer]

    async with modem(broker, in_pieces):
        line = line_to(broker)
        assert await ask(line, Timing(timeout_s=5.0, retries=0, gap_s=CARRIED_GAP_S)) == "ok"
        await line.close()


async def test_nobody_at_the_far_end(broker: Mosquitto) -> None:
    line = line_to(broker)
    assert await ask(line, HASTY) == "no_answer"
    await line.close()


async def test_an_answer_that_the_broker_had_kept_is_none(broker: Mosquitto) -> None:
    """The negative of it: what is retained is the right answer in its bytes, and of yesterday."""
    ((_, answer),) = bus()(RTU.session().send(Request("1", 4, "7", 2)))
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish("from/4712", answer, qos=1, retain=True)
    line = line_to(broker)
    assert await ask(line, HASTY) == "no_answer"
    await line.close()


async def test_a_broker_that_dies_and_comes_back(broker: Mosquitto) -> None:
    line = line_to(broker)
    async with modem(broker, bus()):
        assert await ask(line) == "ok"
        waiting = asyncio.create_task(line.exchange(RTU, Request("9", 4, "7", 2), Timing(timeout_s=10.0), Errand()))
        await broker.logs("Sending PUBLISH to modem", 2)
        broker.kill()
        async with asyncio.timeout(5):
            one = await waiting  # known at once
        assert one.attempt.outcome in ("connection_lost", "ok", "wrong_unit")


async def test_the_first_poll_after_the_broker_is_back(broker: Mosquitto) -> None:
    link = TunnelLink(TunnelEnds(broker.host, broker.port, "to/4712", "from/4712"), SystemClock())
    line = Line(link, DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)))
    assert await ask(line, HASTY) == "no_answer"
    broker.kill()
    async with asyncio.timeout(5):
        while (outcome := await ask(line, HASTY)) == "no_answer":
            pass
    assert outcome == "connection_lost"
    assert await ask(line, HASTY) == "connection_refused"
    broker.start()
    async with modem(broker, bus()):
        assert await ask(line) == "ok"
    await line.close()


async def test_two_collectors_on_one_tunnel(broker: Mosquitto) -> None:
    """The newer has it. Were both to have it, each would take the other's answers."""
    async with modem(broker, lambda _: ()):
        one, two = line_to(broker), line_to(broker)
        waiting = asyncio.create_task(ask(one, Timing(timeout_s=10.0)))
        await broker.logs("Sending PUBLISH to modem")
        assert await ask(two, HASTY) == "no_answer"
        async with asyncio.timeout(5):
            assert await waiting == "connection_lost"
        await one.close()
        await two.close()


async def test_a_broker_that_refuses_us(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, users=("allow_anonymous false",))
    broker.start()
    try:
        line = line_to(broker, "u", "wrong")
        one = await line.exchange(RTU, Request("1", 4, "7", 2), TIMING, Errand())
        assert (one.attempt.outcome, one.attempt.owner) == ("connection_refused", Owner.OURS)
        assert "the user 'u' or the password" in one.attempt.detail
    finally:
        broker.stop()


async def test_a_flood_is_left_in_the_network(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel_link, "LIMIT", 4096)
    link = TunnelLink(TunnelEnds(broker.host, broker.port, "to/4712", "from/4712"), SystemClock())
    await link.open(soon())
    async with aiomqtt.Client(broker.host, broker.port) as client:
        for _ in range(500):
            await client.publish("from/4712", bytes(1000), qos=1)
    assert link._inbox is not None
    assert len(link._inbox.data) <= 64 * 1024
    taken = 0
    while data := await link.read(soon(0.5)):
        taken += len(data)
    assert taken == 500_000
    await link.close()


async def test_a_link_that_is_not_open() -> None:
    link = TunnelLink(TunnelEnds("127.0.0.1", 1, "a", "b"), SystemClock())
    with pytest.raises(LinkError, match="is not connected"):
        await link.read(soon())
    await link.close()
