"""A Modbus TCP gateway with its bus, in a process of its own: one question at a time, each unit takes as long as its bus does.

Silent units never answer; the gateway goes on with the next question. And the whole product in front of it: the daemon as
`chaobiao run` builds it, with a database on disk, over a real socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import struct
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from collector.acquisition.tasks import Collected
from collector.clock import SystemClock
from collector.daemon import Daemon
from collector.settings.loading import load_settings
from protocols.profile import builtin_profiles
from storage.engine import open_ledger

UNITS = 20
_QUESTION = struct.Struct(">HHHBBHH")


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bus_s: float, silent: Collection[int]
) -> None:
    loop = asyncio.get_running_loop()
    free_at = 0.0
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            transaction, _, _, unit, function, _, count = _QUESTION.unpack(await reader.readexactly(_QUESTION.size))
            if unit in silent:
                continue
            free_at = max(free_at, loop.time()) + bus_s
            await asyncio.sleep(free_at - loop.time())
            words = b"\x3f\x80\x00\x00" * (count // 2)
            writer.write(struct.pack(">HHHBBB", transaction, 0, 3 + len(words), unit, function, len(words)) + words)
            await writer.drain()
    writer.close()


def _serve(ready: Connection, bus_s: float, silent: Collection[int]) -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: _converse(r, w, bus_s, silent), "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().create_future()

    uvloop.run(main())


@contextlib.contextmanager
def gateway(bus_s: float, *, silent: Collection[int] = ()) -> Iterator[int]:
    """Its port, as long as the block lasts."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, bus_s, silent), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def _installation(folder: Path, port: int, units: int, patience: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "collector.toml"
    config.write_text(
        'format = 1\n[storage]\nurl = "sqlite:///chaobiao.db"\n[registry]\nfile = "meters.csv"\n'
        f'[[channel]]\nname = "gateway"\nlink = "tcp://127.0.0.1:{port}"\nprotocol = "modbus-tcp"\ntimeout = "{patience}"\n'
        f'[[plan]]\nname = "often"\nread = ["1-0:1.8.0"]\nevery = "1s"\n',
        "utf-8",
    )
    rows = "".join(f"u{unit},eastron_sdm630,gateway,{unit}\n" for unit in range(1, units + 1))
    (folder / "meters.csv").write_text(f"meter,profile,channel,address\n{rows}", "utf-8")
    return config


@asynccontextmanager
async def product(
    folder: Path, port: int, watch: Callable[[Collected], None], *, units: int = UNITS, patience: str = "1s"
) -> AsyncIterator[Daemon]:
    """A daemon that reads one value of each unit every second, while the block lasts."""
    config = _installation(folder, port, units, patience)
    settings = load_settings(config)
    ledger = await open_ledger(settings.storage.url.url, create=True)
    daemon = Daemon(settings, builtin_profiles(), ledger, clock=SystemClock(), watch=watch)
    running = asyncio.create_task(daemon.run())
    try:
        yield daemon
    finally:
        daemon.stop()
        await running
        await ledger.close()


async def bare_rate(port: int, units: int, seconds: float) -> float:
    """What the gateway can do: questions per second of the barest client, one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    loop = asyncio.get_running_loop()
    end, count = loop.time() + seconds, 0
    begun = loop.time()
    while loop.time() < end:
        writer.write(_QUESTION.pack(count % 65536, 0, 6, count % units + 1, 4, 342, 2))
        (size,) = struct.unpack(">H", (await reader.readexactly(6))[4:])
        await reader.readexactly(size)
        count += 1
    writer.close()
    return count / (loop.time() - begun)
