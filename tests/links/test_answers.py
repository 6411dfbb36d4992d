"""What concentrators are told, with a link that only remembers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from collector.acquisition.answers import Answers
from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_connection import Broker
from collector.acquisition.mqtt_link import MqttLink
from collector.acquisition.resend import Gaps
from collector.clock import DrivenClock
from collector.errors import LinkError
from storage.records import Owner
from storage.senders import Progress

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


class Wire(MqttLink):
    """Delivers nothing."""

    def __init__(self) -> None:
        super().__init__(Broker("nowhere", 1883, "c", ("t",)), Intake(), DrivenClock(NOON))
        self.said: asyncio.Queue[tuple[str, dict[str, object]]] = asyncio.Queue()
        self.error: LinkError | None = None
        self.meanwhile: Callable[[], None] = lambda: None

    async def deliver(self, topic: str, payload: bytes) -> None:
        self.meanwhile()
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.said.put_nowait((topic, json.loads(payload)))

    async def hears(self) -> tuple[str, dict[str, object]]:
        return await asyncio.wait_for(self.said.get(), 5)


def progress(sender: str, upto: int, *missing: tuple[int, int], lost: int = 0, heard_at: datetime = NOON) -> Progress:
    return Progress(
        "broker", sender, "a", upto, max([upto, *(high + 1 for _, high in missing)]), missing, lost, heard_at
    )


@asynccontextmanager
async def answering(wire: Wire, *known: Progress, first_s: float = 0.0) -> AsyncIterator[Answers]:
    async def all_known() -> tuple[Progress, ...]:
        return known

    topics = {"ack": "meters/{sender}/ack", "resend": "meters/{sender}/resend"}
    gaps, backoff = Gaps(first_s=first_s), Backoff(first_s=0.01)
    answers = Answers(wire, "broker", all_known, DrivenClock(NOON), gaps=gaps, backoff=backoff, **topics)
    task = asyncio.create_task(answers.run())
    try:
        yield answers
    finally:
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled(), task.exception()


async def test_the_newest_of_each_is_said_once_there_is_a_connection() -> None:
    wire = Wire()
    async with answering(wire) as answers:
        for upto in (3, 5, 9):
            answers.committed([progress("d1", upto)])
        answers.committed([progress("d2", 1)])
        await asyncio.sleep(0.02)
        wire.subscribed.set()
        assert await wire.hears() == ("meters/d1/ack", {"boot_id": "a", "upto_seq": 9})
        assert await wire.hears() == ("meters/d2/ack", {"boot_id": "a", "upto_seq": 1})
        assert wire.said.empty()


async def test_what_is_missing_since_before_we_began_is_asked_for() -> None:
    wire = Wire()
    old = progress("d9", 3, (4, 5), heard_at=NOON - timedelta(days=8))
    async with answering(wire, progress("d1", 3, (4, 5)), progress("d2", 7), old):
        wire.subscribed.set()
        assert await wire.hears() == ("meters/d1/resend", {"boot_id": "a", "from": 4, "to": 5})
        assert wire.said.empty()


async def test_while_one_is_asked_others_are_heard() -> None:
    """Requests go out one by one, and each commit meanwhile changes what is missing."""
    wire = Wire()
    async with answering(wire, *(progress(f"d{n}", 1, (2, 2)) for n in range(5))) as answers:
        wire.meanwhile = lambda: answers.committed([progress("d4", 3)])
        wire.subscribed.set()
        for _ in range(6):  # five requests, one of which is no longer needed by then, and an acknowledgement
            await wire.hears()


async def test_a_broker_that_has_forgotten_us_makes_us_ask_for_the_last(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire()
    async with answering(wire, progress("d1", 7)):
        wire.forgotten = 1
        wire.subscribed.set()
        assert await wire.hears() == ("meters/d1/resend", {"boot_id": "a", "from": 8})


async def test_refused_is_said_once_and_what_was_to_be_said_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    wire = Wire()
    async with answering(wire) as answers:
        wire.error = LinkError("refused", Owner.OURS, "not authorized")
        wire.subscribed.set()
        answers.committed([progress("d1", 7)])
        await asyncio.sleep(0.1)
        wire.error = None
        assert await wire.hears() == ("meters/d1/ack", {"boot_id": "a", "upto_seq": 7})
        await asyncio.sleep(0.01)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


async def test_what_a_sender_gives_up_is_said(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire()
    async with answering(wire, progress("d1", 7, lost=2)) as answers:
        wire.subscribed.set()
        await asyncio.sleep(0)
        for lost in (2, 5, 5):
            answers.committed([progress("d1", 9, lost=lost)])
    assert ["d1 has given up 3 messages that never came" in record.message for record in caplog.records] == [True]
