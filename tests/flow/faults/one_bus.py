"""One bus on driven time, read by the real planner, poll, line, visit and ledger; what its devices do is a function of bytes.

For what concerns the sharing of a line: who goes first, who waits, and what a bad device costs the others. A run without one of
the protections is built with another argument for it (`Weak`).
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from collector.acquisition.breaker import Breakers
from collector.acquisition.budget import Budget
from collector.acquisition.line import Line
from collector.acquisition.plan import gives_by
from collector.acquisition.planner import Planner
from collector.acquisition.schedule import ClockWaker
from collector.acquisition.submitted import Submitted
from collector.acquisition.tasks import Collected, TaskSource
from collector.acquisition.timing import Timing
from collector.acquisition.turns import Turns
from collector.jobs.collect import Collect, Route
from collector.jobs.poll import Poll
from protocols.dialects import DIALECTS
from storage.memory import MemoryLedger
from storage.records import Missing, Plan, Slot
from storage.registry import Installation, Meter, Point, Registered
from tests.flow.faults.street import PROFILES, SHANGHAI, START, LoopClock
from tests.links.driven_loop import run_driven
from tests.links.late_device import crc
from tests.links.memory_link import MemoryLink

ENERGY = "1-0:1.8.0"
BUS = "bus"
READING_DAYS = {"today": 15, "later": 20}
"""Of billing groups: a run begins at 00:00 of the 15th."""


def unit_meter(unit: int, *, class_: str = "household", group: str = "") -> Registered:
    """Modbus units stand on the bus by their address."""
    name = f"m{unit}"
    meter = Meter(name, "eastron_sdm630", BUS, str(unit), un_v=220_000_000, imax_a=60_000_000)
    return Registered(
        meter,
        Point(f"P-{name}", class_=class_, billing_group=group),
        Installation(name, f"P-{name}", START - timedelta(days=1)),
    )


@dataclass(frozen=True, slots=True)
class Units:
    """Modbus units that all answer alike after `reply_s`; `silent` never do. Asked for registers, they show 1.0 in each pair."""

    reply_s: float = 0.05
    silent: frozenset[int] = frozenset()

    def __call__(self, data: bytes) -> Iterator[tuple[float, bytes]]:
        unit, function, _, count = struct.unpack(">BBHH", data[:6])
        if unit not in self.silent:
            words = b"\x3f\x80\x00\x00" * (count // 2)
            frame = bytes([unit, function, len(words)]) + words
            yield self.reply_s, frame + crc(frame)


class Unprotected(Breakers):
    """Never opens, and doubts nobody."""

    def failed(self, *_: object) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Weak:
    """What a run is built without."""

    budget: Callable[[], Budget] = Budget
    breakers: Callable[[], Breakers] = Breakers
    turns: Callable[[], Turns] = Turns


STRONG = Weak()


@dataclass(slots=True)
class Ran:
    """What happened."""

    collected: list[Collected] = field(default_factory=list)
    asked: list[tuple[float, int]] = field(default_factory=list)
    """When which unit was asked."""
    filled: frozenset[Slot] = frozenset()
    closed: tuple[Missing, ...] = ()
    most_open: int = 0
    """Slots that were open at once."""

    def kept(self, meters: Iterable[str]) -> tuple[int, int]:
        """Slots of these meters: with a value, and all that are accounted for."""
        names = set(meters)
        filled = sum(slot.meter in names for slot in self.filled)
        return filled, filled + sum(one.slot.meter in names for one in self.closed)

    def why(self, meters: Iterable[str]) -> Counter[str]:
        """Reasons of their missing slots."""
        names = set(meters)
        return Counter(one.reason for one in self.closed if one.slot.meter in names)


Beside = Callable[[MemoryLink, random.Random], None]


def run_bus(
    meters: Sequence[Registered],
    plans: Sequence[Plan],
    device: Callable[[bytes], Iterable[tuple[float, bytes]]],
    span: timedelta,
    *,
    timing: Timing,
    weak: Weak = STRONG,
    submitted: Callable[[Submitted, datetime], None] = lambda *_: None,
    beside: Beside = lambda *_: None,
) -> Ran:
    """From local midnight on. `submitted` hands tasks in at the start; `beside`: what else the bus does by itself."""
    return run_driven(_run(meters, plans, device, span, timing, weak, submitted, beside))


async def _run(
    meters: Sequence[Registered],
    plans: Sequence[Plan],
    device: Callable[[bytes], Iterable[tuple[float, bytes]]],
    span: timedelta,
    timing: Timing,
    weak: Weak,
    submit: Callable[[Submitted, datetime], None],
    beside: Beside,
) -> Ran:
    ran, clock, ledger, link = Ran(), LoopClock(), MemoryLedger(), MemoryLink(device)
    end = START + span
    await ledger.import_registry(meters, digest="", at=START)
    await ledger.keep_plans(plans, at=START)
    routes = {BUS: Route(BUS, Line(link, clock), DIALECTS["modbus-rtu"], timing)}
    planner = Planner(SHANGHAI, gives_by(PROFILES), frozenset(routes), weak.breakers())
    planner.reading_days = READING_DAYS
    planner.load(await ledger.plan_versions(START, end), meters, START)
    collect = Collect(ledger, clock, SHANGHAI, routes, PROFILES)
    handed_in = Submitted()
    submit(handed_in, START)

    def watch(collected: Collected) -> None:
        ran.collected.append(collected)
        ran.most_open = max(ran.most_open, len(planner._open))

    sources: tuple[TaskSource, ...] = (handed_in,)
    poll = Poll(
        *(planner, collect, ledger, clock, ClockWaker(clock), routes),
        sources=sources,
        drain_s=60,
        watch=watch,
        turns=weak.turns,
        budget=weak.budget(),
    )
    beside(link, random.Random(20260315))
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(poll.run(stop))
        await clock.sleep_until(end - timedelta(seconds=1))
        stop.set()
    ran.asked = [(at, data[0]) for at, data in link.written]
    ran.filled = await ledger.filled(START, end)
    ran.closed = await ledger.closed(START, end)
    return ran
