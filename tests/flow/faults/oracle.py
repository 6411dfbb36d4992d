"""The judge of every fault run: the invariants that hold whatever happened to the bytes (fault matrix, "std").

I1 nothing that was receipted is lost; I2 nothing is there twice; I3 no stored value is one that its meter did not show when it
was asked; I4 expected = collected + missing, by meter and day; I8 nobody's exception was left lying, polling went on to the end.
I5 to I7 have rooms of their own. I3 knows two sorts: a false value is a failure, unless the test says that the wire's own check
can't see it; then those that validation lets pass are counted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from collector.jobs.validate import validate
from collector.vee.judge import Ruleset
from simulators.truth import Truth
from storage.days import data_day
from storage.records import Basis, Batch, Judged, Quality, Reading, Receipt, Slot
from storage.values import MILLION
from tests.flow.faults.street import PLAN, PROFILES, READ, SEED, SHANGHAI, TIMING, LoopClock, Run
from tests.links.driven_loop import run_driven

STALE = timedelta(seconds=TIMING.quarantine_s + 0.5 * TIMING.timeout_s)
"""An answer may come until the quarantine is over; what a meter showed before that is not its value now."""


PROBED = timedelta(minutes=20)
"""A meter that brings nothing is left alone but for a try every quarter of an hour or so."""


@dataclass(slots=True)
class Found:
    """What the oracle saw. `false`: values that no meter showed; `passed`: those of them that validation released."""

    expected: int = 0
    collected: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    exchanges: int = 0
    false: list[Reading] = field(default_factory=list)
    passed: list[Reading] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{self.exchanges} exchanges", f"{self.collected} of {self.expected} slots"]
        parts += [f"{count} {reason}" for reason, count in sorted(self.missing.items())]
        parts += [f"{len(self.false)} false", f"{len(self.passed)} of them verified"] if self.false else ["0 false"]
        return ", ".join(parts)


class Shown:
    """The truth, to be asked what a meter showed between two instants."""

    def __init__(self, truth: Truth) -> None:
        by_key: dict[tuple[str, str, str], list[tuple[datetime, Decimal]]] = defaultdict(list)
        for (meter, quantity, basis, time), text in truth.shown.items():
            by_key[meter, quantity, basis].append((time, Decimal(text)))
        self._times = {key: sorted(time for time, _ in shown) for key, shown in by_key.items()}
        self._values = {key: [value for _, value in sorted(shown)] for key, shown in by_key.items()}

    def between(self, reading: Reading, first: datetime, last: datetime) -> set[Decimal]:
        """Its meter's values of that quantity, both ends included."""
        key = (reading.meter, reading.quantity, reading.basis.value)
        times = self._times.get(key, [])
        return set(self._values.get(key, [])[bisect_left(times, first) : bisect_right(times, last)])


def owed(run: Run) -> set[Slot]:
    """Every slot that had to be accounted for by the end, counted here once more by hand."""
    grid = []
    at = run.start
    while at + run.step <= run.end:
        grid.append(at)
        at += run.step
    return {
        Slot(PLAN, one.meter.meter, quantity, Basis.INSTANT, instant)
        for one in run.registered
        for quantity in READ
        for instant in grid
    }


def examine(run: Run, *, collisions: bool = False) -> Found:
    """Raise for any invariant that is broken. `collisions`: false values are counted, and only what is lost, double or
    unaccounted for is a failure.
    """
    return run_driven(_examine(run, collisions=collisions))


async def _examine(run: Run, *, collisions: bool) -> Found:
    found = Found(exchanges=sum(len(done.batch.attempts) for done in run.collected))
    stored = [one async for one in run.ledger.readings()]
    where = f"seed {SEED}: "
    nothing_lost([(done.batch, done.receipt) for done in run.collected], stored)
    await _accounts(run, found, where)
    found.false = list(_false(run, stored))
    if collisions:
        await validate(run.ledger, Ruleset(profiles=PROFILES), LoopClock())
        false = {_key(reading) for reading in found.false}
        found.passed = [
            one.reading
            async for one in run.ledger.readings()
            if _key(one.reading) in false and one.quality is Quality.VERIFIED
        ]
    else:
        assert not found.false, f"{where}I3: {len(found.false)} false values, the first {found.false[0]}"
    assert not run.troubles, f"{where}I8: {run.troubles[0]}"
    last = max((done.batch.attempts[-1].started_at for done in run.collected if done.batch.attempts), default=run.start)
    assert last >= run.end - max(run.step, PROBED), f"{where}I8: nothing was asked after {last}"
    return found


def nothing_lost(committed: Sequence[tuple[Batch, Receipt]], stored: Sequence[Judged]) -> None:
    """I1 and I2, from what was receipted and what is there."""
    where = f"seed {SEED}: "
    there = Counter(_key(one.reading) for one in stored)
    lost = {_key(reading) for batch, _ in committed for reading in batch.readings} - set(there)
    assert not lost, f"{where}I1: {len(lost)} receipted readings are not there, the first {min(lost)}"
    double = [key for key, count in there.items() if count > 1]
    assert not double, f"{where}I2: {len(double)} readings are there more than once, the first {min(double)}"
    receipts = sum(receipt.stored for _, receipt in committed)
    assert len(stored) == receipts, f"{where}I2: {len(stored)} readings are there, {receipts} were receipted as new"


def nothing_false(run: Run, stored: Sequence[Judged], where: str) -> None:
    """I3: every value is one that its meter showed."""
    false = list(_false(run, stored))
    assert not false, f"{where}I3: {len(false)} false values, the first {false[0]}"


def all_pushed(truth: Truth, stored: Sequence[Judged]) -> None:
    """I1 and I3 for meters that push: what they showed is there with its own stamp and value, and nothing else is."""
    where = f"seed {SEED}: "
    there = {_key(one.reading): Decimal(one.reading.value) / MILLION for one in stored}
    lost = set(truth.shown) - set(there)
    assert not lost, f"{where}I1: {len(lost)} pushed values are not there, the first {min(lost)}"
    false = [key for key, value in there.items() if truth.shown.get(key) is None or Decimal(truth.shown[key]) != value]
    assert not false, f"{where}I3: {len(false)} false values, the first {min(false)}"


async def _accounts(run: Run, found: Found, where: str) -> None:
    due = owed(run)
    filled = set(await run.ledger.filled(run.start, run.end)) & due
    closed = {one.slot: one.reason for one in await run.ledger.closed(run.start, run.end) if one.slot in due}
    expected, collected, missing = (_by_meter_and_day(slots) for slots in (due, filled, closed))
    for key, count in expected.items():
        accounted = collected[key] + missing[key]
        assert count == accounted, (
            f"{where}I4: {key}: {count} expected, {collected[key]} + {missing[key]} accounted for"
        )
    both = filled & set(closed)
    assert not both, f"{where}I4: {len(both)} slots are collected and missing, the first {min(both)}"
    days = await run.ledger.day_counts(run.start.date(), run.end.date() + timedelta(days=1))
    counted = sum(one.slots for one in days if not one.reason)
    said = len(await run.ledger.filled(run.start, run.end + run.step))
    assert counted == said, f"{where}I4: day counters say {counted} collected, the slots say {said}"
    found.expected, found.collected = len(due), len(filled)
    found.missing = Counter(closed.values())


def _by_meter_and_day(slots: Iterable[Slot]) -> Counter[tuple[str, str]]:
    return Counter((slot.meter, str(data_day(slot.at, slot.basis, SHANGHAI))) for slot in slots)


def _false(run: Run, stored: Iterable[Judged]) -> Iterator[Reading]:
    """Values that their meter did not show: at the stamp it gave, or shortly before they came."""
    shown = Shown(run.truth)
    for one in stored:
        reading = one.reading
        last = reading.received_at if reading.basis is Basis.INSTANT else reading.time
        first = last - STALE if reading.basis is Basis.INSTANT else last
        if Decimal(reading.value) / MILLION not in shown.between(reading, first, last):
            yield reading


def _key(reading: Reading) -> tuple[str, str, str, datetime]:
    return reading.meter, reading.quantity, reading.basis.value, reading.time
