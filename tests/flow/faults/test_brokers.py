"""F40, F42, F43: brokers that are killed, full, or that forget; F33: concentrators that restart.

Mosquitto stands as it is installed: it acknowledges a message, and writes to disk every half hour. So what makes the difference
is whether a concentrator keeps its messages until the collector has them, or only until the broker has.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from collector.acquisition.resend import Gaps
from collector.acquisition.takeovers import Takeovers
from protocols.profile import Profile
from simulators.concentrator import Concentrator
from simulators.concentrator_store import Forgets, Store
from simulators.json_face import Message
from simulators.truth import Truth
from storage.records import Batch, Judged, Receipt
from tests.flow.faults.conftest import Tell
from tests.flow.faults.mailbox import Mailbox, mailbox, messages, standing
from tests.flow.faults.oracle import all_pushed, nothing_lost
from tests.flow.faults.street import PROFILES, SEED, START
from tests.links.broker import SOUND, TALKATIVE, Mosquitto, needs_mosquitto

pytestmark = needs_mosquitto

DAY = timedelta(days=1)
NOW = START + 2 * DAY
AS_INSTALLED = ("persistence true", *TALKATIVE)
"""autosave_interval half an hour, max_queued_messages 1,000."""


KILLS = int(os.environ.get("CHAOBIAO_KILLS", "3"))
"""With more of them, the same day comes in smaller pieces."""


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
    truth, rows = Truth(), standing(2)
    first, middle, last = thirds(messages(rows, truth, START, START + DAY, SEED))
    gaps = asking() if forgets == "acknowledged" else None
    async with standing_broker(folder) as broker, at_work(broker, forgets) as one:
        async with mailbox(folder, broker, rows, NOW, gaps=gaps):
            pass  # the broker knows us, and keeps what comes
        await sends(one, first)
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        restarts = Takeovers(pause_s=0)  # as quick as these are, they might pass for another client
        async with mailbox(folder, broker, rows, NOW, gaps=gaps, takeovers=restarts) as box:
            size = len(middle) // KILLS + 1
            for n in range(0, len(middle), size):
                await sends(one, middle[n : n + size], until=0.5)
                await asyncio.to_thread(broker.kill)
                subscribed = len(broker.logged("Sending SUBACK to chaobiao-faults"))
                await asyncio.to_thread(broker.start)
                await broker.logs("Sending SUBACK to chaobiao-faults", subscribed + 1)
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


# --- F42 ----------------------------------------------------------------------------------------------------------------


async def queue_is_full(
    folder: Path, forgets: Forgets, *lines: str, meters: int
) -> tuple[Truth, list[Judged], list[tuple[Batch, Receipt]], int]:
    """More than Mosquitto queues for one client is published while the collector is away."""
    truth, rows = Truth(), standing(meters)
    made = messages(rows, truth, START, START + DAY, SEED)
    gaps = asking() if forgets == "acknowledged" else None
    async with standing_broker(folder, *AS_INSTALLED, *lines) as broker, at_work(broker, forgets, patience_s=60) as one:
        async with mailbox(folder, broker, rows, NOW, gaps=gaps):
            pass
        await sends(one, made[:-1])
        async with mailbox(folder, broker, rows, NOW, gaps=gaps) as box:
            one.take(made[-1:])
            await settled(one, box)
            return truth, await box.stored(), box.committed, one.asked


async def test_broker_is_full(tmp_path: Path, tell: Tell) -> None:
    """F42."""
    places, meters = (1000, 52) if "CHAOBIAO_FLOOD" in os.environ else (50, 2)
    full = f"max_queued_messages {places}"
    truth, stored, committed, asked = await queue_is_full(tmp_path, "acknowledged", full, meters=meters)
    nothing_lost(committed, stored)
    all_pushed(truth, stored)
    assert asked
    sent = f"{97 * meters} messages, {places} places"
    tell("F42", f"{sent}: {len(stored)} values, 0 lost, {asked} requests to send again")


async def test_broker_is_full_and_says_nothing(tmp_path: Path, tell: Tell) -> None:
    truth, stored, _, _ = await queue_is_full(tmp_path, "confirmed", "max_queued_messages 50", meters=2)
    with pytest.raises(AssertionError, match="I1: "):
        all_pushed(truth, stored)
    tell("F42", f"without it: {len(truth.shown) - len(stored)} of {len(truth.shown)} values lost")


# --- F43 ----------------------------------------------------------------------------------------------------------------


async def broker_forgets(folder: Path, forgets: Forgets) -> tuple[Truth, list[Judged], list[tuple[Batch, Receipt]]]:
    """Its file is deleted while the collector is away; nothing follows that would show a gap."""
    truth, rows = Truth(), standing(2)
    first, middle, last = thirds(messages(rows, truth, START, START + DAY, SEED))
    gaps = asking() if forgets == "acknowledged" else None
    async with (
        standing_broker(folder, *SOUND, *TALKATIVE) as broker,
        at_work(broker, forgets, patience_s=300) as one,  # so long nothing is sent unasked
    ):
        async with mailbox(folder, broker, rows, NOW, gaps=gaps) as box:
            one.take(first)
            await box.hears(lambda: box.heard >= len(first))
        await sends(one, middle)
        await asyncio.to_thread(broker.stop)
        (folder / "broker" / "mosquitto.db").unlink()
        await asyncio.to_thread(broker.start)
        async with mailbox(folder, broker, rows, NOW, gaps=gaps) as box:
            if forgets == "acknowledged":
                await asyncio.wait_for(one.emptied(), 20)
            one.take(last)
            await settled(one, box)
            return truth, await box.stored(), box.committed


async def test_broker_has_forgotten_us(tmp_path: Path, tell: Tell) -> None:
    """F43: subscribed again, and everybody is asked for what came after the last that we have."""
    truth, stored, _ = await broker_forgets(tmp_path, "acknowledged")
    all_pushed(truth, stored)
    tell("F43", f"persistence file deleted: {len(stored)} values, 0 lost, none sent unasked")


async def test_broker_has_forgotten_us_and_nobody_asks(tmp_path: Path, tell: Tell) -> None:
    truth, stored, _ = await broker_forgets(tmp_path, "confirmed")
    with pytest.raises(AssertionError, match="I1: "):
        all_pushed(truth, stored)
    tell("F43", f"without it: {len(truth.shown) - len(stored)} of {len(truth.shown)} values lost")


# --- F33 ----------------------------------------------------------------------------------------------------------------


async def restarted(folder: Path, profile: Profile) -> tuple[Truth, list[Judged], int]:
    """A concentrator that counts anew, in each of five lives; the collector is away when the numbers begin again."""
    truth, rows = Truth(), standing(1)
    made = sorted(messages(rows, truth, START, START + DAY, SEED), key=lambda one: one.time)
    profiles = {**PROFILES, profile.id: profile}
    lives, size = 5, len(made) // 5 + 1
    async with standing_broker(folder) as broker, at_work(broker, "acknowledged", patience_s=300) as one:
        for life in range(lives):
            part = made[life * size : (life + 1) * size]
            async with mailbox(folder, broker, rows, NOW, gaps=asking(), profiles=profiles) as box:
                one.take(part)
                await box.hears(lambda part=part, box=box: box.heard >= len(part) // 2)  # type: ignore[misc]
            one.restart(f"boot-{life + 2}")
        async with mailbox(folder, broker, rows, NOW, gaps=asking(), profiles=profiles) as box:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(one.emptied(), 2)
            return truth, await box.stored(), len(one.store)


async def test_concentrator_restarts(tmp_path: Path, tell: Tell) -> None:
    """F33: the same numbers again, other messages."""
    truth, stored, left = await restarted(tmp_path, PROFILES["json_meter"])
    all_pushed(truth, stored)
    assert not left
    tell("F33", f"5 lives of a concentrator, each from number 1: {len(stored)} values, 0 lost, 0 left in its memory")


async def test_concentrator_restarts_and_its_boots_are_taken_for_one(tmp_path: Path) -> None:
    """As if `boot_id` were not there: what was acknowledged is of no boot that the concentrator knows."""
    profile = PROFILES["json_meter"]
    assert profile.json_ is not None
    one_boot = profile.model_copy(update={"json_": profile.json_.model_copy(update={"boot": "dcu"})})
    _, _, left = await restarted(tmp_path, one_boot)
    assert left
