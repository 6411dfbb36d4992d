"""From a source in memory to the ledger and back to the sender: what is acknowledged when, whatever the ledger does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

import pytest

from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Intake, Ticket
from collector.acquisition.mqtt_connection import Broker
from collector.acquisition.mqtt_link import MqttLink
from collector.clock import DrivenClock
from collector.jobs.receive import Receive, filled
from storage.errors import DatabaseBusy, DatabaseUnusable
from storage.ledger.port import Ledger
from storage.records import Batch, Receipt
from tests.links.messages import (
    NOW,
    inbox,
    ledger_of_these,
    message,
    payload,
    quick,
    receiving,
    stored,
)


class Postman(MqttLink):
    """In the place of the link: carries nothing, remembers what was acknowledged."""

    def __init__(self, intake: Intake) -> None:
        broker = Broker("nowhere", 1883, "c", ("t",))
        super().__init__(broker, intake, DrivenClock(NOW))
        self.acknowledged: list[int] = []

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.Event().wait()

    def acknowledge(self, tickets: Sequence[Ticket]) -> None:
        self.acknowledged += [ticket.mid for ticket in tickets]


class Refusing:
    """A ledger that refuses, and one behind it that does not."""

    def __init__(self, ledger: Ledger, *errors: Exception) -> None:
        self._ledger = ledger
        self._errors = list(errors)
        self.asked = 0
        self.refused = asyncio.Event()

    async def append(self, batch: Batch) -> Receipt:
        """Refuse as long as there are errors."""
        self.asked += 1
        if self._errors:
            self.refused.set()
            raise self._errors.pop(0)
        return await self._ledger.append(batch)


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    async with ledger_of_these() as opened:
        yield opened


async def test_told_after_the_commit_and_duplicates_absorbed(ledger: Ledger) -> None:
    intake = Intake(linger_s=0)
    postman = Postman(intake)
    told: asyncio.Queue[tuple[Batch, Receipt, list[int]]] = asyncio.Queue()
    receive = Receive(
        postman,
        intake,
        inbox(),
        ledger,
        told=lambda batch, receipt: told.put_nowait((batch, receipt, postman.acknowledged[:])),
    )
    async with receiving(receive):
        for n in (1, 2):
            intake.offer(message(payload(), n=n))
            batch, receipt, acknowledged = await told.get()
            assert (receipt.stored, receipt.duplicates, receipt.slots_filled) == ((1, 0, 1) if n == 1 else (0, 1, 0))
            assert acknowledged == list(range(1, n + 1))
            assert len(filled(batch)) == 1
    assert len(await stored(ledger)) == 1


@pytest.mark.parametrize("error", [DatabaseBusy("held"), DatabaseUnusable("no space")])
async def test_a_ledger_that_refuses_is_asked_again(
    ledger: Ledger, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    intake = Intake(linger_s=0)
    postman = Postman(intake)
    refusing = Refusing(ledger, error, error, error)
    done = asyncio.Event()
    receive = Receive(postman, intake, inbox(), refusing, told=lambda *_: done.set(), backoff=quick())
    async with receiving(receive):
        intake.offer(message(payload()))
        await refusing.refused.wait()
        assert postman.acknowledged == []
        await asyncio.wait_for(done.wait(), 5)
    assert (postman.acknowledged, refusing.asked) == ([1], 4)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_stopped_while_the_ledger_refuses_acknowledges_nothing(ledger: Ledger) -> None:
    intake = Intake(linger_s=0)
    postman = Postman(intake)
    refusing = Refusing(ledger, *[DatabaseBusy("held")] * 1000)
    async with receiving(Receive(postman, intake, inbox(), refusing, backoff=Backoff(first_s=600, ceiling_s=600))):
        intake.offer(message(payload()))
        await refusing.refused.wait()
    assert postman.acknowledged == []


async def test_a_mistake_of_ours_ends_it_and_acknowledges_nothing(ledger: Ledger) -> None:
    intake = Intake(linger_s=0)
    postman = Postman(intake)
    receive = Receive(postman, intake, inbox(), Refusing(ledger, ValueError("not in UTC")))
    intake.offer(message(payload()))
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(receive.run(asyncio.Event()), 5)
    assert caught.group_contains(ValueError, match="not in UTC")
    assert postman.acknowledged == []
