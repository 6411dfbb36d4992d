"""Orders on demand: taken, served, ended once; dropped when withdrawn, cut off when overdue, and waiting again after a drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from collector.clock import DrivenClock
from collector.errors import LinkError, UsageError, WorkFailed
from collector.jobs.asking import OVERDUE, ReadWanted, follow, order_for
from collector.jobs.orders import LATE, Log, Orders, Serve
from protocols.errors import RequestError
from storage.errors import DatabaseBusy
from storage.ledger.port import Ledger
from storage.memory import MemoryLedger
from storage.orders import Order, OrderKind, OrderLine, OrderState
from storage.records import Owner
from tests.rooms.plans import shanghai

NOW = shanghai(2026, 3, 15, 10, 15)
HOUR = timedelta(hours=1)


def asked(within: timedelta = HOUR) -> Order:
    return order_for(OrderKind.READ, ReadWanted(("m1",), None, 10.0), by="li@desk:7", now=NOW, within=within)


async def at_once(order: Order, log: Log) -> None:
    log.say("m1", "ok")
    log.say("m2", "no_answer", "silent")


async def for_ever(order: Order, log: Log) -> None:
    log.say("m1", "ok")
    await asyncio.Event().wait()


@asynccontextmanager
async def taking(ledger: Ledger, clock: DrivenClock, serve: Serve, by: str = "host:1") -> AsyncIterator[None]:
    """Orders are taken inside the block; then the daemon drains."""
    stop = asyncio.Event()
    async with asyncio.timeout(20):
        running = asyncio.create_task(Orders(ledger, clock, serve, by=by, look_s=0.01).run(stop))
        yield
        stop.set()
        await running


async def until(ledger: Ledger, order: Order, *states: OrderState) -> Order:
    async with asyncio.timeout(10):
        while True:
            one = await ledger.order(order.id)
            if one is not None and one.state in states:
                return one
            await asyncio.sleep(0.005)


async def said(ledger: Ledger, order: Order) -> list[tuple[str, str]]:
    return [(line.about, line.outcome) for line in await ledger.order_lines(order.id)]


async def test_an_order_is_served_and_its_progress_is_whole_before_it_ends() -> None:
    ledger, clock, order = MemoryLedger(), DrivenClock(NOW), asked()
    await ledger.place_order(order)
    async with taking(ledger, clock, at_once):
        done = await until(ledger, order, OrderState.DONE)
        assert await said(ledger, order) == [("m1", "ok"), ("m2", "no_answer")]
    assert (done.taken_by, done.times, done.ended_at) == ("host:1", 1, NOW)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UsageError("there is no meter m1"), "bad_order"),
        (RequestError("unit 300: 0 to 255"), "bad_order"),
        (LinkError("port_in_use", Owner.OURS, "somebody has it"), "failed"),
        (ExceptionGroup("two", [WorkFailed("somebody has it"), WorkFailed("no")]), "failed"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else one,
)
async def test_what_cannot_be_served_fails_with_its_reason(error: Exception, reason: str) -> None:
    async def serve(order: Order, log: Log) -> None:
        raise error

    ledger, clock, order = MemoryLedger(), DrivenClock(NOW), asked()
    await ledger.place_order(order)
    async with taking(ledger, clock, serve):
        failed = await until(ledger, order, OrderState.FAILED)
    assert failed.reason == reason
    assert failed.detail


async def test_a_mistake_of_ours_is_not_hidden() -> None:
    async def serve(order: Order, log: Log) -> None:
        raise ExceptionGroup("both", [WorkFailed("known"), ZeroDivisionError("not foreseen")])

    ledger, clock, order = MemoryLedger(), DrivenClock(NOW), asked()
    await ledger.place_order(order)
    with pytest.raises(ExceptionGroup, match="unhandled errors") as raised:
        async with asyncio.timeout(10):
            await Orders(ledger, clock, serve, by="host:1", look_s=0.01).run(asyncio.Event())
    assert raised.group_contains(ZeroDivisionError, match="not foreseen")
    (taken,) = await ledger.open_orders()
    assert taken.state is OrderState.TAKEN  # the next daemon takes it up


async def test_one_that_is_withdrawn_is_dropped_and_the_others_go_on() -> None:
    ledger, clock, first, second = MemoryLedger(), DrivenClock(NOW), asked(), asked()
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def serve(order: Order, log: Log) -> None:
        try:
            await for_ever(order, log)
        finally:
            ended.put_nowait(order.id)

    await ledger.place_order(first)
    await ledger.place_order(second)
    async with taking(ledger, clock, serve):
        await until(ledger, second, OrderState.TAKEN)
        assert await ledger.end_order(first.id, OrderState.WITHDRAWN, at=NOW)
        assert await ended.get() == first.id
        assert ended.empty()
        assert [one.id for one in await ledger.open_orders()] == [second.id]


async def test_a_daemon_that_drains_leaves_it_to_the_next() -> None:
    ledger, clock, order = MemoryLedger(), DrivenClock(NOW), asked()
    await ledger.place_order(order)
    async with taking(ledger, clock, for_ever):
        await until(ledger, order, OrderState.TAKEN)
    (waiting,) = await ledger.open_orders()
    assert (waiting.state, waiting.taken_by) == (OrderState.WAITING, "")
    async with taking(ledger, clock, at_once, by="host:2"):
        done = await until(ledger, order, OrderState.DONE)
    assert (done.taken_by, done.times) == ("host:2", 2)


async def test_nothing_is_served_for_ever() -> None:
    """An order that does not come to its end by itself is cut off a while after its deadline."""
    ledger, clock, order = MemoryLedger(), DrivenClock(NOW), asked(within=timedelta(minutes=1))
    await ledger.place_order(order)
    async with taking(ledger, clock, for_ever):
        await until(ledger, order, OrderState.TAKEN)
        clock.advance(order.deadline + LATE)
        expired = await until(ledger, order, OrderState.EXPIRED)
    assert expired.ended_at == order.deadline + LATE
    assert await ledger.open_orders() == ()


async def test_one_that_ends_after_its_deadline_has_expired() -> None:
    clock = DrivenClock(NOW)

    async def serve(order: Order, log: Log) -> None:
        clock.advance(order.deadline)

    ledger, order = MemoryLedger(), asked()
    await ledger.place_order(order)
    async with taking(ledger, clock, serve):
        await until(ledger, order, OrderState.EXPIRED)


class Busy(MemoryLedger):
    """Held by somebody else the first time each verb is used."""

    def __init__(self) -> None:
        super().__init__()
        self._refused: set[str] = set()

    def _first(self, verb: str) -> None:
        if verb not in self._refused:
            self._refused.add(verb)
            raise DatabaseBusy("held")

    async def take_orders(self, **how: object) -> tuple[Order, ...]:
        self._first("take")
        return await super().take_orders(**how)  # type: ignore[arg-type]

    async def add_order_lines(self, lines: Sequence[OrderLine]) -> None:
        self._first("lines")
        await super().add_order_lines(lines)

    async def end_order(self, order: str, state: OrderState, **how: object) -> bool:
        self._first("end")
        return await super().end_order(order, state, **how)  # type: ignore[arg-type]


async def test_a_database_that_is_busy_loses_and_doubles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.jobs.orders.LOOK_S", 0.01)
    ledger, clock, order = Busy(), DrivenClock(NOW), asked()
    await ledger.place_order(order)
    async with taking(ledger, clock, at_once):
        done = await until(ledger, order, OrderState.DONE)
    assert done.times == 1
    assert await said(ledger, order) == [("m1", "ok"), ("m2", "no_answer")]


# --- whoever asked ----------------------------------------------------------------------------------------------------


async def followed(
    ledger: Ledger, clock: DrivenClock, order: Order, *, collects: Callable[[], bool] = lambda: True
) -> tuple[Order, list[str]]:
    lines: list[str] = []
    one = await follow(ledger, clock, order, told=lambda line: lines.append(line.about), collects=collects)
    return one, lines


async def test_who_asked_hears_all_of_it() -> None:
    ledger, clock, order = MemoryLedger(), DrivenClock(NOW), asked()
    async with taking(ledger, clock, at_once):
        done, lines = await followed(ledger, clock, order)
    assert done.state is OrderState.DONE
    assert lines == ["m1", "m2"]


async def test_who_stops_asking_withdraws_it() -> None:
    ledger, clock, order = MemoryLedger(), DrivenClock(NOW), asked()
    following = asyncio.create_task(followed(ledger, clock, order))
    await until(ledger, order, OrderState.WAITING)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    await until(ledger, order, OrderState.WITHDRAWN)


@pytest.mark.parametrize(
    ("collects", "later", "says"),
    [
        (False, timedelta(seconds=11), "has ended; the order is withdrawn"),
        (True, HOUR + OVERDUE, "serves no orders; it is withdrawn"),
    ],
)
async def test_nobody_waits_for_a_daemon_that_is_not_there(collects: bool, later: timedelta, says: str) -> None:
    ledger, clock, order = MemoryLedger(), DrivenClock(NOW), asked()
    following = asyncio.create_task(followed(ledger, clock, order, collects=lambda: collects))
    await until(ledger, order, OrderState.WAITING)
    async with asyncio.timeout(10):
        await asyncio.sleep(0)  # it has looked once
        clock.advance(NOW + later)
        with pytest.raises(WorkFailed, match=says):
            await following
    await until(ledger, order, OrderState.WITHDRAWN)


async def test_an_order_that_was_never_begun_says_so() -> None:
    ledger, clock, order = MemoryLedger(), DrivenClock(NOW + HOUR), asked()
    async with taking(ledger, clock, at_once):
        with pytest.raises(WorkFailed, match="over before the collector could begin"):
            await followed(ledger, clock, order)
