"""A hundred thousand meters due at once: when the first question leaves, and how long the loop is held at most.

Planner, poll, visit and line as the daemon builds them, uvloop, 100 lines over real sockets; the server is another process. The
hand-over is a sink. Holds are told by a timer that wants to ring every millisecond; its pair is the same timer with nothing due.
python -m benchmarks.acquisition.due
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics

import uvloop

from benchmarks.acquisition.answering import answering
from benchmarks.acquisition.engine import Engine, engine_for
from collector.acquisition.links import make_link
from collector.acquisition.timing import Timing
from collector.daemon import spare_the_collector
from protocols.dialects import DIALECTS

TICK_S = 0.001


class Holds:
    """How late a timer rings."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + TICK_S
        self.late: list[float] = []
        self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        now = self._loop.time()
        self.late.append(now - self._due)
        self._due = now + TICK_S
        self._timer = self._loop.call_at(self._due, self._ring)

    def stop(self) -> str:
        """The longest, and how it is spread."""
        self._timer.cancel()
        late = sorted(self.late)
        return f"{late[-1] * 1000:6.1f} ms at most, 99.9 % below {late[len(late) * 999 // 1000] * 1000:.1f} ms"


async def one_round(engine: Engine) -> tuple[float, str, float]:
    """Until the first question left; the holds meanwhile; until all are read."""
    loop, sink = asyncio.get_running_loop(), engine.sink
    alarm = await engine.poll.quiet()
    done, first = sink.attempts, 0.0
    holds, begun = Holds(), loop.time()
    engine.clock.put_forward(alarm)

    async def see_the_first() -> None:
        nonlocal first
        while sink.attempts == done:  # noqa: ASYNC110 - the product rings no bell for a benchmark
            await asyncio.sleep(0)
        first = loop.time() - begun

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
            await asyncio.sleep(2.0)
            idle = holds.stop()
            first, held, whole = await one_round(engine)
            firsts.append(first)
            print(f"first answer after {first * 1000:6.1f} ms; loop held {held}; all read after {whole:.1f} s")
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
