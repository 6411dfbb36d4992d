"""F59 and F60: days of 23 and 25 hours, leap days, ends of months and years. The real planner, ledger and report; no wire.

Every meter answers at once. What is asked: each quarter hour of a day is owed once and read once, a day's energy is the sum
of its quarter hours, and a month has one settlement and every day one freeze.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger

from collector.acquisition import plan as plans_owed
from collector.acquisition import planner as planning
from collector.acquisition.calendar import Instant
from collector.acquisition.planner import Planner
from collector.acquisition.tasks import Collected, Task
from collector.jobs.report import Reporter
from protocols.profile import builtin_profiles
from storage.days import data_day, day_bounds, day_start
from storage.memory import MemoryLedger
from storage.records import Basis, Batch, Plan, Reading, Slot, Source
from storage.registry import Installation, Meter, Point, Registered
from tests.flow.faults.conftest import Tell

ENERGY = "1-0:1.8.0"
DAY = timedelta(days=1)
CURVE = Plan("curve", (ENERGY,), Basis.CURVE, every_s=900)
DAILY = Plan("daily", (ENERGY,), Basis.FREEZE, at_minute=150, jitter_s=120)
"""At 02:30, which a night of March skips and one of October has twice."""
MONTHLY = Plan("monthly", (ENERGY,), Basis.SETTLEMENT, at_minute=5)
Timetable = Callable[[Plan, datetime, datetime, ZoneInfo], Iterator[Instant]]


@dataclass(frozen=True)
class Stopped:
    """A clock that is read after it all."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant

    async def sleep_until(self, instant: datetime) -> None:
        raise AssertionError("nobody waits here")


@dataclass
class Run:
    """What was asked, and what came of it."""

    asked: Counter[Slot]
    ledger: MemoryLedger
    reporter: Reporter


def keeps_all(_profile: str, _quantity: str, _basis: Basis) -> bool:
    return True


def register(instant: datetime) -> int:
    """Half a kilowatt, in millionths of a kWh: a day of 23 hours has less of it."""
    return round((instant - datetime(2000, 1, 1, tzinfo=UTC)) / timedelta(hours=1) * 500_000)


def poll(zone: ZoneInfo, first: date, last: date, *plans: Plan) -> Run:
    """The days first to last, with a day around them, each task answered when it is taken."""
    return asyncio.run(_poll(zone, first, last, plans))


async def _poll(zone: ZoneInfo, first: date, last: date, plans: tuple[Plan, ...]) -> Run:
    start, end = day_start(first - DAY, zone), day_bounds(last + DAY, zone)[1]
    one = Registered(Meter("m1", "any", "bus", "1"), Point("P"), Installation("m1", "P", start - DAY))
    ledger = MemoryLedger()
    await ledger.import_registry([one], digest="", at=start)
    await ledger.keep_plans(plans, at=start)
    planner = Planner(zone, keeps_all, frozenset({"bus"}))
    planner.load(await ledger.plan_versions(start, end), [one], start)
    planner.restore((), {}, start)
    asked: Counter[Slot] = Counter()
    now = start
    while now < end:
        while planner.advance(now):
            pass
        planner.expired(now)
        planner.next_alarm(now)
        for urgency in sorted(planner.waiting("bus", now)):
            while (task := planner.take("bus", urgency, now)) is not None:
                asked.update(task.slots)
                planner.ended(await _answered(task, ledger, now, zone), now)
        now = max(planner.next_alarm(now), now + timedelta(seconds=1))
    reporter = Reporter(ledger, Stopped(end), zone, builtin_profiles(), {"bus": "dlt645"})
    return Run(asked, ledger, reporter)


async def _answered(task: Task, ledger: MemoryLedger, now: datetime, zone: ZoneInfo) -> Collected:
    readings = tuple(
        Reading(
            meter=slot.meter,
            quantity=slot.quantity,
            basis=slot.basis,
            time=slot.at,
            value=register(slot.at),
            resolution=1,
            source=Source.POLL,
            received_at=now,
            slot=slot,
            data_day=data_day(slot.at, slot.basis, zone),
        )
        for slot in task.slots
    )
    batch = Batch(readings=readings)
    return Collected(task, batch, await ledger.append(batch), task.slots)


def of_day(run: Run, day: date, plan: Plan, zone: ZoneInfo) -> list[Slot]:
    return sorted(one for one in run.asked if one.plan == plan.name and data_day(one.at, one.basis, zone) == day)


DAYS = [
    ("Asia/Shanghai", date(2026, 3, 29), 96),
    ("Europe/Warsaw", date(2026, 3, 29), 92),
    ("Europe/Warsaw", date(2026, 10, 25), 100),
    ("America/New_York", date(2026, 3, 8), 92),
    ("America/New_York", date(2026, 11, 1), 100),
    ("Australia/Lord_Howe", date(2026, 10, 4), 94),
    ("Australia/Lord_Howe", date(2026, 4, 5), 98),
]


@pytest.mark.parametrize(("name", "day", "quarters"), DAYS)
def test_a_day_of_the_clock_change_is_read_whole_and_nothing_twice(
    name: str, day: date, quarters: int, tell: Tell
) -> None:
    zone = ZoneInfo(name)
    run = poll(zone, day, day, CURVE, DAILY)
    assert set(run.asked.values()) == {1}, "each slot was asked for once"
    points = of_day(run, day, CURVE, zone)
    (freeze,) = of_day(run, day, DAILY, zone)
    start, end = day_bounds(day, zone)
    assert len(points) == quarters
    assert [points[0].at, points[-1].at, freeze.at] == [start + timedelta(minutes=15), end, end]
    intervals = [register(after) - register(before) for before, after in pairwise([start, *(one.at for one in points)])]
    assert sum(intervals) == register(end) - register(start)
    (rates,) = asyncio.run(run.reporter.success(day, day, by="day"))
    assert (rates.expected, rates.final, rates.missing) == (quarters + 1, quarters + 1, 0)
    tell("F59", f"{name} {day}: {quarters} quarter hours and one freeze owed, asked for once each, all there")


def by_the_wall(plan: Plan, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[Instant]:
    """What one writes first: ninety-six times of the clock, whatever the day."""
    day = start.astimezone(zone).date()
    while day <= end.astimezone(zone).date():
        for n in range(96):
            at = datetime.combine(day, time(n // 4, n % 4 * 15), zone).astimezone(UTC)
            if start <= at < end:
                yield Instant(at, at + timedelta(minutes=15), at)
        day += DAY


@pytest.mark.parametrize(("name", "day", "quarters"), [one for one in DAYS if one[2] > 96])
def test_control_a_timetable_by_the_wall_clock_leaves_out_the_hour_that_comes_twice(
    name: str, day: date, quarters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (plans_owed, planning):
        monkeypatch.setattr(module, "timetable", by_the_wall)
    zone = ZoneInfo(name)
    assert len(of_day(poll(zone, day, day, CURVE), day, CURVE, zone)) == 96 < quarters


@pytest.mark.parametrize(("name", "day", "quarters"), [one for one in DAYS if one[2] < 96])
def test_control_a_timetable_by_the_wall_clock_owes_twice_what_follows_the_hour_that_is_skipped(
    name: str, day: date, quarters: int
) -> None:
    zone = ZoneInfo(name)
    entries = Counter(entry.at for entry in by_the_wall(CURVE, *day_bounds(day, zone), zone))
    assert max(entries.values()) == 2
    assert len(entries) == quarters < sum(entries.values())


def test_control_a_cron_fires_twice_in_the_night_of_october() -> None:
    """As the scheduler's own timetable would have it; ours only wakes the planner."""
    cron = CronTrigger(hour=2, minute=30, timezone=ZoneInfo("Europe/Warsaw"))
    now, fired = datetime(2026, 10, 24, 12, tzinfo=UTC), 0
    while (at := cron.get_next_fire_time(None, now).astimezone(UTC)) < datetime(2026, 10, 25, 12, tzinfo=UTC):
        now, fired = at + timedelta(seconds=1), fired + 1
    assert fired == 2


@pytest.mark.parametrize("year", [2024, 2026, 2028, 2100])
def test_a_year_has_twelve_settlements_and_a_freeze_a_day(year: int, tell: Tell) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    leap = year in (2024, 2028)
    found = {}
    for first, last in ((date(year, 2, 27), date(year, 3, 2)), (date(year, 12, 30), date(year + 1, 1, 2))):
        run = poll(zone, first, last, DAILY, MONTHLY)
        assert set(run.asked.values()) == {1}
        days = [first + n * DAY for n in range((last - first).days + 1)]
        for day in days:
            assert len(of_day(run, day, DAILY, zone)) == 1, day
        closed = [day for day in days if of_day(run, day, MONTHLY, zone)]
        found[first.month] = closed
        expected = len(days) + len(closed)
        rates = asyncio.run(run.reporter.success(first, last, by="day"))
        assert sum(one.expected for one in rates) == sum(one.final for one in rates) == expected
    assert found == {2: [date(year, 2, 29 if leap else 28)], 12: [date(year, 12, 31)]}
    tell("F60", f"{year}: one settlement closes February ({29 if leap else 28} days), one the year, a freeze every day")
