"""F55 to F57: the clock of the collector's own computer leaps forward, leaps back, runs a little too fast."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from collector.clock import SystemClock
from storage.records import Slot
from tests.flow.faults.conftest import Tell
from tests.flow.faults.oracle import nothing_lost
from tests.flow.faults.street import QUARTER, READ, START, Lane, Run, Wire, drive
from tests.links.driven_loop import run_driven

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
METERS = 3


class Computer(SystemClock):
    """It is set by `by` at `at`, and at `back_at` put right again. It sleeps as the product's clock does."""

    def __init__(self, by: timedelta, *, at: timedelta, back_at: timedelta | None = None, rate: float = 1.0) -> None:
        self._by, self._at, self._back_at, self._rate = by, at, back_at, rate

    def now(self) -> datetime:
        gone = timedelta(seconds=asyncio.get_running_loop().time())
        wrong = self._at <= gone and (self._back_at is None or gone < self._back_at)
        return START + gone * self._rate + (self._by if wrong else timedelta(0))


class Stubborn(Computer):
    """As APScheduler alone does: it waits for the instant, though the clock it was reckoned by was wrong (its issue 339)."""

    async def sleep_until(self, instant: datetime) -> None:
        while (left := instant - self.now()) > timedelta(0):  # noqa: ASYNC110 - as it does
            await asyncio.sleep(left.total_seconds())


def lived(clock: Callable[[], SystemClock], hours: float, *, every: timedelta = QUARTER) -> Run:
    run = drive([Lane(Wire.RTU, meters=METERS)], hours, every=every, clock=clock)
    assert run.troubles == []
    return run


def sound(run: Run) -> None:
    """Nothing that was receipted is lost, nothing double."""

    async def look() -> None:
        stored = [one async for one in run.ledger.readings()]
        nothing_lost([(done.batch, done.receipt) for done in run.collected], stored)

    run_driven(look())


def filled(run: Run) -> list[Slot]:
    """Every slot as often as a value was stored for it."""
    return [one.slot for done in run.collected for one in done.batch.readings if one.slot is not None]


def asked_at(run: Run, hour: float) -> int:
    """Questions of the quarter of an hour from then on, by the true time."""
    begin = START + HOUR * hour
    return sum(begin <= one for one in true_times(run) if one < begin + QUARTER)


def true_times(run: Run) -> list[datetime]:
    """When each question was on the wire."""
    return [START + timedelta(seconds=at) for at in run.wires["lane"].asked_at]


def longest_gap(run: Run) -> timedelta:
    times = true_times(run)
    return max(after - before for before, after in pairwise(times))


@pytest.mark.parametrize("by", [HOUR, DAY], ids=["1 h", "1 d"])
def test_forward_asks_each_meter_once_and_not_for_every_slot_between(by: timedelta, tell: Tell) -> None:
    run = lived(lambda: Computer(by, at=HOUR * 2.1), 4)
    sound(run)
    usual = METERS * len(READ)
    assert asked_at(run, 2.1) <= 2 * usual  # those of the leap, and those of the grid point that came meanwhile
    assert max(Counter(filled(run)).values()) == 1
    assert longest_gap(run) <= QUARTER + timedelta(seconds=20)
    tell("F55", f"{by} forward: {asked_at(run, 2.1)} questions in the quarter hour after, {usual} are usual")


@pytest.mark.parametrize("by", [HOUR, DAY], ids=["1 h", "1 d"])
def test_back_again_polling_goes_on_and_no_slot_is_filled_twice(by: timedelta, tell: Tell) -> None:
    run = lived(lambda: Computer(by, at=HOUR * 2.1, back_at=HOUR * 3.1), 5)
    sound(run)
    assert longest_gap(run) <= QUARTER + timedelta(seconds=20)
    there = run_driven(run.ledger.filled(START, START + 3 * DAY))
    assert sum(done.receipt.slots_filled for done in run.collected) == len(there)
    tell("F56", f"{by} ahead for an hour, then back: the longest gap is {longest_gap(run)}, no slot filled twice")


def test_who_waits_for_an_instant_of_the_wrong_clock_is_silent_for_an_hour() -> None:
    run = lived(lambda: Stubborn(HOUR, at=HOUR * 2.1, back_at=HOUR * 3.1), 5)
    assert longest_gap(run) > HOUR


def test_a_clock_that_runs_a_little_too_fast_changes_nothing(tell: Tell) -> None:
    """500 ppm over a week: five minutes."""
    run = lived(lambda: Computer(timedelta(0), at=timedelta(0), rate=1.0005), 7 * 24, every=HOUR)
    sound(run)
    slots = filled(run)
    assert len(slots) == len(set(slots)) >= METERS * len(READ) * 7 * 24
    tell("F57", f"500 ppm for seven days: {len(slots)} slots, each once")
