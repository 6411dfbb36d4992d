"""Finding the gaps of 100,000 meters after three days' outage, beside a loop that must not be held: SQLite, a file on disk.

    look     the first look after a start: every slot of the outage is a gap, of every meter
    prepare  the first tasks for every line, after that
    again    a start on which nothing is missing but two meters' values: what the day counters save

The hold is what the loop's thread worked between two ticks of a timer of a millisecond, in its own CPU time, so that other
processes count for nothing; the limit is 20 ms. The same timer beside an idle loop is the control.
python -m benchmarks.acquisition.backfill [--meters 100000]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import uvloop

from collector.acquisition.plan import gives_by, owed
from collector.acquisition.planner import Planner
from collector.clock import DrivenClock
from collector.jobs.backfill import Backfill
from protocols.profile import builtin_profiles
from storage.days import data_day
from storage.engine import open_ledger
from storage.ledger.port import Ledger
from storage.records import Basis, Batch, Plan, Reading, Source
from storage.registry import Installation, Meter, Point, Registered

ZONE = ZoneInfo("Asia/Shanghai")
PROFILE = "dlt645_2007_1p"
START = datetime(2026, 3, 9, 16, tzinfo=UTC)
DAYS = 3
NOW = START + timedelta(days=DAYS + 1, hours=2)
METERS_A_LINE = 300
PLAN = Plan("daily", ("1-0:1.8.0", "1-0:1.8.1"), Basis.FREEZE, at_minute=5)
LIMIT_MS = 20.0


async def watched(work: Awaitable[None]) -> tuple[float, float]:
    """Seconds it took, and the most that was done between two ticks of a timer, in milliseconds."""
    worst = 0.0
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal worst
        while not done.is_set():
            before = time.thread_time()
            await asyncio.sleep(0.001)
            worst = max(worst, time.thread_time() - before)

    watching = asyncio.create_task(watch())
    begun = time.perf_counter()
    await work
    took = time.perf_counter() - begun
    done.set()
    await watching
    return took, worst * 1000


def rows(count: int) -> list[Registered]:
    """So many meters, three hundred a line."""
    found = []
    for n in range(count):
        name = f"m{n:06d}"
        meter = Meter(name, PROFILE, f"line-{n // METERS_A_LINE}", f"{n:012d}")
        found.append(
            Registered(meter, Point(f"P{n:06d}"), Installation(name, f"P{n:06d}", START - timedelta(days=300)))
        )
    return found


async def measure(count: int, folder: Path) -> None:
    """All of it, on one database."""
    ledger = await open_ledger(f"sqlite:///{folder / 'bench.db'}", create=True)
    meters = rows(count)
    await ledger.import_registry(meters, digest="bench", at=START)
    await ledger.keep_plans([PLAN], at=START)
    profiles, clock = builtin_profiles(), DrivenClock(NOW)
    planner = Planner(ZONE, gives_by(profiles), frozenset(one.meter.channel for one in meters))
    planner.load((), meters, NOW)
    del meters
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as `run_daemon` does
    report = [("idle", *await watched(asyncio.sleep(2)), "")]
    backfill = Backfill(planner, profiles, ledger, clock)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took, hold = await watched(backfill.look())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    slots = count * DAYS * len(PLAN.read)
    report.append(("look", took, hold, f"{len(backfill.leads)} meters, {slots} gaps, {grown / 1024:.0f} MiB more"))
    took, hold = await watched(backfill.prepare())
    report.append(("prepare", took, hold, f"{sum(1 for _ in backfill.leads.channels())} lines"))
    del backfill
    await fill(ledger, planner)
    gc.collect()
    gc.freeze()
    again = Backfill(planner, profiles, ledger, clock)
    took, hold = await watched(again.look())
    report.append(("again", took, hold, f"{len(again.leads)} meters"))
    for name, seconds, milliseconds, what in report:
        ok = "" if name == "idle" else f"{milliseconds / LIMIT_MS:.2f} of the limit"
        sys.stdout.write(f"{name:8} {seconds:8.2f} s   longest hold {milliseconds:6.1f} ms   {ok:20} {what}\n")
    await ledger.close()


async def fill(ledger: Ledger, planner: Planner) -> None:
    """Everything but two values of one day."""
    batch: list[Reading] = []
    versions = await ledger.plan_versions(START, NOW)
    every = owed(versions, planner.meters, START, NOW, zone=ZONE, gives=planner.gives)
    for n, one in enumerate(every):
        slot = one.slot
        if n not in (1000, 2000):
            day = data_day(slot.at, slot.basis, ZONE)
            batch.append(
                Reading(
                    *(slot.meter, slot.quantity, slot.basis, slot.at, n * 10_000, 10_000, Source.POLL, one.due, True),
                    slot,
                    day,
                )
            )
        if len(batch) == 2000:
            await ledger.append(Batch(readings=tuple(batch)))
            batch.clear()
    await ledger.append(Batch(readings=tuple(batch)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=100_000)
    count = parser.parse_args().meters
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(count, Path(folder)))


if __name__ == "__main__":
    main()
