"""A TCP connection to a device, a gateway or a serial server, as a `Link`.

Nothing is understood here and nothing is kept of a connection that has gone: each has a `_Stream` of its own, so that what
an old one still calls cannot reach the new one. Invariant: at most `LIMIT` bytes, and one read of the loop beyond it,
wait to be taken; then the socket is not read, and TCP slows the sender.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import cast

from collector.acquisition.bell import Bell
from collector.acquisition.outcome import rule
from collector.errors import LinkError

LIMIT = 16 * 1024
"""No answer of our protocols has more than 300 bytes; what is more is a flood."""

KEEP_IDLE_S, KEEP_INTERVAL_S, KEEP_COUNT = 10, 5, 3
"""A peer that vanished without a word is noticed after 25 s of silence (fault F31 asks for 30 s)."""

_REASONS = {
    errno.ECONNREFUSED: "connection_refused",
    errno.ETIMEDOUT: "connection_timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ECONNRESET: "connection_lost",
    errno.EPIPE: "connection_lost",
}


class _Stream(asyncio.Protocol):
    """One connection: the bytes that came, and a bell for whoever waits for more, or for room to write."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.bell = Bell(loop)
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.lost = ""  # why, once it is
        self.closed: asyncio.Future[None] = loop.create_future()
        self.full = False
        self._paused = False

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
        self.lost = str(exc) if exc is not None else "the other side closed it"
        self.full = False
        if not self.closed.done():
            self.closed.set_result(None)
        self.bell.ring()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self.bell.ring()

    def send(self, data: bytes) -> None:
        """Into the socket, or into its buffer: then `full` says when to wait."""
        if self.transport is not None:
            self.transport.write(data)

    def take(self) -> bytes:
        """All that waits, and let the socket be read again."""
        data = bytes(self.buffer)
        self.buffer.clear()
        if self._paused and not self.lost and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        return data


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


class TcpLink:
    """`tcp://host:port`."""

    def __init__(self, host: str, port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        self._host, self._port = host, port
        self._where = f"{shown}:{port}"
        self.name = f"tcp://{self._where}"
        self._stream: _Stream | None = None

    async def open(self, deadline: float) -> None:
        """See `Link`. A connection that the other side has closed meanwhile is made anew."""
        if self._stream is not None:
            if not self._stream.lost:
                return
            await self.close()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                _, self._stream = await loop.create_connection(lambda: _Stream(loop), self._host, self._port)
        except TimeoutError as error:
            raise self._error("connection_timeout", f"{self._where} does not answer") from error
        except socket.gaierror as error:
            raise self._error("unknown_host", f"{self._host}: {error.strerror}") from error
        except OSError as error:
            words = os.strerror(error.errno) if error.errno else str(error)
            raise self._error(_reason(error), f"{self._where}: {words}") from error

    async def write(self, data: bytes, deadline: float) -> None:
        """See `Link`."""
        stream = self._alive()
        self._check(stream)
        stream.send(data)
        while stream.full:
            if asyncio.get_running_loop().time() >= deadline:
                raise self._error("no_answer", f"{self._where} takes no more bytes")
            await stream.bell.wait(deadline)
        self._check(stream)

    async def read(self, deadline: float) -> bytes:
        """See `Link`."""
        stream = self._alive()
        if not stream.buffer and not stream.lost:
            await stream.bell.wait(deadline)
        if stream.buffer:
            return stream.take()
        self._check(stream)
        return b""

    async def close(self) -> None:
        """See `Link`. Bytes not yet sent are thrown away."""
        stream, self._stream = self._stream, None
        if stream is not None and stream.transport is not None:
            stream.transport.abort()
            await stream.closed  # called by the loop's next turn

    def _alive(self) -> _Stream:
        if self._stream is None:
            raise self._error("connection_lost", f"{self._where} is not connected")
        return self._stream

    def _check(self, stream: _Stream) -> None:
        if stream.lost:
            raise self._error("connection_lost", f"{self._where}: connection lost, {stream.lost}")

    @staticmethod
    def _error(reason: str, detail: str) -> LinkError:
        return LinkError(reason, rule(reason).owner, detail)


def _reason(error: OSError) -> str:
    if error.errno is not None:
        return _REASONS.get(error.errno, "unreachable")
    # One host with several addresses, all of which failed: asyncio puts their texts into one error without a number.
    refused = f"[Errno {errno.ECONNREFUSED}]" in str(error)
    return "connection_refused" if refused else "unreachable"
