"""Taking in what devices push, at the pace of the ledger: bounded, in batches, acknowledged in order after the commit.

A message counts against the limits from the moment it is read until its batch is settled. At a limit the source is told
to stop reading, so that what comes next waits in the broker (which keeps it on disk), not in our memory; nothing is ever
discarded here. Who takes batches has one batch in hand at a time.

Invariant: a ticket is given to `acknowledge` only by `settle`, in the order of arrival. When a connection ends, what was
waiting is forgotten (it is sent again) and a batch in hand keeps tickets that no later connection will take.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

LIMIT_MESSAGES = 2_000
"""Read and not yet acknowledged (reliability.md §1.6: the broker's own window does not bound us)."""
LIMIT_BYTES = 32 * 1024 * 1024
"""Of payload, for the same: 2,000 messages of the largest size would be more than the daemon's memory budget."""
BATCH_MESSAGES = 200
BATCH_LINGER_S = 0.1
"""A batch is closed at 200 messages or 100 ms after its first (reliability.md §3), whichever is first."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What it takes to acknowledge one message, and the connection it came by: no other one may use it."""

    connection: int
    mid: int
    qos: int


@dataclass(frozen=True, slots=True)
class Pushed:
    """One message as it came. `received_at` aware, UTC."""

    topic: str
    payload: bytes
    retained: bool
    received_at: datetime
    ticket: Ticket


class PushSource(Protocol):
    """Where messages come from."""

    def acknowledge(self, tickets: Sequence[Ticket]) -> None:
        """The sender may forget these; tickets of a connection that has ended are passed over."""

    def pause(self) -> None:
        """Read no more until `resume`."""

    def resume(self) -> None:
        """Read again."""


class Taker(Protocol):
    """Who takes messages off a connection as they are read."""

    @property
    def window(self) -> int:
        """How many the broker may send before the first is acknowledged."""

    @property
    def paused(self) -> bool:
        """Whether the connection was told to stop reading, for longer than keeps it alive."""

    def offer(self, message: Pushed) -> None:
        """A message was read off the socket; called in the loop's thread."""


class Intake:
    """Between one source and one who stores."""

    def __init__(
        self,
        *,
        limit: int = LIMIT_MESSAGES,
        limit_bytes: int = LIMIT_BYTES,
        batch: int = BATCH_MESSAGES,
        linger_s: float = BATCH_LINGER_S,
    ) -> None:
        if not 0 < batch <= limit // 2:  # else a batch in hand alone could keep a new connection from being read
            raise ValueError(f"a batch of {batch} must fit twice into a limit of {limit}")
        self.limit = limit
        self.batch = batch
        self._limit_bytes = limit_bytes
        self._linger_s = linger_s
        self._waiting: deque[tuple[Pushed, float]] = deque()
        self._in_hand: tuple[Pushed, ...] = ()
        self._bytes = 0
        self._source: PushSource | None = None
        self._paused = False
        self._changed = asyncio.Event()
        self._closed = asyncio.Event()
        self.most_unacknowledged = 0
        """The high-water mark, for those who watch."""

    @property
    def unacknowledged(self) -> int:
        """Messages in memory that the sender still keeps too."""
        return len(self._waiting) + len(self._in_hand)

    @property
    def window(self) -> int:
        """A little less than what is in memory at most: a broker that keeps to it never makes us stop reading."""
        return max(1, self.limit - self.batch - 1)

    @property
    def paused(self) -> bool:
        """Whether the source was told to stop reading."""
        return self._paused

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def attach(self, source: PushSource) -> None:
        """Say whom to pause and where acknowledgements go."""
        self._source = source

    def offer(self, message: Pushed) -> None:
        """A message was read off the socket; called by the source, in the loop's thread."""
        self._waiting.append((message, asyncio.get_running_loop().time()))
        self._bytes += len(message.payload)
        self.most_unacknowledged = max(self.most_unacknowledged, self.unacknowledged)
        self._changed.set()
        if not self._paused and (self.unacknowledged >= self.limit or self._bytes >= self._limit_bytes):
            self._paused = True
            if self._source is not None:
                self._source.pause()

    def lost(self) -> None:
        """The connection has gone: what still waits will be sent again by the next one."""
        self._bytes -= sum(len(message.payload) for message, _ in self._waiting)
        self._waiting.clear()
        self._make_room()

    async def take(self) -> Sequence[Pushed]:
        """The next batch, which is then in hand; empty once closed, and never again anything else."""
        if self._in_hand:
            raise RuntimeError("the batch in hand must be settled first")
        loop = asyncio.get_running_loop()
        while not self.closed:
            if self._waiting:
                _, since = self._waiting[0]
                patience_s = since + self._linger_s - loop.time()
                if patience_s <= 0 or len(self._waiting) >= self.batch:
                    count = min(self.batch, len(self._waiting))
                    self._in_hand = tuple(self._waiting.popleft()[0] for _ in range(count))
                    return self._in_hand
            else:
                patience_s = None
            await self._woken(patience_s)
        return ()

    async def _woken(self, patience_s: float | None) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(patience_s):
                await self._changed.wait()
        except TimeoutError:
            return

    def settle(self) -> None:
        """The batch in hand is on disk: acknowledge it, and read on if there is room again."""
        settled, self._in_hand = self._in_hand, ()
        self._bytes -= sum(len(message.payload) for message in settled)
        if self._source is not None:
            self._source.acknowledge([message.ticket for message in settled])
        self._make_room()

    def _make_room(self) -> None:
        # Half empty before reading on: at the brim, every single message would stop and start the reading.
        if self._paused and self.unacknowledged <= self.limit // 2 and self._bytes <= self._limit_bytes // 2:
            self._paused = False
            if self._source is not None:
                self._source.resume()

    def close(self) -> None:
        """Give out no further batch. One in hand may still be settled."""
        self._closed.set()
        self._changed.set()

    async def closed_within(self, seconds: float) -> bool:
        """Wait so long, or until closed: True if closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return False
        return True
