"""Waking: a port with two adapters. It only says *when*; what to do comes from slots owed.

APScheduler 3.11 computes its waits from the wall clock once and may sleep past a clock that is set back (its issue 339), so
an alarm is never trusted alone: `ScheduledWaker` also looks at the clock every `LOOK_S` seconds of the loop's own time.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from collector.clock import SET_BACK, Clock, sleep_until_or_set

LOOK_S = 15
ALARM = "alarm"


class Waker(Protocol):
    """Wakes one sleeper."""

    async def sleep_until(self, instant: datetime) -> None:
        """Return at the instant, or earlier when `nudge` was called; at once when the instant has passed."""

    def nudge(self) -> None:
        """Wake now: something changed."""

    def close(self) -> None:
        """No more alarms."""


class ScheduledWaker:
    """Real time: APScheduler rings the alarm; beside it the loop looks at the clock, for APScheduler's intervals stop with it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()
        self._until: datetime | None = None
        self._scheduler = AsyncIOScheduler(
            event_loop=asyncio.get_running_loop(),
            timezone="UTC",
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._scheduler.start()
        self._loop = asyncio.get_running_loop()
        self._slept_at = clock.now()
        self._looking = self._loop.call_later(LOOK_S, self._look)

    async def sleep_until(self, instant: datetime) -> None:
        """By an alarm at the instant; a clock set forward or back is noticed within `LOOK_S`. Set back, it wakes at once:
        what was to be done next was reckoned by a clock that was wrong.
        """
        self._until, self._slept_at = instant, self._clock.now()
        self._arm()
        if self._clock.now() < instant:
            await self._rung.wait()
        self._rung.clear()
        self._until = None

    def nudge(self) -> None:
        """Wake now."""
        self._rung.set()

    def close(self) -> None:
        """Stop the scheduler; its jobs hold nothing."""
        self._looking.cancel()
        self._scheduler.shutdown(wait=False)

    def _arm(self) -> None:
        if self._until is not None:
            trigger = DateTrigger(self._until, timezone="UTC")
            self._scheduler.add_job(self._ring, trigger, id=ALARM, replace_existing=True)

    async def _ring(self) -> None:
        if not self._look_now():
            self._arm()  # the alarm was a moment early, or the clock has been set back since

    def _look(self) -> None:
        self._look_now()
        self._looking = self._loop.call_later(LOOK_S, self._look)

    def _look_now(self) -> bool:
        if self._until is not None and not self._slept_at - SET_BACK <= self._clock.now() < self._until:
            self._rung.set()
        return self._rung.is_set()


class ClockWaker:
    """Driven time: sleeps on the clock itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._nudge = asyncio.Event()

    async def sleep_until(self, instant: datetime) -> None:
        """Whichever comes first: the clock gets there, or a nudge."""
        try:
            await sleep_until_or_set(self._clock, instant, self._nudge)
        finally:
            self._nudge.clear()

    def nudge(self) -> None:
        """Wake now."""
        self._nudge.set()

    def close(self) -> None:
        """Nothing to let go."""
