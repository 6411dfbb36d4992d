"""A line of DL/T 645 meters behind a TCP port, as a serial server carries it. Callbacks only: no task to look after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Self, cast

from simulators.dlt645_face import Delayed, Dlt645Bus

GAP_S = 0.5
"""Bytes of one frame follow each other within this time; a longer silence ends it."""


class Dlt645Server:
    """One listener, one line. `async with` starts and stops it."""

    def __init__(self, bus: Dlt645Bus, *, now: Callable[[], datetime]) -> None:
        self._bus = bus
        self._now = now
        self._connections: set[asyncio.BaseTransport] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self._bus, self._now, self._connections), "127.0.0.1", 0
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.close()
            await self._server.wait_closed()


class _Connection(asyncio.Protocol):
    """One client of the line; all of them hear one bus."""

    def __init__(self, bus: Dlt645Bus, now: Callable[[], datetime], connections: set[asyncio.BaseTransport]) -> None:
        self._bus = bus
        self._now = now
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._silence: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listen_no_more()
        if self._transport is not None:
            self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._listen_no_more()
        self._silence = self._loop.call_later(GAP_S, self._fell_silent)
        self._send(self._bus.receive(data, self._now))

    def _fell_silent(self) -> None:
        self._silence = None
        self._send(self._bus.idle(self._now))

    def _listen_no_more(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _send(self, answers: list[Delayed]) -> None:
        for answer in answers:
            if answer.after_s:
                self._loop.call_later(answer.after_s, self._write, answer.data)
            else:
                self._write(answer.data)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
