"""A village of DL/T 645 meters with memories, on driven time: planner, poll, backfill and ledger are real, wires in memory.

Civil time is the loop's time. The daemon runs from one instant to another, is down, and runs again on the same ledger; or the
line is dead for a while. Truth is what the registers of the simulated meters are at the instant of each slot.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from collector.acquisition.line import Line
from collector.acquisition.plan import gives_by, owed
from collector.acquisition.planner import LONGEST_WINDOW, Planner
from collector.acquisition.schedule import ClockWaker
from collector.acquisition.tasks import Collected
from collector.acquisition.timing import Timing
from collector.clock import Clock
from collector.jobs.backfill import Backfill
from collector.jobs.collect import Collect, Route
from collector.jobs.poll import Poll
from protocols.dialect import Dialect
from protocols.dialects import DIALECTS
from protocols.profile import builtin_profiles
from simulators.dlt645_face import Dlt645Bus, Dlt645Meter
from simulators.load import Load
from simulators.memories import Memories
from simulators.meter import Meter as SimulatedMeter
from simulators.shapes import SHAPES
from simulators.truth import Truth
from storage.ledger.port import Ledger
from storage.records import Basis, Missing, Plan, Reading, Slot, Source
from storage.registry import Installation, Meter, Point, Registered
from tests.links.memory_link import MemoryLink

SHANGHAI = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 3, 9, 16, tzinfo=UTC)
"""00:00 of 10 March: the daemon's first day."""
MOUNTED = START - timedelta(days=90)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PROFILE = "dlt645_2007_3p"
PROFILES = builtin_profiles()
IMPORT, EXPORT = "1-0:1.8.0", "1-0:2.8.0"
DAILY = Plan("daily", (IMPORT, EXPORT, "1-0:1.8.1"), Basis.FREEZE, at_minute=5, jitter_s=120)
CURVE = Plan("curve", (IMPORT, "1-0:32.7.0"), Basis.CURVE, every_s=3600)
RUNNING = Plan("running", (IMPORT,), every_s=1800)
BYTE_S = 11 / 2400
REPLY_S = 0.1


class LoopClock(Clock):
    """Civil time is the driven loop's."""

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep_until(self, instant: datetime) -> None:
        await asyncio.sleep(max(0.0, (instant - self.now()).total_seconds()))


@dataclass
class Village:
    """Meters on one line of 2400 baud. `dead`: when nothing comes through. `memories` by meter, where it is special."""

    ledger: Ledger
    meters: int = 3
    plans: Sequence[Plan] = (DAILY, CURVE, RUNNING)
    dead: Sequence[tuple[datetime, datetime]] = ()
    dialect: Dialect = DIALECTS["dlt645"]
    make: Callable[[str, Load], SimulatedMeter] | None = None
    memories: Memories = field(default_factory=Memories)
    collected: list[Collected] = field(default_factory=list)
    longest_look_s: float = 0.0

    def __post_init__(self) -> None:
        self.clock = LoopClock()
        names = [f"m{n + 1}" for n in range(self.meters)]
        self.devices = {name: self._device(name) for name in names}
        self.rows = [
            Registered(
                Meter(name, PROFILE, "line", f"{n + 1:012d}"),
                Point(f"P-{name}", billing_group="homes"),
                Installation(name, f"P-{name}", MOUNTED),
            )
            for n, name in enumerate(names)
        ]
        self._bus = Dlt645Bus(
            [
                Dlt645Meter(one.meter.address, "", self.devices[one.meter.meter], memories=self.memories)
                for one in self.rows
            ],
            truth=Truth(),
        )

    def _device(self, name: str) -> SimulatedMeter:
        load = Load(SHAPES["shop"], seed=7, name=name, zone=SHANGHAI, since=MOUNTED, phases=3)
        if self.make is not None:
            return self.make(name, load)
        return SimulatedMeter(name, load, mounted=MOUNTED, zone=SHANGHAI, phases=3, start_kwh=815_000_000)

    def _answers(self, data: bytes) -> Iterable[tuple[float, bytes]]:
        now = self.clock.now()
        if any(start <= now < end for start, end in self.dead):
            return []
        return [
            ((len(data) + len(answer.data)) * BYTE_S + REPLY_S, answer.data)
            for answer in self._bus.receive(data, self.clock.now)
        ]

    async def begin(self) -> None:
        """The registry and the plans, as of the first day."""
        await self.ledger.import_registry(self.rows, digest="of this test", at=START)
        await self.ledger.keep_plans(self.plans, at=START)

    async def run(self, until: datetime) -> None:
        """The daemon, from now until then: what it knows it has from the ledger."""
        now = self.clock.now()
        line = Line(MemoryLink(self._answers), self.clock)
        routes = {"line": Route("line", line, self.dialect, Timing(timeout_s=3.0, retries=1, gap_s=0.05))}
        planner = Planner(SHANGHAI, gives_by(PROFILES), frozenset(routes))
        planner.reading_days = {"homes": 12}
        versions = await self.ledger.plan_versions(now - LONGEST_WINDOW, now + timedelta(microseconds=1))
        planner.load(versions, await self.ledger.registry(), now)
        since = now - LONGEST_WINDOW
        tried = {missing.slot: missing.attempts for missing in await self.ledger.closed(since, now)}
        planner.restore(await self.ledger.filled(since, now), tried, now)
        backfill = Backfill(planner, PROFILES, self.ledger, self.clock)

        def watch(done: Collected) -> None:
            self.collected.append(done)
            backfill.seen(done)

        collect = Collect(self.ledger, self.clock, SHANGHAI, routes, PROFILES)
        waker = ClockWaker(self.clock)
        poll = Poll(
            *(planner, collect, self.ledger, self.clock, waker, routes),
            sources=(backfill.leads,),
            drain_s=60,
            watch=watch,
        )
        backfill.wake = poll.wake
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(poll.run(stop))
            tasks.create_task(backfill.run(stop))
            await self.clock.sleep_until(until)
            stop.set()
        await line.close()

    async def down(self, until: datetime) -> None:
        """The daemon does not run."""
        await self.clock.sleep_until(until)

    async def owed(self, start: datetime, end: datetime, *, plans: Sequence[str] = ("daily", "curve")) -> list[Slot]:
        """Due from start to end."""
        versions = await self.ledger.plan_versions(start, end)
        found = owed(versions, self.rows, start, end, zone=SHANGHAI, gives=gives_by(PROFILES))
        return [one.slot for one in found if one.slot.plan in plans]

    async def stored(self) -> dict[tuple[str, str, Basis, datetime], Reading]:
        """Every reading by its key."""
        found = [one.reading async for one in self.ledger.readings()]
        return {(one.meter, one.quantity, one.basis, one.time): one for one in found}

    async def closed(self) -> dict[Slot, Missing]:
        """What is missing."""
        return {one.slot: one for one in await self.ledger.closed(START - 100 * DAY, START + 400 * DAY)}

    def truth(self, slot: Slot, at: datetime | None = None) -> Decimal:
        """What the meter's register was at that instant, in the digits of the wire."""
        places = {"1-0:32.7.0": 1}.get(slot.quantity, 2)
        value = self.devices[slot.meter].value(slot.quantity, at or slot.at)
        assert value is not None
        step = 10 ** (6 - places)
        return Decimal(value // step * step).scaleb(-6)

    def sources(self) -> Counter[Source]:
        """How many readings of each source were brought."""
        return Counter(reading.source for done in self.collected for reading in done.batch.readings)


def decimal(reading: Reading) -> Decimal:
    """Of its millionths."""
    return Decimal(reading.value).scaleb(-6)
