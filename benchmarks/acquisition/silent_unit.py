"""One of 20 units behind a gateway is silent: how many of their slots the 19 others keep, against a gateway where none is.

Two daemons, two gateways, at the same time, so that load on the computer hurts both. A slot a second and unit.
python -m benchmarks.acquisition.silent_unit
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
from pathlib import Path

import uvloop

from benchmarks.acquisition.gateway import gateway, product
from collector.acquisition.tasks import Collected

BUS_S = 0.02
SILENT = 7


class Counting:
    """Slots of the others that have their value, by second; and when the log said that the breaker opened."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self, collected: Collected) -> None:
        if collected.task.registered.meter.meter != f"u{SILENT}":
            self.at += [asyncio.get_running_loop().time()] * len(collected.filled)

    def between(self, start: float, end: float) -> int:
        return sum(start <= at < end for at in self.at)


class Opened(logging.Handler):
    """Hears that the breaker has opened."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.at: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if f"u{SILENT}: " in record.getMessage() and self.at is None:
            self.at = asyncio.get_running_loop().time()


async def measure(good: int, bad: int, minute_s: float, after_s: float) -> None:
    """Both daemons side by side."""
    loop, opened = asyncio.get_running_loop(), Opened()
    logging.getLogger("collector").addHandler(opened)
    with_one, without = Counting(), Counting()
    with tempfile.TemporaryDirectory() as folder:
        async with product(Path(folder) / "bad", bad, with_one), product(Path(folder) / "good", good, without):
            while not (with_one.at and without.at):  # noqa: ASYNC110 - the product rings no bell for a benchmark
                await asyncio.sleep(0.05)
            start = loop.time()
            await asyncio.sleep(minute_s)
            print(f"{'':28} none silent   one silent   kept   wanted   peers")
            tell("in the first minute", with_one, without, start, start + minute_s, "≥ 90 %   T 48 %, N 26 %")
            while opened.at is None:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.5)
            print(f"its breaker opened after {opened.at - start:.1f} s")
            await asyncio.sleep(max(0.0, opened.at + after_s - loop.time()))
            since = f"{after_s:.0f} s once it is open"
            tell(since, with_one, without, opened.at, opened.at + after_s, "≥ 99 %")


def tell(when: str, with_one: Counting, without: Counting, start: float, end: float, wanted: str) -> None:
    """A row."""
    mine, best = with_one.between(start, end), without.between(start, end)
    print(f"{when:28} {best:11} {mine:12} {mine / best:6.1%}   {wanted}", flush=True)


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--first", type=float, default=60.0)
    options.add_argument("--after", type=float, default=300.0)
    asked = options.parse_args()
    with gateway(BUS_S) as good, gateway(BUS_S, silent=[SILENT]) as bad:
        uvloop.run(measure(good, bad, asked.first, asked.after))


if __name__ == "__main__":
    main()
