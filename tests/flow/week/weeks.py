"""A week of one utility, drawn from a seed: streets of every kind, what their lines suffer, when they are cut off, and when the
collector itself is down or killed. And the judge of it, which knows what was planted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

from collector.acquisition.quarantine import Guard
from collector.clock import DrivenClock
from collector.jobs.report import Reporter
from simulators.toxics import Cut, Double, End, Late, Lose, Slice, Towards, Toxic
from storage.records import Basis, Missing, Plan, Slot, Source
from tests.flow.faults.memory_wire import MemoryWire
from tests.flow.faults.oracle import nothing_false, nothing_lost, owed
from tests.flow.faults.street import ENERGY, PLAN, PROFILES, READ, SHANGHAI, START, Event, Lane, Life, Run, Wire, drive
from tests.links.driven_loop import run_driven

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAYS = 7
WEEK = timedelta(days=DAYS)
PLANS = (
    Plan(PLAN, READ, every_s=3600),
    Plan("daily", (ENERGY,), Basis.FREEZE, at_minute=5),
)
"""The second only for meters that keep freezes, those to DL/T 645."""
RECOVERY = timedelta(hours=2)
"""Backfill looks for gaps every hour, and after recoveries."""
ENOUGH = timedelta(minutes=25)
"""Of a slot's hour without any fault, in one piece: a meter that was left alone is asked at least every quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A lane gives nothing from-to, by the time since the start."""

    lane: str
    since: timedelta
    until: timedelta
    half_open: bool


@dataclass(frozen=True, slots=True)
class Week:
    """What is planted."""

    seed: int
    lanes: tuple[Lane, ...]
    outages: tuple[Outage, ...]
    lives: tuple[Life, ...]


@dataclass(slots=True)
class Account:
    """What came of it."""

    expected: int = 0
    collected: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    killed: int = 0
    backfilled: int = 0

    def __str__(self) -> str:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.missing.items()))
        kills = f"{self.killed} kills, {self.backfilled} freezes backfilled"
        return f"{self.collected} of {self.expected} slots, {kills}, missing: {reasons or 'none'}"


def week(seed: int, *, guard: Callable[[], Guard] | None = None) -> Week:
    """Drawn from a seed. `guard`: other than the product's, for a week without its protection."""
    dice = random.Random(seed)
    lanes = tuple(_lane(f"lane{n}", dice, guard) for n in range(3))
    outages = tuple(_outage(lane, dice) for lane in lanes for _ in range(dice.randint(0, 2)))
    return Week(seed, lanes, outages, _lives(dice))


def _lane(name: str, dice: random.Random, guard: Callable[[], Guard] | None) -> Lane:
    wire = dice.choice(list(Wire))
    plagues: list[Toxic] = [Late(0.02, 0.2, 2.5), Slice(0.005, share=0.1)]
    if wire.tcp:
        plagues.append(Cut(0.01, dice.choice(list(End))))
    else:
        plagues.append(Double(0.02))
    toxics = tuple(dice.sample(plagues, dice.randint(0, 2)))
    return Lane(wire, toxics, name, dice.randint(1, 2), guard=guard)


def _outage(lane: Lane, dice: random.Random) -> Outage:
    since = timedelta(minutes=dice.randrange(DAYS * 24 * 60))
    lasts = timedelta(minutes=dice.choice((20, 90, 600, 1800, 3600)))
    return Outage(lane.name, since, min(since + lasts, WEEK), half_open=lane.wire.tcp and dice.random() < 0.3)


def _lives(dice: random.Random) -> tuple[Life, ...]:
    lives, since = [], timedelta(0)
    for end in sorted(timedelta(minutes=dice.randrange(60, DAYS * 24 * 60)) for _ in range(dice.randint(0, 3))):
        if end <= since:
            continue
        lives.append(Life(since, end, killed=dice.random() < 0.5))
        since = end + timedelta(minutes=dice.choice((1, 10, 120, 1200, 2400)))
    return (*lives, Life(since)) if since < WEEK else tuple(lives)


def live(week: Week) -> Run:
    """The week, on driven time."""
    events = [event for one in week.outages for event in _events(one, week.lanes)]
    return drive(week.lanes, DAYS * 24, every=HOUR, events=events, plans=PLANS, lives=week.lives, seed=week.seed)


def _events(outage: Outage, lanes: Sequence[Lane]) -> list[tuple[timedelta, Event]]:
    (lane,) = [one for one in lanes if one.name == outage.lane]

    def begins(wires: Mapping[str, MemoryWire]) -> None:
        if outage.half_open:
            wires[lane.name].half_open()
        wires[lane.name].disturb(Lose(), Lose(to=Towards.METER))

    def ends(wires: Mapping[str, MemoryWire]) -> None:
        wires[lane.name].disturb(*lane.toxics)

    return [(outage.since, begins), (outage.until, ends)]


# --- the judge ----------------------------------------------------------------------------------------------------------------


def judge(week: Week, run: Run) -> Account:
    """Nothing lost, nothing double, nothing false, every slot accounted for, and what is missing is explained by what was
    planted: in its hour there was no quiet piece that was long enough.
    """
    return run_driven(_judge(week, run))


async def _judge(week: Week, run: Run) -> Account:
    where = f"week {week.seed}: "
    stored = [one async for one in run.ledger.readings()]
    nothing_lost([(done.batch, done.receipt) for done in run.collected], stored)
    nothing_false(run, stored, where)
    assert not run.troubles, f"{where}{run.troubles[0]}"
    due = owed(run)
    filled = set(await run.ledger.filled(run.start, run.end)) & due
    missing = {one.slot: one for one in await _missing(run) if one.slot in due}
    assert filled | set(missing) == due, f"{where}{len(due - filled - set(missing))} slots are not accounted for"
    assert not filled & set(missing), f"{where}{len(filled & set(missing))} slots are collected and missing"
    faults = _faults(week)
    unexplained = [
        one for slot, one in sorted(missing.items()) if _quiet(slot, faults[slot.meter.rpartition("-")[0]]) >= ENOUGH
    ]
    assert not unexplained, f"{where}{len(unexplained)} missing without a fault, the first {unexplained[0]}"
    wrong = [one for one in missing.values() if one.reason == "not_tried" and not _down(week, one.slot)]
    assert not wrong, f"{where}{len(wrong)} were not tried though the collector ran, the first {wrong[0]}"
    backfilled = await _recovered(week, run, faults, where)
    killed = sum(life.killed for life in week.lives)
    return Account(len(due), len(filled), Counter(one.reason for one in missing.values()), killed, backfilled)


async def _recovered(week: Week, run: Run, faults: Mapping[str, Sequence[Interval]], where: str) -> int:
    """Freezes are kept for 62 days: every one that was due is there, whatever happened, but where its line was cut off to the
    end. How many were backfilled.
    """
    lanes = {lane.name for lane in week.lanes if lane.wire.dialect.family == "dlt645"}
    freezes = [one.reading async for one in run.ledger.readings(basis=Basis.FREEZE)]
    there = {(one.meter, one.time) for one in freezes}
    for one in run.registered:
        lane = one.meter.channel
        last = max((until for _, until in faults[lane]), default=timedelta(0))
        if lane not in lanes or last > WEEK - RECOVERY:
            continue
        owed = {(one.meter.meter, START + timedelta(days=day)) for day in range(DAYS)}
        assert owed <= there, f"{where}{len(owed - there)} freezes were not recovered, the first {min(owed - there)}"
    return sum(one.source is Source.BACKFILL for one in freezes)


async def _missing(run: Run) -> tuple[Missing, ...]:
    """As the report says it, an hour after the week."""
    reporter = Reporter(run.ledger, DrivenClock(run.end + HOUR), SHANGHAI, PROFILES, {})
    first = run.start.astimezone(SHANGHAI).date()
    return await reporter.missing(first, first + timedelta(days=DAYS))


Interval = tuple[timedelta, timedelta]


def _faults(week: Week) -> Mapping[str, list[Interval]]:
    """When a lane could not be read, in order: cut off, or nobody there to read it."""
    down = [
        (before.until, after.since)
        for before, after in pairwise((*week.lives, Life(WEEK + HOUR)))
        if before.until is not None
    ]
    cut = {lane.name: [(one.since, one.until) for one in week.outages if one.lane == lane.name] for lane in week.lanes}
    return {name: sorted([*down, *intervals]) for name, intervals in cut.items()}


def _down(week: Week, slot: Slot) -> bool:
    """Whether the collector was down at the end of a slot's hour."""
    closes = slot.at + HOUR - START
    return not any(life.since < closes and (life.until is None or closes <= life.until) for life in week.lives)


def _quiet(slot: Slot, faults: Sequence[Interval]) -> timedelta:
    """The longest piece of a slot's hour without a fault."""
    begin = slot.at - START
    longest, at = timedelta(0), begin
    for since, until in faults:
        longest = max(longest, min(since, begin + HOUR) - at)
        at = max(at, until)
    return max(longest, begin + HOUR - at)
