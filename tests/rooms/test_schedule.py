"""One suite for both wakers: an alarm rings at its instant, a nudge rings at once, a past instant does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from collector.acquisition.schedule import ClockWaker, ScheduledWaker, Waker
from collector.clock import DrivenClock, SystemClock

START = datetime(2026, 3, 15, tzinfo=UTC)
SOON = timedelta(milliseconds=150)


class Driven:
    """Civil time moved by hand."""

    def __init__(self) -> None:
        self.clock = DrivenClock(START)
        self.waker: Waker = ClockWaker(self.clock)

    async def pass_time(self, span: timedelta) -> None:
        await asyncio.sleep(0)
        self.clock.advance(self.clock.now() + span)


class Real:
    """The computer's clock and APScheduler."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.waker: Waker = ScheduledWaker(self.clock)

    async def pass_time(self, span: timedelta) -> None:
        await asyncio.sleep(span.total_seconds())


@pytest.fixture(params=[Driven, Real])
def world(request: pytest.FixtureRequest) -> Callable[[], Driven | Real]:
    chosen: Callable[[], Driven | Real] = request.param
    return chosen


async def test_it_rings_at_the_instant_and_not_before(world: Callable[[], Driven | Real]) -> None:
    here = world()
    instant = here.clock.now() + SOON
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        sleeper = tasks.create_task(here.waker.sleep_until(instant))
        await here.pass_time(SOON / 3)
        assert not sleeper.done()
        await here.pass_time(SOON)
    assert here.clock.now() >= instant
    here.waker.close()


async def test_a_nudge_wakes_at_once(world: Callable[[], Driven | Real]) -> None:
    here = world()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(here.waker.sleep_until(here.clock.now() + timedelta(days=1)))
        await asyncio.sleep(0)
        here.waker.nudge()
    here.waker.close()


async def test_a_past_instant_does_not_wait(world: Callable[[], Driven | Real]) -> None:
    here = world()
    async with asyncio.timeout(1):
        await here.waker.sleep_until(here.clock.now() - timedelta(seconds=1))
    here.waker.close()


class _SetBack(SystemClock):
    """The computer's clock, set back by eight seconds while somebody sleeps."""

    back = timedelta(0)

    def now(self) -> datetime:
        return super().now() - self.back


async def test_a_clock_set_back_and_forward_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.acquisition.schedule.LOOK_S", 0.05)
    clock = _SetBack()
    waker = ScheduledWaker(clock)
    instant = clock.now() + timedelta(milliseconds=200)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        sleeper = tasks.create_task(waker.sleep_until(instant))
        clock.back = timedelta(seconds=8)
        await asyncio.sleep(0.4)
        assert not sleeper.done()
        clock.back = timedelta(seconds=-8)
    waker.close()
