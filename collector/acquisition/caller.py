"""A connection that was not made by us: somebody dialled in. Until it is known who, the port that took the call hears it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from collector.acquisition.heartbeats import Heartbeats
from collector.acquisition.stream import LIMIT, Stream


class Reception(Protocol):
    """Where calls arrive."""

    def arrived(self, caller: Caller) -> None:
        """A connection, not yet known whose."""

    def heard(self, caller: Caller, data: bytes) -> None:
        """Bytes of one that is not yet known."""

    def gone(self, caller: Caller) -> None:
        """It has hung up, or we have."""


class Caller(Stream):
    """One call. Once known it is a stream like any other, without the heartbeats of its modem."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reception: Reception) -> None:
        super().__init__(loop, "somebody")
        self.host = ""
        self.said = b""
        """All that came before it was known who it is."""
        self.packet = b""
        """The part of it that came last, without silence in between."""
        self.timers: list[asyncio.TimerHandle] = []
        self._reception = reception
        self._heartbeats: Heartbeats | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if peer:  # None: it has gone already
            self.host, port = peer[:2]
            self.where = f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"
        self._reception.arrived(self)

    def known_as(self, heartbeats: Heartbeats) -> None:
        """From now on it is a link's."""
        self._heartbeats = heartbeats
        for timer in self.timers:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._heartbeats is None:
            self._reception.heard(self, data)
            return
        asked = self.bell.awaited
        if not asked:
            self._heartbeats.unasked()
        rest = self._heartbeats.swallow(data)
        if not asked and len(self.buffer) + len(rest) >= LIMIT:
            self.buffer.clear()  # nobody asked for it, and reading must go on, or the modem hangs up
        elif rest:
            super().data_received(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self.timers:
            timer.cancel()
        super().connection_lost(exc)
        self._reception.gone(self)

    async def write(self, data: bytes, deadline: float) -> None:
        """See `Link`."""
        if self._heartbeats is not None:
            self._heartbeats.asked(data)
        await super().write(data, deadline)

    async def read(self, deadline: float) -> bytes:
        """See `Link`."""
        data = await super().read(deadline)
        return data if data or self._heartbeats is None else self._heartbeats.silence()
