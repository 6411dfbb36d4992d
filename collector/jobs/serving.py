"""How an order on demand is served by the daemon: with its lines, its profiles, its registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from collector.acquisition.outcome import OK
from collector.acquisition.submitted import Submitted
from collector.acquisition.tasks import Collected, Task
from collector.clock import Clock
from collector.errors import UsageError
from collector.jobs.asking import ReadWanted
from collector.jobs.orders import Log
from collector.jobs.poll import Poll
from collector.jobs.read import Heard, Round
from collector.settings.schema import Settings
from protocols.profile import Profile
from storage.ledger.port import Ledger
from storage.orders import Order, OrderKind
from storage.record_text import from_json, to_json
from storage.registry import Registered

Wanted = TypeVar("Wanted")

TROUBLE = "trouble"
"""The outcome of a line that tells of no value."""


class Serving:
    """The daemon's hands. `source`: where `poll` gets what is asked on demand from; `settings`: as they are now."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        profiles: Mapping[str, Profile],
        ledger: Ledger,
        clock: Clock,
        poll: Poll,
        source: Submitted,
    ) -> None:
        self._settings = settings
        self._profiles = profiles
        self._ledger = ledger
        self._clock = clock
        self._poll = poll
        self._source = source

    async def serve(self, order: Order, log: Log) -> None:
        """:raises UsageError: for what cannot be done."""
        match order.kind:
            case OrderKind.READ:
                await self._read(order, _wanted(ReadWanted, order), log)
            case _:
                raise UsageError(f"this collector cannot {order.kind} on demand")

    async def _read(self, order: Order, wanted: ReadWanted, log: Log) -> None:
        """As `chaobiao read`; meters that had their turn before the daemon was restarted are not asked again."""
        before = [from_json(Heard, line.said) for line in await self._ledger.order_lines(order.id) if line.said]

        def told(heard: Heard) -> None:
            outcome, detail = _outcome(heard)
            log.say(heard.meter, outcome, detail, to_json(heard))

        asking = Round(
            *(self._settings(), self._profiles, self._ledger, self._clock),
            self._queue,
            partial(self._ask, order.deadline),
            told,
        )
        await asking.run(
            await self._ledger.registry(),
            wanted.meters,
            wanted.plan,
            timedelta(seconds=wanted.wait_s),
            but={heard.meter for heard in before if heard.over},
        )

    def _queue(self, one: Registered) -> str | None:
        """Each meter for itself: what is handed in waits at its line, which takes one after the other."""
        return one.meter.meter if one.meter.channel in self._poll.routes else None

    async def _ask(self, deadline: datetime, task: Task) -> Collected | None:
        answer: asyncio.Future[Collected | None] = asyncio.get_running_loop().create_future()

        def answered(collected: Collected | None) -> None:
            if not answer.done():  # who asked may have gone
                answer.set_result(collected)

        self._source.submit(task, closes=deadline, answer=answered)
        self._poll.wake()
        try:
            return await answer
        except asyncio.CancelledError:
            self._source.withdraw(task)
            raise


def _wanted(kind: type[Wanted], order: Order) -> Wanted:
    try:
        return from_json(kind, order.what)
    except ValueError as error:
        raise UsageError(f"the order cannot be read: {error}") from error


def _outcome(heard: Heard) -> tuple[str, str]:
    """What a line of progress says of one meter, for those who do not take it apart."""
    if heard.trouble:
        return TROUBLE, heard.trouble
    if heard.missing and not heard.readings:
        return heard.missing[0].reason, heard.missing[0].detail
    return OK, ""
