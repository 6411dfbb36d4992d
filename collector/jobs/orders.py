"""Orders on demand (召测), served while the daemon runs: they come by the ledger, and so does what becomes of them.

The ledger is looked at every second; an order is taken once, served beside all else, and ended once: done, failed with its
reason, or expired at its deadline. One that is withdrawn is dropped where it stands. Invariant: an order that was taken does not
stay so: at its end, at the end of the daemon, or at the start of the next one it is ended or waits again.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from collector.clock import Clock
from collector.errors import CollectorError, UsageError
from collector.jobs.asking import BAD_ORDER
from protocols.errors import ProfileError, ProtocolsError, RequestError
from storage.errors import DatabaseBusy, DatabaseUnusable, StorageError
from storage.ledger.port import Ledger
from storage.orders import Order, OrderLine, OrderState

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""At most once a second the ledger is asked what is open; so an order is begun within that, and what a line needs."""
MOST_TIMES = 3
"""An order under which the daemon ended so often may be what ended it."""
LATE = timedelta(seconds=30)
"""So long after its deadline an order that has not come to its end by itself is cut off."""
KEPT = timedelta(days=7)
"""How long progress is kept."""
FAILED = "failed"
_KNOWN = (CollectorError, StorageError, ProtocolsError)


class Log:
    """The progress of one order: said at once, written down as soon as the ledger takes it, many lines in one go."""

    def __init__(self, ledger: Ledger, clock: Clock, order: Order) -> None:
        self._ledger = ledger
        self._clock = clock
        self._order = order
        self._said: list[OrderLine] = []
        self._bell = asyncio.Event()
        self._closed = False

    def say(self, about: str, outcome: str, detail: str = "", said: str = "") -> None:
        """One step."""
        self._said.append(OrderLine(self._order.id, self._clock.now(), about, outcome, detail, said))
        self._bell.set()

    def close(self) -> None:
        """Nothing more will be said."""
        self._closed = True
        self._bell.set()

    async def write(self) -> None:
        """Until it is closed and all is written down. Never cancelled: what was half written would be written twice."""
        while not self._closed or self._said:
            await self._bell.wait()
            self._bell.clear()
            while lines := tuple(self._said):
                if await _done(self._ledger.add_order_lines(lines)):
                    del self._said[: len(lines)]
                else:
                    await asyncio.sleep(LOOK_S)


Serve = Callable[[Order, Log], Awaitable[None]]
"""Do what an order asks for. :raises UsageError: it cannot be."""


class Orders:
    """Takes orders for as long as it runs. `by`: who we are."""

    def __init__(self, ledger: Ledger, clock: Clock, serve: Serve, *, by: str, look_s: float = LOOK_S) -> None:
        self._ledger = ledger
        self._clock = clock
        self._serve = serve
        self._by = by
        self._look_s = look_s
        self._serving: dict[str, tuple[Order, asyncio.Task[None]]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is not done then waits for the next daemon."""
        begun = False
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                begun = begun or await _done(self._take_up(MOST_TIMES))
                if begun:
                    await _done(self._look(tasks))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._look_s)
            for _, task in self._serving.values():
                task.cancel()
        await _done(self._take_up(sys.maxsize))

    async def _take_up(self, most: int) -> None:
        now = self._clock.now()
        await self._ledger.reopen_orders(at=now, most=most)
        await self._ledger.forget_order_lines(now - KEPT)

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        now = self._clock.now()
        found = {one.id: one for one in await self._ledger.open_orders()}
        for order, task in list(self._serving.values()):
            if order.id not in found:
                log.info("the order %s was withdrawn", order.id)
                task.cancel()
            elif now >= order.deadline + LATE:
                task.cancel()
                await self._end(order, OrderState.EXPIRED)
        if any(one.state is OrderState.WAITING for one in found.values()):
            for order in await self._ledger.take_orders(by=self._by, at=now):
                log.info("%s on demand for %s: order %s", order.kind, order.asked_by, order.id)
                self._serving[order.id] = order, tasks.create_task(self._one(order))

    async def _one(self, order: Order) -> None:
        progress = Log(self._ledger, self._clock, order)
        writing = asyncio.create_task(progress.write())
        try:
            try:
                state, reason, detail = await self._served(order, progress)
            finally:
                progress.close()
                await asyncio.wait([writing])
            await self._insist(lambda: self._end(order, state, reason, detail))
        finally:
            del self._serving[order.id]

    async def _served(self, order: Order, progress: Log) -> tuple[OrderState, str, str]:
        try:
            await self._serve(order, progress)
        except UsageError as error:
            return OrderState.FAILED, BAD_ORDER, str(error)
        except (RequestError, ProfileError) as error:
            return OrderState.FAILED, BAD_ORDER, str(error)
        except _KNOWN as error:
            return OrderState.FAILED, FAILED, str(error) or type(error).__name__
        except ExceptionGroup as group:
            known, unknown = group.split(_KNOWN)
            if unknown is not None or known is None:
                raise
            return OrderState.FAILED, FAILED, str(known)
        late = self._clock.now() >= order.deadline
        return OrderState.EXPIRED if late else OrderState.DONE, "", ""

    async def _insist(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            if await _done(work()):
                return
            await asyncio.sleep(self._look_s)

    async def _end(self, order: Order, state: OrderState, reason: str = "", detail: str = "") -> None:
        await self._ledger.end_order(order.id, state, at=self._clock.now(), reason=reason, detail=detail)


async def _done(work: Awaitable[None]) -> bool:
    """False: the database is held by somebody else; once more, later."""
    try:
        await work
    except (DatabaseBusy, DatabaseUnusable) as error:
        log.warning("orders on demand wait for the database: %s", error)
        return False
    return True
