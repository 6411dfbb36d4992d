"""Our engine as the daemon builds it, planner to sink, over any links: what benchmarks drive. The sink counts and keeps nothing.

What stands behind the hand-over is left out: translation into readings, and the ledger.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.breaker import Breakers
from collector.acquisition.line import Line
from collector.acquisition.link import Link
from collector.acquisition.outcome import OK
from collector.acquisition.plan import gives_by
from collector.acquisition.planner import Planner
from collector.acquisition.schedule import ClockWaker
from collector.acquisition.tasks import Collected, Task
from collector.acquisition.timing import Timing
from collector.acquisition.visit import GiveWay, read_meter
from collector.clock import Clock
from collector.jobs.collect import Collect, Route
from collector.jobs.poll import Poll
from protocols.dialect import Dialect, Wanted
from protocols.profile import Modbus, Profile, Register
from storage.memory import MemoryLedger
from storage.records import Batch, Plan, PlanVersion, Receipt
from storage.registry import Installation, Meter, Point, Registered

ZONE = ZoneInfo("Asia/Shanghai")
EVERY = timedelta(minutes=15)
REGISTERS = 50
QUANTITY = "1-0:1.8.0"
MODBUS_PROFILE = Profile(
    id="fifty_registers",
    protocol="modbus",
    maker="none",
    models=("benchmark",),
    phases=3,
    sources=("made up",),
    modbus=Modbus(function=3, word_order="ABCD", max_registers=125),
    register=(Register(id="0", quantity=QUANTITY, type=f"string{2 * REGISTERS}"),),
)
"""One value as long as the answer: one slot owed is one read of fifty registers."""


class SteppedClock:
    """The real clock, put forward whenever a round is done, so that the next one is due. `seconds`: what it counts by."""

    def __init__(self, seconds: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._ahead = timedelta()
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Civil time."""
        return datetime.fromtimestamp(self._seconds(), UTC) + self._ahead

    async def sleep_until(self, instant: datetime) -> None:
        """Until `put_forward` gets there."""
        if instant > self.now():
            sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._sleepers.append((instant, sleeper))
            await sleeper

    def put_forward(self, instant: datetime) -> None:
        """It is this instant now."""
        self._ahead += max(timedelta(), instant - self.now())
        waiting, self._sleepers = self._sleepers, []
        for due, sleeper in waiting:
            if due > instant:
                self._sleepers.append((due, sleeper))
            elif not sleeper.done():
                sleeper.set_result(None)


class Sink(Collect):
    """Takes what a visit brought, and counts."""

    def __init__(self, clock: Clock, routes: Mapping[str, Route], profiles: Mapping[str, Profile]) -> None:
        super().__init__(MemoryLedger(), clock, ZONE, routes, profiles)
        self.attempts = self.reads = 0
        self.meters: set[str] = set()
        """Who was read."""

    async def task(self, task: Task, give_way: GiveWay | None = None) -> Collected:
        """As in the product, up to the hand-over."""
        meter = task.registered.meter
        route = self._routes[meter.channel]
        wanted = tuple(Wanted(slot.quantity, slot.basis) for slot in task.slots)
        profile = self._profiles[meter.profile]
        visit = await read_meter(
            *(route.line, route.dialect, profile, meter, wanted, route.timing),
            plan=task.slots[0].plan,
            give_way=give_way,
        )
        batch = Batch(attempts=visit.attempts)
        self.attempts += len(visit.attempts)
        self.meters.add(meter.meter)
        self.reads += sum(1 for one in visit.attempts if one.outcome == OK)
        filled = task.slots if not visit.failed else ()
        return Collected(task, batch, Receipt(len(filled), 0, 0, len(filled)), filled)


@dataclass(slots=True)
class Engine:
    """Ready to run: `poll` under a task group, then `round` as often as you like."""

    clock: SteppedClock
    poll: Poll
    sink: Sink
    breakers: Breakers

    async def round(self) -> None:
        """Everybody is due once, and has been read when it returns."""
        self.clock.put_forward(await self.poll.quiet())
        await asyncio.sleep(0)
        await self.poll.quiet()


def engine_for(
    links: Mapping[str, Link],
    meters: Mapping[str, tuple[str, str]],
    dialect: Dialect,
    timing: Timing,
    profile: Profile = MODBUS_PROFILE,
    quantities: tuple[str, ...] = (QUANTITY,),
    seconds: Callable[[], float] = time.time,
    jitter: timedelta = timedelta(),
) -> Engine:
    """`links` by channel; `meters` by name: channel and address."""
    clock = SteppedClock(seconds)
    start = clock.now() - EVERY
    rows = tuple(
        Registered(
            Meter(name, profile.id, channel, address), Point(f"P-{name}"), Installation(name, f"P-{name}", start)
        )
        for name, (channel, address) in meters.items()
    )
    routes = {channel: Route(channel, Line(link, clock), dialect, timing) for channel, link in links.items()}
    profiles = {profile.id: profile}
    planner = Planner(ZONE, gives_by(profiles), frozenset(routes))
    plan = Plan(
        "quarter-hours", quantities, every_s=EVERY // timedelta(seconds=1), jitter_s=jitter // timedelta(seconds=1)
    )
    planner.load([PlanVersion(plan, start)], rows, clock.now())
    planner.restore((), {}, clock.now())
    sink = Sink(clock, routes, profiles)
    poll = Poll(planner, sink, MemoryLedger(), clock, ClockWaker(clock), routes, drain_s=1)
    return Engine(clock, poll, sink, planner.breakers)
