"""A TCP proxy between a collector and any server, that does to the bytes what its toxics say. Callbacks only.

    async with FaultProxy("127.0.0.1", port, [Slice(0.02)], seed=7) as proxy:
        proxy.port                      where the collector is to connect
        proxy.disturb(Lose())           from now on, on connections that are open too
        proxy.half_open()               connections that are open pass nothing any more; new ones do

It decides nothing by itself: `toxics.Disturbance` says what leaves when, and this moves it. What one read brings is taken for
one request or one answer, which on one machine holds for frames written in one piece.
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Self, cast

from simulators.toxics import Disturbance, End, Step, Towards, Toxic

_NO_LINGER = struct.pack("ii", 1, 0)
"""Closing sends RST instead of FIN, and forgets what was not sent."""


class FaultProxy:
    """One listener in front of one server; `async with` opens and closes it."""

    def __init__(self, host: str, port: int, toxics: Sequence[Toxic] = (), *, seed: int) -> None:
        self._host, self._target = host, port
        self._toxics = tuple(toxics)
        self._dice = random.Random(seed)  # noqa: S311 - faults that can be repeated, no secret
        self._server: asyncio.Server | None = None
        self._open: set[_Near] = set()
        self.hits: Counter[str] = Counter()
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Near(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            for near in list(self._open):
                near.finish(End.RESET)
            await self._server.wait_closed()

    def disturb(self, *toxics: Toxic) -> None:
        """These instead of those before; none: all passes as it is."""
        self._toxics = toxics
        for near in self._open:
            near.between.toxics = toxics

    def half_open(self) -> None:
        """Connections that are open are dead from now on, and neither side is told."""
        for near in self._open:
            near.between.half_open = True

    def cut(self, end: End) -> None:
        """End the connections that are open."""
        for near in list(self._open):
            near.finish(end)

    def connected(self, near: _Near) -> Disturbance:
        """What stands between this connection's ends."""
        self.connections += 1
        self._open.add(near)
        return Disturbance(self._toxics, self._dice, self.hits)

    def gone(self, near: _Near) -> None:
        """It has ended."""
        self._open.discard(near)

    async def reach(self, near: _Near) -> None:
        """Connect to the server for it; a server that is not there ends the connection."""
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(partial(_Far, near), self._host, self._target)
        except OSError:
            near.finish(End.RESET)


class _Near(asyncio.Protocol):
    """The end that the collector holds; also keeps what is on its way in both directions."""

    between: Disturbance

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._far: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._reaching: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._last = dict.fromkeys(Towards, 0.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.between = self._proxy.connected(self)
        self._reaching = self._loop.create_task(self._proxy.reach(self))

    def data_received(self, data: bytes) -> None:
        self.take(data, Towards.METER)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.finish(End.RESET)

    def far_made(self, transport: asyncio.Transport) -> None:
        """The server is there: what came before goes to it now."""
        if self._transport is None:
            transport.abort()
            return
        self._far = transport
        early, self._early = self._early, []
        for data in early:
            transport.write(data)

    def far_lost(self) -> None:
        """The server has closed: so do we, after what is still on its way. A dead connection tells nobody."""
        self._far = None
        if self._transport is not None and not self.between.half_open:
            last = max((timer.when() for timer in self._timers), default=self._loop.time())
            self._later(Step(last, Towards.COLLECTOR, end=End.CLOSE))

    def take(self, data: bytes, to: Towards) -> None:
        """One read's bytes."""
        for step in self.between.pass_on(data, self._loop.time(), to):
            if step.at <= self._loop.time() and not self._timers:
                self._do(step)
            else:
                self._later(step)

    def finish(self, end: End) -> None:
        """Both ends, now."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._far is not None:
            self._far.abort()
        transport, self._transport = self._transport, None
        if transport is not None and end is End.RESET:
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            transport.abort()
        elif transport is not None:
            transport.close()
        self._proxy.gone(self)

    def _later(self, step: Step) -> None:
        def due() -> None:
            self._timers.discard(timer)
            self._do(step)

        # The loop takes timers of one instant in any order, and what is late may not be overtaken either.
        when = self._last[step.to] = max(step.at, math.nextafter(self._last[step.to], math.inf))
        timer = self._loop.call_at(when, due)
        self._timers.add(timer)

    def _do(self, step: Step) -> None:
        if step.end is not None:
            self.finish(step.end)
        elif self.between.half_open:
            return
        elif step.to is Towards.COLLECTOR:
            if self._transport is not None:
                self._transport.write(step.data)
        elif self._far is not None:
            self._far.write(step.data)
        else:
            self._early.append(step.data)


class _Far(asyncio.Protocol):
    """The end that the server holds."""

    def __init__(self, near: _Near) -> None:
        self._near = near

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._near.far_made(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._near.take(data, Towards.COLLECTOR)

    def connection_lost(self, exc: Exception | None) -> None:
        self._near.far_lost()
