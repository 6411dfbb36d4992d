"""One waiter, one deadline: the cheapest way to sleep until something happened. (A timeout context costs more than a read.)

The timer is not set anew for every wait: one that fires too early for the present waiter is moved on then. So a line that
answers a thousand times a second sets one timer a second, and deadlines are as exact as the loop's.
"""

from __future__ import annotations

import asyncio

_NEVER = float("inf")


class Bell:
    """Somebody waits, somebody rings. One waits at a time."""

    __slots__ = ("_deadline", "_fires_at", "_loop", "_timer", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = _NEVER
        self._deadline = _NEVER

    @property
    def awaited(self) -> bool:
        """Whether somebody waits, or was rung for and has not yet said so (`heard`)."""
        return self._waiter is not None

    def ring(self) -> None:
        """Wake who waits; nothing if nobody does."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def heard(self) -> None:
        """Nobody waits any more."""
        self._waiter = None

    def wait(self, deadline: float) -> asyncio.Future[None]:
        """Done when it rings, or at the deadline (the loop's time)."""
        self._waiter = waiter = self._loop.create_future()
        self._deadline = deadline
        if deadline < self._fires_at:
            if self._timer is not None:
                self._timer.cancel()
            self._set(deadline)
        return waiter

    def stop(self) -> None:
        """It is thrown away: no timer is left behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._fires_at = None, _NEVER

    def _set(self, at: float) -> None:
        self._fires_at = at
        self._timer = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        fired_at, self._fires_at, self._timer = self._fires_at, _NEVER, None
        if self._waiter is None or self._waiter.done():
            return
        if self._deadline <= fired_at:
            self._waiter.set_result(None)
        else:
            self._set(self._deadline)
