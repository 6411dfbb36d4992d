"""20 units behind a gateway, asked for 2.4 and 20 times what it can do: rate against its best, memory, and who is left out.

A slot a second and unit; the gateway is as slow as makes that too much. Its best is what the barest client gets out of it, before
and after. The daemon runs in a process of its own.    python -m benchmarks.acquisition.overload
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import uvloop

from benchmarks.acquisition.gateway import UNITS, bare_rate, gateway, product
from collector.acquisition.tasks import Collected

ROW = "{:>5} {:>9} {:>9} {:>6} {:>14} {:>16} {:>12}"


def resident_mib() -> float:
    """Of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096 / 2**20


async def measure(times: float, seconds: float) -> None:
    """One row of the table."""
    with gateway(times / UNITS) as port, tempfile.TemporaryDirectory() as folder:
        before = await bare_rate(port, UNITS, seconds / 4)
        asked: Counter[str] = Counter()

        def watch(collected: Collected) -> None:
            asked[collected.task.registered.meter.meter] += len(collected.filled)

        loop = asyncio.get_running_loop()
        async with product(Path(folder), port, watch, patience="5s"):
            while not asked:  # noqa: ASYNC110 - the product rings no bell for a benchmark
                await asyncio.sleep(0.01)
            await asyncio.sleep(2.0)
            start, count, mib = loop.time(), asked.total(), [resident_mib()]
            for _ in range(4):
                await asyncio.sleep(seconds / 4)
                mib.append(resident_mib())
            rate = (asked.total() - count) / (loop.time() - start)
        best = (before + await bare_rate(port, UNITS, seconds / 4)) / 2
    fair = f"{min(asked.values())}–{max(asked.values())} of {len(asked)}"
    memory = f"{mib[1]:.0f} → {mib[-1]:.0f} MiB"
    print(
        ROW.format(f"{times:g}", f"{best:.2f}/s", f"{rate:.2f}/s", f"{rate / best:.1%}", memory, fair, "≥ 95 %"),
        flush=True,
    )


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60.0)
    asked = options.parse_args()
    print(ROW.format("times", "its best", "ours", "kept", "resident", "values a unit", "wanted"))
    for times in (2.4, 20.0):
        uvloop.run(measure(times, asked.seconds))


if __name__ == "__main__":
    main()
