"""A Modbus TCP server in a process of its own: every unit answers function 3 and 4 at once, with its registers all alike.

It is the other side of every contender of a benchmark and is as bare as can be, so that what is measured is the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import struct
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import cast

import uvloop

_QUESTION = struct.Struct(">HHHBBHH")


class _Answering(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        answers = []
        place = 0
        while len(data) - place >= _QUESTION.size:
            transaction, _, _, unit, function, _, count = _QUESTION.unpack_from(data, place)
            place += _QUESTION.size
            size = 2 * count
            answers.append(struct.pack(">HHHBBB", transaction, 0, 3 + size, unit, function, size) + b"\x01\x02" * count)
        self._rest = data[place:]
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))


def _serve(ready: Connection, ports: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(_Answering, "127.0.0.1", 0, backlog=4096) for _ in range(ports)]
        ready.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.get_running_loop().create_future()

    uvloop.run(main())


@contextlib.contextmanager
def answering(ports: int = 1) -> Iterator[list[int]]:
    """Its ports, as long as the block lasts."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, ports), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()
