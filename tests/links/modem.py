"""A modem (DTU) that dials in: says who it is, and then carries bytes between the collector and the bus behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.links.memory_link import Device


class Modem:
    """One call. What the collector sends reaches `device`; what that returns goes back after its delays."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, device: Device) -> None:
        self._reader, self._writer, self._device = reader, writer, device
        self.ended = asyncio.Event()

    async def carry(self) -> None:
        """Until the other side hangs up."""
        loop = asyncio.get_running_loop()
        try:
            while data := await self._reader.read(4096):
                for delay_s, answer in self._device(data):
                    loop.call_later(delay_s, self.say, answer)
        except ConnectionError:
            pass  # hung up in the hard way
        finally:
            self.ended.set()

    def say(self, data: bytes) -> None:
        """Bytes of its own, or of the bus."""
        if not self._writer.is_closing():
            self._writer.write(data)

    def hang_up(self) -> None:
        """In good order."""
        self._writer.close()


@asynccontextmanager
async def dialled_in(port: int, registration: bytes, device: Device = lambda _: ()) -> AsyncIterator[Modem]:
    """A call for the length of a block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    modem = Modem(reader, writer, device)
    carrying = asyncio.create_task(modem.carry())
    if registration:
        modem.say(registration)
    try:
        yield modem
    finally:
        writer.transport.abort()
        await carrying
