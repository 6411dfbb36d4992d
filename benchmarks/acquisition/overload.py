"""20 units behind a gateway, asked for 2.4 and 20 times what it can do: rate against its best, memory, and who is left out.

A slot a second and unit; the gateway is as slow as makes that too much. Its best is what the same product reads from the same
gateway when it is asked for just what that can do (fewer units); beside it what the barest client gets, which stores nothing.
python -m benchmarks.acquisition.overload
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.acquisition.gateway import UNITS, bare_rate, gateway, product
from collector.acquisition.tasks import Collected

ROW = "{:>5} {:>10} {:>9} {:>9} {:>7} {:>15} {:>15} {:>8}"


def resident_mib() -> float:
    """Of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096 / 2**20


@dataclass(slots=True)
class Rated:
    """Values a second; how many of each unit; MiB after the first quarter and at the end."""

    rate: float
    units: Counter[str]
    mib: tuple[float, float]


async def rate(port: int, units: int, seconds: float) -> Rated:
    """Of the product, once it has begun."""
    asked: Counter[str] = Counter()

    def watch(collected: Collected) -> None:
        asked[collected.task.registered.meter.meter] += len(collected.filled)

    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        async with product(Path(folder), port, watch, units=units, patience="5s"):
            while not asked:  # noqa: ASYNC110 - the product rings no bell for a benchmark
                await asyncio.sleep(0.01)
            await asyncio.sleep(2.0)
            start, count = loop.time(), asked.total()
            await asyncio.sleep(seconds / 4)
            early = resident_mib()
            await asyncio.sleep(seconds * 3 / 4)
            found = (asked.total() - count) / (loop.time() - start)
            return Rated(found, asked, (early, resident_mib()))


async def measure(times: float, seconds: float) -> None:
    """One row of the table."""
    with gateway(times / UNITS) as port:
        bare = await bare_rate(port, UNITS, seconds / 4)
        best = await rate(port, max(1, round(UNITS / times)), seconds / 2)
        much = await rate(port, UNITS, seconds)
    values = sorted(much.units.values())
    row = (f"{times:g}", f"{bare:.2f}/s", f"{best.rate:.2f}/s", f"{much.rate:.2f}/s", f"{much.rate / best.rate:.1%}")
    memory = f"{much.mib[0]:.0f} → {much.mib[1]:.0f} MiB"
    print(ROW.format(*row, memory, f"{values[0]}–{values[-1]} of {len(values)}", "≥ 95 %"), flush=True)


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60.0)
    asked = options.parse_args()
    print(ROW.format("times", "bare", "its best", "ours", "kept", "resident", "values a unit", "wanted"))
    for times in (2.4, 20.0):
        uvloop.run(measure(times, asked.seconds))


if __name__ == "__main__":
    main()
