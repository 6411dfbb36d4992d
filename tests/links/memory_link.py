"""A link without a medium: what is written reaches a device function, what that returns comes back after its delays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from collector.acquisition.bell import Bell
from collector.errors import LinkError
from storage.records import Owner

Device = Callable[[bytes], Iterable[tuple[float, bytes]]]
"""Bytes in; (seconds from now, bytes out), as many as it likes."""


class MemoryLink:
    """What is on its way stays on its way when the link is closed and opened again, as on a bus."""

    def __init__(self, device: Device) -> None:
        self.name = "memory:"
        self._device = device
        self._bell: Bell | None = None
        self._buffer = bytearray()
        self.opened = 0
        self.written: list[tuple[float, bytes]] = []
        self.refuse: LinkError | None = None

    async def open(self, deadline: float) -> None:
        if self.refuse is not None:
            raise self.refuse
        if self._bell is None:
            self._bell = Bell(asyncio.get_running_loop())
            self.opened += 1

    async def write(self, data: bytes, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        self.written.append((loop.time(), data))
        for delay_s, answer in self._device(data):
            loop.call_later(delay_s, self.arrive, answer)

    async def read(self, deadline: float) -> bytes:
        if self._bell is None:
            raise LinkError("connection_lost", Owner.UPLINK, "not open")
        if not self._buffer:
            await self._bell.wait(deadline)
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    async def close(self) -> None:
        self._bell = None
        self._buffer.clear()

    def arrive(self, data: bytes) -> None:
        """Bytes that nobody need have asked for. A closed link hears nothing."""
        if self._bell is not None:
            self._buffer += data
            self._bell.ring()
