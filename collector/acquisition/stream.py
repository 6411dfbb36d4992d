"""One TCP connection, whoever made it: the bytes that came, and a bell for whoever waits for more, or for room to write.

Nothing is understood here and nothing is kept of a connection that has gone: each has a `Stream` of its own, so that what
an old one still calls cannot reach the new one. Invariant: at most `LIMIT` bytes, and one read of the loop beyond it,
wait to be taken; then the socket is not read, and TCP slows the sender.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from collector.acquisition.bell import Bell
from collector.acquisition.outcome import rule
from collector.errors import LinkError

LIMIT = 16 * 1024
"""No answer of our protocols has more than 300 bytes; what is more is a flood."""

KEEP_IDLE_S, KEEP_INTERVAL_S, KEEP_COUNT = 10, 5, 3
"""A peer that vanished without a word is noticed after 25 s of silence (fault F31 asks for 30 s)."""


class Stream(asyncio.Protocol):
    """One connection. `where`: the other side, for messages."""

    __slots__ = ("_aborted", "_full", "_loop", "_paused", "bell", "buffer", "closed", "lost", "transport", "where")

    def __init__(self, loop: asyncio.AbstractEventLoop, where: str) -> None:
        self.where = where
        self.bell = Bell(loop)
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.lost = ""  # why, once it is
        self.closed: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._full = False
        self._paused = False
        self._aborted = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        _keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) >= LIMIT and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        self.bell.ring()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = self._aborted or (str(exc) if exc is not None else "the other side closed it")
        self._full = False
        if not self.closed.done():
            self.closed.set_result(None)
        self.bell.ring()
        self.bell.stop()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self.bell.ring()

    async def write(self, data: bytes, deadline: float) -> None:
        """See `Link`."""
        self._check()
        if self.transport is not None:
            self.transport.write(data)
        while self._full:
            if self._loop.time() >= deadline:
                raise self._error("no_answer", f"{self.where} takes no more bytes")
            await self.bell.wait(deadline)
            self._check()

    async def read(self, deadline: float) -> bytes:
        """See `Link`."""
        if not self.buffer and not self.lost:
            try:
                await self.bell.wait(deadline)
            finally:
                self.bell.heard()
        if self.buffer:
            return self._take()
        self._check()
        return b""

    def abort(self, why: str) -> None:
        """Hang up at once; whoever waits is told why. Bytes not yet sent are thrown away."""
        if not self.lost and self.transport is not None:
            self._aborted = why
            self.transport.abort()

    async def hang_up(self) -> None:
        """Abort, and return when the socket is let go of."""
        if self.transport is not None:
            self.transport.abort()
            await self.closed  # called by the loop's next turn

    def _take(self) -> bytes:
        """All that waits, and let the socket be read again."""
        data = bytes(self.buffer)
        self.buffer.clear()
        if self._paused and not self.lost and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        return data

    def _check(self) -> None:
        if self.lost:
            raise self._error("connection_lost", f"{self.where}: connection lost, {self.lost}")

    @staticmethod
    def _error(reason: str, detail: str) -> LinkError:
        return LinkError(reason, rule(reason).owner, detail)


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEP_IDLE_S),
        ("TCP_KEEPINTVL", KEEP_INTERVAL_S),
        ("TCP_KEEPCNT", KEEP_COUNT),
        # keep-alive is not sent while our own bytes wait for their acknowledgement
        ("TCP_USER_TIMEOUT", 1000 * (KEEP_IDLE_S + KEEP_INTERVAL_S * KEEP_COUNT)),
    ):
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
