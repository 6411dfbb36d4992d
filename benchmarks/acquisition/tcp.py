"""Reads of fifty registers per second of CPU, 500 meters over Modbus TCP, each with a connection of its own.

    bare      a uvloop Protocol with one future a read: the same frames sent and taken apart, no checks, no time-outs
    ours      planner task → visit → session → every check → Attempt → hand-over to a sink that counts
    pymodbus  its asyncio client

Each contender runs in a process of its own, one after the other and round about; the server is another process and is not
counted.    python -m benchmarks.acquisition.tcp
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import cast

import uvloop

from benchmarks.acquisition.answering import answering
from benchmarks.acquisition.engine import REGISTERS, engine_for
from collector.acquisition.links import make_link
from collector.acquisition.timing import Timing
from collector.daemon import spare_the_collector
from protocols.dialects import DIALECTS

WANTED = {"bare": 0.55, "pymodbus": 2.0}
"""Ours is to be at least so many times these."""
WORDS = struct.Struct(f">{REGISTERS}H")
HEAD = struct.Struct(">HHHBBB")

Reader = Callable[[], Awaitable[int]]
"""One round: everybody is read once. How many were."""


class Bare(asyncio.Protocol):
    """One connection, one question open."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.transaction = 0
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport = cast("asyncio.WriteTransport", transport)

    def read(self, unit: int) -> asyncio.Future[tuple[int, ...]]:
        """Ask, and the future that the answer resolves."""
        self.transaction = self.transaction % 0xFFFF + 1
        self.waiter = self.loop.create_future()
        self.transport.write(struct.pack(">HHHBBHH", self.transaction, 0, 6, unit, 3, 0, REGISTERS))
        return self.waiter

    def data_received(self, data: bytes) -> None:
        """Take the answer apart."""
        data = self.held + data
        if len(data) < 6 or len(data) < 6 + struct.unpack_from(">H", data, 4)[0]:
            self.held = data
            return
        self.held = b""
        HEAD.unpack_from(data)
        self.waiter.set_result(WORDS.unpack_from(data, HEAD.size))


async def bare(port: int, meters: int, ended: Callable[[int], bool]) -> None:
    """Every connection in a loop of its own."""
    loop = asyncio.get_running_loop()
    ends = [(await loop.create_connection(Bare, "127.0.0.1", port))[1] for _ in range(meters)]

    async def one(end: Bare, unit: int) -> None:
        while not ended(1):
            await end.read(unit)

    await asyncio.gather(*(one(end, n % 247 + 1) for n, end in enumerate(ends)))


async def pymodbus(port: int, meters: int, ended: Callable[[int], bool]) -> None:
    """The same with its client."""
    from pymodbus.client import AsyncModbusTcpClient

    clients = [AsyncModbusTcpClient("127.0.0.1", port=port) for _ in range(meters)]
    for client in clients:
        await client.connect()

    async def one(client: AsyncModbusTcpClient, unit: int) -> None:
        while not ended(1):
            answer = await client.read_holding_registers(0, count=REGISTERS, device_id=unit)
            assert len(answer.registers) == REGISTERS

    await asyncio.gather(*(one(client, n % 247 + 1) for n, client in enumerate(clients)))
    for client in clients:
        client.close()


async def ours(port: int, meters: int, ended: Callable[[int], bool]) -> None:
    """Rounds of the planner: all are due at once, each on a line of its own."""
    links = {f"ch{n}": make_link(f"tcp://127.0.0.1:{port}") for n in range(meters)}
    units = {f"M{n}": (f"ch{n}", str(n % 247 + 1)) for n in range(meters)}
    engine = engine_for(links, units, DIALECTS["modbus-tcp"], Timing(gap_s=0.03))
    spare_the_collector()  # as the daemon does when it begins
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.poll.run(stop))
        before = engine.sink.reads
        await engine.round()
        while not ended(engine.sink.reads - before):
            before = engine.sink.reads
            await engine.round()
        assert engine.sink.reads == engine.sink.attempts
        stop.set()
    for route in engine.poll.routes.values():
        await route.line.close()


CONTENDERS = {"bare": bare, "ours": ours, "pymodbus": pymodbus}


def contend(name: str, port: int, meters: int, seconds: float) -> None:
    """In a process of its own: reads and CPU, once all is connected and warm."""
    reads = 0
    began = cpu = 0.0
    warm = 5 * meters

    def ended(done: int) -> bool:
        nonlocal reads, began, cpu
        reads += done
        if not began and reads >= warm:
            gc.collect()
            reads, began, cpu = 0, time.perf_counter(), time.process_time()
        return bool(began) and time.perf_counter() - began >= seconds

    async def main() -> None:
        await CONTENDERS[name](port, meters, ended)
        sys.stdout.write(json.dumps({"reads": reads, "cpu_s": time.process_time() - cpu}) + "\n")

    uvloop.run(main())


def measure(meters: int, seconds: float, turns: int) -> dict[str, list[float]]:
    """Microseconds of CPU a read, by contender."""
    found: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with answering() as (port,):
        for _ in range(turns):
            for name in CONTENDERS:
                command = [sys.executable, "-m", "benchmarks.acquisition.tcp", "--only", name, "--port", str(port)]
                command += ["--meters", str(meters), "--seconds", str(seconds)]
                done = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
                found[name].append(done["cpu_s"] / done["reads"] * 1e6)
    return found


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--meters", type=int, default=500)
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--turns", type=int, default=5)
    options.add_argument("--only", choices=CONTENDERS)
    options.add_argument("--port", type=int, default=0)
    asked = options.parse_args()
    if asked.only:
        contend(asked.only, asked.port, asked.meters, asked.seconds)
        return
    found = measure(asked.meters, asked.seconds, asked.turns)
    mine = found["ours"]
    print(f"{asked.meters} meters over TCP, {REGISTERS} registers a read; median of {asked.turns} turns")
    for name, each in found.items():
        cost = statistics.median(each)
        ratio = statistics.median(theirs / our for theirs, our in zip(each, mine, strict=True))
        target = f", wanted ≥ {WANTED[name]:g}" if name in WANTED else ""
        print(
            f"{name:9} {cost:6.1f} µs a read  {1e6 / cost:8.0f} reads per CPU-second  ours is {ratio:.2f} × it{target}"
        )


if __name__ == "__main__":
    main()
