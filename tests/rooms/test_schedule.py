"""One suite for both wakers: an alarm rings at its instant, a nudge rings at once, a past instant does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

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


class _Set(SystemClock):
    """The computer's clock, which somebody sets."""

    back = timedelta(0)

    def now(self) -> datetime:
        return super().now() - self.back


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch) -> _Set:
    """Its clock, which APScheduler goes by as well; it is looked at often, and every step back is one that counts."""
    clock = _Set()

    class Shown(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Shown:
            there = clock.now().astimezone(tz)
            return cls.fromtimestamp(there.timestamp(), tz)

    for module in ("schedulers.base", "triggers.date", "triggers.interval", "util"):
        monkeypatch.setattr(f"apscheduler.{module}.datetime", Shown)
    monkeypatch.setattr("collector.acquisition.schedule.LOOK_S", 0.05)
    return clock


async def test_a_clock_set_back_and_forward_again_is_noticed(computer: _Set) -> None:
    """APScheduler alone sleeps through it, its intervals too."""
    waker = ScheduledWaker(computer)
    instant = computer.now() + timedelta(milliseconds=200)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        sleeper = tasks.create_task(waker.sleep_until(instant))
        await asyncio.sleep(0)
        computer.back = timedelta(seconds=30)
        await asyncio.sleep(0.4)
        assert not sleeper.done()
        computer.back = timedelta(0)
    waker.close()


@pytest.mark.parametrize("kind", ["waker", "clock"])
async def test_who_sleeps_by_a_clock_that_was_ahead_is_woken_when_it_is_put_right(
    computer: _Set, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SystemClock, "STEP_S", 0.05)
    computer.back = timedelta(days=-1)
    waker = ScheduledWaker(computer)
    sleep_until = waker.sleep_until if kind == "waker" else computer.sleep_until
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(sleep_until(computer.now() + timedelta(minutes=15)))
        await asyncio.sleep(0.1)
        computer.back = timedelta(0)
    waker.close()
