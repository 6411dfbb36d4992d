"""Streets of simulated meters on driven time, read by the real planner, poll, line, visit and ledger; only wires are in memory.

One time for all: civil time is the driven loop's time. A run is a few hours of quarter-hourly slots, two questions a visit.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from collector.acquisition.line import DEAF_S, OVERSLEEP, Line
from collector.acquisition.link import Link
from collector.acquisition.plan import gives_by
from collector.acquisition.planner import LONGEST_WINDOW, MOMENT, Planner
from collector.acquisition.quarantine import Guard
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
from simulators.toxics import Toxic
from simulators.truth import Truth
from storage.ledger.port import Ledger
from storage.memory import MemoryLedger
from storage.records import Attempt, Plan
from storage.registry import Installation, Meter, Point, Registered
from tests.flow.faults.devices import dlt645_bus, lying, modbus_bus
from tests.flow.faults.memory_wire import BYTE_S, MemoryWire
from tests.flow.faults.modbus_bus import Lie, ModbusBus
from tests.links.driven_loop import run_driven

PLAN = "curve"
SEED = int(os.environ.get("CHAOBIAO_SEED", "20260315"))
SHANGHAI = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 3, 14, 16, tzinfo=UTC)
"""Local midnight."""
ENERGY, VOLTAGE = "1-0:1.8.0", "1-0:32.7.0"
READ = (ENERGY, VOLTAGE)
"""Two values, too far apart for one question; both answers are four bytes long, so that one could pass for the other."""
QUARTER, MINUTE = timedelta(minutes=15), timedelta(minutes=1)
TIMING = Timing(timeout_s=1.0, retries=2, gap_s=0.03)
PROFILES = builtin_profiles()


class Wire(StrEnum):
    """What meters hang on."""

    RTU = "modbus-rtu"
    RTU_OVER_TCP = "modbus-rtu over tcp"
    TCP = "modbus-tcp"
    DLT645 = "dlt645"
    DLT645_OVER_TCP = "dlt645 over tcp"

    @property
    def tcp(self) -> bool:
        """It is a connection, not a bus."""
        return self in (Wire.RTU_OVER_TCP, Wire.TCP, Wire.DLT645_OVER_TCP)

    @property
    def dialect(self) -> Dialect:
        """What is spoken."""
        return DIALECTS[self.value.partition(" ")[0]]

    @property
    def profile(self) -> str:
        """The make of its meters."""
        return "dlt645_2007_1p" if self.dialect.family == "dlt645" else "eastron_sdm630"


class LoopClock:
    """Civil time that is the driven loop's."""

    def now(self) -> datetime:
        """An instant."""
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep_until(self, instant: datetime) -> None:
        """As it says."""
        await asyncio.sleep(max(0.0, (instant - self.now()).total_seconds()))


@dataclass(frozen=True, slots=True)
class Lane:
    """One line with its meters. `guard`, `dialect`: other than the product's own, for a run without that protection."""

    wire: Wire
    toxics: tuple[Toxic, ...] = ()
    name: str = "lane"
    meters: int = 4
    timing: Timing = TIMING
    lies: tuple[Lie, ...] = ()
    spoil: Callable[[bytes], bytes] | None = None
    """What becomes of a meter's frame on its way out."""
    share: float = 0.0
    """How many answers are lies."""
    guard: Callable[[], Guard] | None = None
    dialect: Dialect | None = None
    around: Callable[[Link], Link] | None = None
    """What stands before the wire: a link that swallows an echo."""
    deaf_s: float = DEAF_S
    oversleep: float = OVERSLEEP
    line: type[Line] = Line
    byte_s: float = BYTE_S
    absent: int = 0
    """So many of its meters, the last ones, are in the registry and not on the line."""


Event = Callable[[Mapping[str, MemoryWire]], None]
"""What happens to the wires, by lane, at an instant."""


@dataclass(frozen=True, slots=True)
class Life:
    """Of the collector, by the time since the start of the run; `until` None: to the end. `killed`: it does not drain."""

    since: timedelta
    until: timedelta | None = None
    killed: bool = False


@dataclass(slots=True)
class Run:
    """What happened, for the oracle."""

    start: datetime
    end: datetime
    step: timedelta
    registered: tuple[Registered, ...]
    ledger: Ledger
    truth: Truth
    collected: list[Collected] = field(default_factory=list)
    wires: dict[str, MemoryWire] = field(default_factory=dict)
    buses: dict[str, ModbusBus] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    """What nobody caught, and what was logged as an error."""

    def attempts(self, lane: str = "lane") -> list[Attempt]:
        """Of a lane, in order."""
        return [one for done in self.collected for one in done.batch.attempts if one.channel == lane]

    def outcomes(self, lane: str = "lane") -> Counter[str]:
        """How its attempts ended."""
        return Counter(one.outcome for one in self.attempts(lane))

    def lates(self, lane: str = "lane") -> int:
        """How many answers were taken after their time-out."""
        return sum(1 for one in self.attempts(lane) if one.detail.startswith("late: "))

    def hits(self, lane: str = "lane") -> Counter[str]:
        """How often its toxics struck."""
        return self.wires[lane].hits


def drive(
    lanes: Sequence[Lane],
    hours: float,
    *,
    every: timedelta = QUARTER,
    events: Iterable[tuple[timedelta, Event]] = (),
    plans: Sequence[Plan] = (),
    lives: Sequence[Life] = (Life(timedelta(0)),),
    seed: int = SEED,
    clock: Callable[[], Clock] | None = None,
) -> Run:
    """A run from midnight on, ended when the last whole slot has closed. `events` by the time since its start. `plans`:
    instead of the one that reads two values `every` so often. `lives`: when the collector lived; what it remembers from one to
    the next is the ledger alone. `clock`: that of the collector's computer, if it is not right; meters go by the true time.
    """
    owed = tuple(plans) or (Plan(PLAN, READ, every_s=int(every.total_seconds())),)
    return run_driven(_drive(lanes, START + timedelta(hours=hours), every, tuple(events), owed, lives, seed, clock))


class _Listener(logging.Handler):
    def __init__(self, run: Run) -> None:
        super().__init__(logging.ERROR)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        self._run.troubles.append(record.getMessage())


async def _drive(
    lanes: Sequence[Lane],
    end: datetime,
    every: timedelta,
    events: Sequence[tuple[timedelta, Event]],
    plans: Sequence[Plan],
    lives: Sequence[Life],
    seed: int,
    wrong: Callable[[], Clock] | None,
) -> Run:
    clock, truth, ledger, dice = LoopClock(), Truth(), MemoryLedger(), random.Random(seed)
    rows = tuple(_standing(lane, n) for lane in lanes for n in range(lane.meters))
    run = Run(START, end, every, rows, ledger, truth)
    asyncio.get_running_loop().set_exception_handler(lambda _, what: run.troubles.append(str(what)))
    await ledger.import_registry(rows, digest="", at=START)
    await ledger.keep_plans(plans, at=START)
    for lane in lanes:
        mine = [one.meter for one in rows if one.meter.channel == lane.name][: lane.meters - lane.absent]
        run.wires[lane.name] = _wire(lane, mine, run, clock, dice)
    for after, event in events:
        asyncio.get_running_loop().call_at(after.total_seconds(), event, run.wires)
    listener = _Listener(run)
    logging.getLogger().addHandler(listener)
    try:
        for life in lives:
            await clock.sleep_until(START + life.since)
            until = end + timedelta(seconds=1) if life.until is None else START + life.until
            await _live(lanes, run, clock if wrong is None else wrong(), until - clock.now(), life)
    finally:
        logging.getLogger().removeHandler(listener)
    return run


async def _live(lanes: Sequence[Lane], run: Run, clock: Clock, lasts: timedelta, life: Life) -> None:
    """One process, from its start to its end: the planner's memory is made of the ledger's."""
    ledger, now = run.ledger, clock.now()
    routes = {lane.name: _route(lane, run, clock) for lane in lanes}
    planner = Planner(SHANGHAI, gives_by(PROFILES), frozenset(routes))
    since = now - LONGEST_WINDOW
    planner.load(await ledger.plan_versions(since, now + MOMENT), run.registered, now)
    tried = {missing.slot: missing.attempts for missing in await ledger.closed(since, now)}
    planner.restore(await ledger.filled(since, now), tried, now)
    collect = Collect(ledger, clock, SHANGHAI, routes, PROFILES)
    backfill = Backfill(planner, PROFILES, ledger, clock)

    def watch(done: Collected) -> None:
        run.collected.append(done)
        backfill.seen(done)

    poll = Poll(
        *(planner, collect, ledger, clock, ClockWaker(clock), routes),
        sources=(backfill.leads,),
        drain_s=60,
        watch=watch,
    )
    backfill.wake = poll.wake
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(poll.run(stop)), tasks.create_task(backfill.run(stop))]
            await asyncio.sleep(lasts.total_seconds())
            if life.killed:
                for one in working:
                    one.cancel()
            else:
                stop.set()
    finally:
        for route in routes.values():
            await route.line.close()


def _standing(lane: Lane, n: int) -> Registered:
    name = f"{lane.name}-{n + 1}"
    address = str(n + 1) if lane.wire.dialect.family == "modbus" else f"{n + 1:012d}"
    meter = Meter(name, lane.wire.profile, lane.name, address, un_v=220_000_000, imax_a=60_000_000)
    return Registered(meter, Point(f"P-{name}"), Installation(name, f"P-{name}", START - timedelta(days=1)))


def _route(lane: Lane, run: Run, clock: Clock) -> Route:
    wire = run.wires[lane.name]
    line = lane.line(
        lane.around(wire) if lane.around is not None else wire,
        clock,
        guard=lane.guard() if lane.guard is not None else None,
        deaf_s=lane.deaf_s,
        oversleep=lane.oversleep,
    )
    return Route(lane.name, line, lane.dialect or lane.wire.dialect, lane.timing)


def _wire(lane: Lane, mine: Sequence[Meter], run: Run, clock: LoopClock, dice: random.Random) -> MemoryWire:
    profile, start = PROFILES[lane.wire.profile], START.astimezone(SHANGHAI)
    if lane.wire.dialect.family == "dlt645":
        device = dlt645_bus(mine, profile, run.truth, clock.now, start, dice)
        if lane.spoil is not None:
            device = lying(device, lane.spoil, lane.share, dice)
        return MemoryWire(device, lane.toxics, dice, tcp=lane.wire.tcp, byte_s=lane.byte_s)
    bus = modbus_bus(
        mine,
        profile,
        run.truth,
        clock.now,
        start,
        dice,
        tcp=lane.wire is Wire.TCP,
        lies=lane.lies,
        share=lane.share,
    )
    run.buses[lane.name] = bus
    units = bus if lane.spoil is None else lying(bus, lane.spoil, lane.share, dice)
    return MemoryWire(units, lane.toxics, dice, tcp=lane.wire.tcp, hang_up=bus.hang_up, byte_s=lane.byte_s)
