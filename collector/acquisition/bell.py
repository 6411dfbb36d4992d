"""One waiter, one deadline: the cheapest way to sleep until something happened. (A timeout context costs more than a read.)"""

from __future__ import annotations

import asyncio


class Bell:
    """Somebody waits, somebody rings. One waits at a time."""

    __slots__ = ("_loop", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    @property
    def awaited(self) -> bool:
        """Whether somebody waits."""
        return self._waiter is not None

    def ring(self) -> None:
        """Wake who waits; nothing if nobody does."""
        if self._waiter is not None:
            _release(self._waiter)

    async def wait(self, deadline: float) -> None:
        """Return when it rings, or at the deadline (the loop's time)."""
        self._waiter = waiter = self._loop.create_future()
        timer = self._loop.call_at(deadline, _release, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
