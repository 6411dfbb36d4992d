"""What an idle TCP channel holds in memory: 10,000 in a process, each with its link, line, session, worker and one meter.

Every channel is read once, so that everything it ever needs is there, and every meter's breaker remembers a failure. When
the last time-out has passed and free pages have been given back (the daemon does it every hour: a rush leaves holes in the
heap), the resident memory of the process is compared with what it was before they were made. They are due within ten
minutes, as a plan's jitter spreads them; with `--at-once` all at one instant.
Beside it: as many bare uvloop connections with a Protocol that does nothing. The server is another process.

    python -m benchmarks.acquisition.channels
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop

from benchmarks.acquisition.answering import answering
from benchmarks.acquisition.engine import engine_for
from collector.acquisition.breaker import Trouble
from collector.acquisition.links import make_link
from collector.acquisition.timing import Timing
from collector.daemon import give_back_memory
from protocols.dialects import DIALECTS
from storage.records import Owner

WANTED_KIB = 12.0
TIMEOUT_S = 10.0
SPREAD, STEP = timedelta(minutes=10), timedelta(seconds=5)
HEADROOM = 200
"""Files beside the connections."""


def resident_kib() -> int:
    """Of this process, after a collection, and after what the daemon does every hour."""
    gc.collect()
    give_back_memory()
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def bare(ports: list[int], channels: int) -> None:
    """Connections alone."""
    loop = asyncio.get_running_loop()
    before = resident_kib()
    kept = [await loop.create_connection(asyncio.Protocol, "127.0.0.1", ports[n % len(ports)]) for n in range(channels)]
    report(before, len(kept))
    for transport, _ in kept:
        transport.close()


async def ours(ports: list[int], channels: int, jitter: timedelta) -> None:
    """The engine with one meter a channel; a small engine was made before, so that all code is loaded."""
    await _engine(ports, 10, None, jitter)
    await _engine(ports, channels, resident_kib(), jitter)


async def _engine(ports: list[int], channels: int, before: int | None, jitter: timedelta) -> None:
    links = {f"ch{n}": make_link(f"tcp://127.0.0.1:{ports[n % len(ports)]}") for n in range(channels)}
    meters = {f"M{n}": (f"ch{n}", "1") for n in range(channels)}
    timing = Timing(timeout_s=TIMEOUT_S, connect_s=60)
    engine = engine_for(links, meters, DIALECTS["modbus-tcp"], timing, jitter=jitter)
    trouble = Trouble("no_answer", Owner.LINE, "no answer within 1 s")
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.poll.run(stop))
        while len(engine.sink.meters) < channels:
            engine.clock.put_forward(await engine.poll.quiet() + STEP)
            await asyncio.sleep(0)
        await engine.poll.quiet()
        assert engine.sink.reads == engine.sink.attempts
        for meter in meters:
            engine.breakers.failed(meter, trouble, datetime.now(UTC))
        if before is not None:
            await asyncio.sleep(TIMEOUT_S + 1)  # idle means that no timer of a question is left
            report(before, channels)
        stop.set()
    for route in engine.poll.routes.values():
        await route.line.close()


def report(before: int, channels: int) -> None:
    """To the process that asked."""
    sys.stdout.write(json.dumps({"kib": (resident_kib() - before) / channels}) + "\n")


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--channels", type=int, default=10_000)
    options.add_argument("--only", choices=("bare", "ours"))
    options.add_argument("--ports", default="")
    options.add_argument("--at-once", action="store_true", help="all are due at the same instant")
    asked = options.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(hard, asked.channels + HEADROOM) if hard != resource.RLIM_INFINITY else asked.channels + HEADROOM
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    channels = min(asked.channels, files - HEADROOM)
    if asked.only:
        ports = [int(port) for port in asked.ports.split(",")]
        jitter = timedelta() if asked.at_once else SPREAD
        uvloop.run(bare(ports, channels) if asked.only == "bare" else ours(ports, channels, jitter))
        return
    print(f"{channels} idle channels, KiB resident each; wanted ≤ {WANTED_KIB:g}")
    with answering(4) as ports:
        for name in ("bare", "ours"):
            command = [sys.executable, "-m", "benchmarks.acquisition.channels", "--only", name]
            command += ["--channels", str(channels), "--ports", ",".join(map(str, ports))]
            command += ["--at-once"] if asked.at_once else []
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            print(f"{name:5} {json.loads(done.stdout)['kib']:6.2f} KiB")


if __name__ == "__main__":
    main()
