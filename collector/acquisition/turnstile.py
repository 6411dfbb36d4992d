"""Lets in one after the other, in the order in which they came. What `asyncio.Lock` does, for less where nobody is in the way."""

from __future__ import annotations

import asyncio
from collections import deque


class Turnstile:
    """`places`: how many may be inside at once. Who is let in calls `leave` when done, whatever happened meanwhile."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, places: int = 1) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[None]] | None = None

    def try_enter(self) -> bool:
        """In, if nobody is in the way."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def enter(self) -> None:
        """In, sooner or later."""
        if self.try_enter():
            return
        if self._waiting is None:
            self._waiting = deque()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let in, and cancelled before it could go through
                self.leave()
            raise

    def leave(self) -> None:
        """The next one goes in."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
