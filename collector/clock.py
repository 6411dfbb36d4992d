"""The only place that knows the time (a test in tests/house sees to it).

Civil time drives plans, stamps and freezes. It is a port so that a demo or a test can drive it; deadlines of exchanges
are the event loop's own and are not here.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Civil time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""

    async def sleep_until(self, instant: datetime) -> None:
        """Return once `now()` has reached the instant, or was set back: who waits on looks again what for."""


SET_BACK = timedelta(minutes=1)
"""A clock that goes back by more was wrong before; by less, it is being adjusted."""


class SystemClock:
    """The computer's clock. Sleeps in short steps, so that a clock set back or forward is noticed within one step."""

    STEP_S = 5.0

    def now(self) -> datetime:
        """The computer's time."""
        return datetime.now(UTC)

    async def sleep_until(self, instant: datetime) -> None:
        """Wait by the wall clock, however it is set meanwhile."""
        earliest = self.now() - SET_BACK
        while earliest <= (now := self.now()) < instant:  # noqa: ASYNC110 - the wall clock sends no event when it is set
            await asyncio.sleep(min((instant - now).total_seconds(), self.STEP_S))


class DrivenClock:
    """Civil time that stands still until somebody moves it: `advance` wakes whoever has waited long enough."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Where it was moved to."""
        return self._now

    async def sleep_until(self, instant: datetime) -> None:
        """Wait for `advance` to get there."""
        if instant <= self._now:
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((instant, sleeper))
        await sleeper

    def advance(self, instant: datetime) -> None:
        """Move to an instant, never back, and wake who waited for it."""
        self._now = max(self._now, instant.astimezone(UTC))
        waiting = []
        for due, sleeper in self._sleepers:
            if sleeper.done():
                continue
            if due <= self._now:
                sleeper.set_result(None)
            else:
                waiting.append((due, sleeper))
        self._sleepers = waiting


async def sleep_until_or_set(clock: Clock, instant: datetime, event: asyncio.Event) -> None:
    """Return when the clock gets to the instant, or at once when the event is set. Nothing is left running, also if cancelled."""
    sleeping = asyncio.ensure_future(clock.sleep_until(instant))
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((sleeping, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeping.cancel()
        waiting.cancel()
        await asyncio.gather(sleeping, waiting, return_exceptions=True)
