"""A hundred thousand meters due at once: when the first question leaves, and how long the loop is held at most.

Planner, poll, visit and line as the daemon builds them, uvloop, 100 lines over real sockets; the server is another process. The
hand-over is a sink. A hold is the CPU time of one turn of the loop, all that is ready in it together: on a computer with other
work the wall clock would measure that. Its pair is a second with nothing due.
python -m benchmarks.acquisition.due
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time

import uvloop

from benchmarks.acquisition.answering import answering
from benchmarks.acquisition.engine import Engine, engine_for
from collector.acquisition.links import make_link
from collector.acquisition.timing import Timing
from collector.daemon import spare_the_collector
from protocols.dialects import DIALECTS


class Holds:
    """CPU time of each turn of the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running = True
        self.took: list[float] = []
        self._at = time.thread_time()
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        now = time.thread_time()
        self.took.append(now - self._at)
        self._at = now
        if self._running:
            self._loop.call_soon(self._turn)

    def stop(self) -> str:
        """The longest, and how they are spread."""
        self._running = False
        took = sorted(self.took)
        return f"{took[-1] * 1000:6.1f} ms at most, 99.9 % below {took[len(took) * 999 // 1000] * 1000:.1f} ms"


async def one_round(engine: Engine) -> tuple[float, str, float]:
    """CPU time until the first answer was there; the holds meanwhile; until all are read."""
    loop, sink = asyncio.get_running_loop(), engine.sink
    alarm = await engine.poll.quiet()
    done, first = sink.attempts, 0.0
    holds, begun, cpu = Holds(), loop.time(), time.thread_time()
    engine.clock.put_forward(alarm)

    async def see_the_first() -> None:
        nonlocal first
        while sink.attempts == done:  # noqa: ASYNC110 - the product rings no bell for a benchmark
            await asyncio.sleep(0)
        first = time.thread_time() - cpu

    await asyncio.gather(see_the_first(), engine.poll.quiet())
    await engine.poll.quiet()
    return first, holds.stop(), loop.time() - begun


async def measure(port: int, meters: int, lines: int, turns: int) -> None:
    """Rounds, each as the first of a quarter of an hour."""
    links = {f"ch{n}": make_link(f"tcp://127.0.0.1:{port}") for n in range(lines)}
    units = {f"M{n}": (f"ch{n % lines}", str(n // lines % 247 + 1)) for n in range(meters)}
    engine = engine_for(links, units, DIALECTS["modbus-tcp"], Timing(timeout_s=30.0, gap_s=0.03))
    spare_the_collector()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.poll.run(stop))
        await engine.round()
        print(f"{meters:,} meters on {lines:,} lines; {turns} rounds")
        firsts = []
        for _ in range(turns):
            gc.collect()
            holds = Holds()
            await asyncio.sleep(1.0)
            idle = holds.stop()
            first, held, whole = await one_round(engine)
            firsts.append(first)
            print(f"first answer after {first * 1000:6.1f} ms of CPU; loop held {held}; all read after {whole:.1f} s")
            print(f"{'':30}nothing due: held {idle}")
        print(f"median {statistics.median(firsts) * 1000:.1f} ms; wanted: first request ≤ 50 ms, no hold above 20 ms")
        stop.set()
    for route in engine.poll.routes.values():
        await route.line.close()


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--meters", type=int, default=100_000)
    options.add_argument("--lines", type=int, default=100)
    options.add_argument("--turns", type=int, default=3)
    asked = options.parse_args()
    with answering() as (port,):
        uvloop.run(measure(port, asked.meters, asked.lines, asked.turns))


if __name__ == "__main__":
    main()
