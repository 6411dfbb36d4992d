"""F40, F42, F43: brokers that are killed, full, or that forget; F33: concentrators that restart.

Mosquitto stands as it is installed: it acknowledges a message, and writes to disk every half hour. So what makes the difference
is whether a concentrator keeps its messages until the collector has them, or only until the broker has.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from collector.acquisition.resend import Gaps
from simulators.concentrator import Concentrator
from simulators.concentrator_store import Forgets, Store
from simulators.json_face import Message
from simulators.truth import Truth
from storage.records import Batch, Judged, Receipt
from tests.flow.faults.conftest import Tell
from tests.flow.faults.mailbox import Mailbox, mailbox, messages, standing
from tests.flow.faults.oracle import all_pushed, nothing_lost
from tests.flow.faults.street import SEED, START
from tests.links.broker import TALKATIVE, Mosquitto, needs_mosquitto

pytestmark = needs_mosquitto

DAY = timedelta(days=1)
NOW = START + 2 * DAY
AS_INSTALLED = ("persistence true", *TALKATIVE)
"""autosave_interval half an hour, max_queued_messages 1,000."""


KILLS = int(os.environ.get("CHAOBIAO_KILLS", "4"))


@asynccontextmanager
async def standing_broker(folder: Path, *lines: str) -> AsyncIterator[Mosquitto]:
    place = folder / "broker"
    place.mkdir()
    mosquitto = Mosquitto(place, *(lines or AS_INSTALLED))
    await asyncio.to_thread(mosquitto.start)
    try:
        yield mosquitto
    finally:
        await asyncio.to_thread(mosquitto.stop)


@asynccontextmanager
async def at_work(
    broker: Mosquitto, forgets: Forgets, *, patience_s: float = 1.0, login: tuple[str, str] | None = None
) -> AsyncIterator[Concentrator]:
    store = Store("dcu-1", "boot-1", forgets=forgets, patience_s=patience_s)
    one = Concentrator(store, host=broker.host, port=broker.port, login=login)
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.wait((task,))


def asking() -> Gaps:
    """As usual, but for people who wait for a test."""
    return Gaps(first_s=0.3, ceiling_s=1.0)


async def sends(one: Concentrator, part: Sequence[Message], *, until: float = 1.0) -> None:
    """Returns when the broker has confirmed this share of it."""
    wanted = one.sent + int(len(part) * until)
    one.take(part)
    async with asyncio.timeout(15):
        while one.sent < wanted:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.002)


def thirds(made: list[Message]) -> tuple[list[Message], list[Message], list[Message]]:
    made.sort(key=lambda one: one.time)
    third = len(made) // 3
    return made[:third], made[third:-third], made[-third:]


async def settled(one: Concentrator, box: Mailbox) -> None:
    """Until it keeps nothing, or, if it forgets by itself, until the last thing it sent is here."""
    await asyncio.wait_for(one.emptied(), 20)
    if one.store.forgets == "confirmed":
        quiet = box.heard - 1
        while quiet != box.heard:
            quiet = box.heard
            await asyncio.sleep(0.5)


async def broker_dies(folder: Path, forgets: Forgets) -> tuple[Truth, list[Judged], list[tuple[Batch, Receipt]], int]:
    """With all of a third in its memory; then again and again in the middle of its work."""
    truth, rows = Truth(), standing(4)
    first, middle, last = thirds(messages(rows, truth, START, START + DAY, SEED))
    gaps = asking() if forgets == "acknowledged" else None
    async with standing_broker(folder) as broker, at_work(broker, forgets) as one:
        async with mailbox(folder, broker, rows, NOW, gaps=gaps):
            pass  # the broker knows us, and keeps what comes
        await sends(one, first)
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        async with mailbox(folder, broker, rows, NOW, gaps=gaps) as box:
            size = len(middle) // KILLS + 1
            for n in range(0, len(middle), size):
                await sends(one, middle[n : n + size], until=0.5)
                await asyncio.to_thread(broker.kill)
                await asyncio.to_thread(broker.start)
            one.take(last)
            await settled(one, box)
            return truth, await box.stored(), box.committed, one.asked


async def test_broker_killed_with_messages_in_its_memory(tmp_path: Path, tell: Tell) -> None:
    """F40."""
    truth, stored, committed, asked = await broker_dies(tmp_path, "acknowledged")
    nothing_lost(committed, stored)
    all_pushed(truth, stored)
    tell("F40", f"{KILLS + 1} kills of the broker: {len(stored)} values, 0 lost, {asked} requests to send again")


async def test_broker_killed_and_what_it_had_confirmed_is_gone(tmp_path: Path, tell: Tell) -> None:
    truth, stored, _, _ = await broker_dies(tmp_path, "confirmed")
    with pytest.raises(AssertionError, match="I1: "):
        all_pushed(truth, stored)
    tell("F40", f"without it: {len(truth.shown) - len(stored)} of {len(truth.shown)} values lost")
