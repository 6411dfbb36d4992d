"""The forecast against reality: two hundred DL/T 645 meters on a line of 2400 baud, in driven time.

What is compared is how long the line takes from the due instant to the last value; both runs are the real planner, lines and
ledger, and the forecast has nothing but the configuration and what the ledger kept.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest

from collector.acquisition.pace import Known
from collector.jobs.forecast import ChannelForecast, Forecaster
from collector.settings.loading import settings_in
from storage.memory import MemoryLedger
from storage.records import Basis, Batch, Plan
from tests.flow.faults.street import PROFILES, START, Lane, LoopClock, Run, Wire, drive

METERS = 200
SLOW = 11 / 2400
"""A byte of 8E1 at 2400 baud."""
CONFIGURATION = """\
[storage]
url = "memory.db"
[registry]
file = "meters.csv"
[[channel]]
name = "lane"
link = "{link}"
protocol = "dlt645"
gap = "30ms"
"""
SERIAL, NETWORK = "serial:///dev/ttyS0?baudrate=2400&parity=E", "tcp://127.0.0.1:8021"
DAILY = Plan("daily", tuple(f"1-0:1.8.{tariff}" for tariff in range(5)), Basis.FREEZE, at_minute=5)
QUARTER = Plan("quarter", ("1-0:1.8.0", "1-0:32.7.0"), every_s=900)
FIRST, SECOND = START, START + timedelta(days=1)


def forecast(run: Run, start: datetime, by: time, *plans: Plan, link: str = SERIAL, learn: bool) -> ChannelForecast:
    """Of the street's line, by a configuration that says the same."""
    text = CONFIGURATION.format(link=link).replace('"memory.db"', '"sqlite:///memory.db"')
    told = settings_in(text, "collector.toml", Path("place"))
    job = Forecaster(_With(told, plans), PROFILES, LoopClock())  # type: ignore[arg-type]
    if not learn:
        (found,) = job.of_registry(run.registered, start, by)
        return found
    (found,) = asyncio.run(job.of_ledger(run.ledger, start, by))
    return found


class _With:
    """Settings with these plans, which stand in no file."""

    def __init__(self, settings: object, plans: tuple[Plan, ...]) -> None:
        self._settings = settings
        self.plan_records = plans

    def __getattr__(self, name: str) -> object:
        return getattr(self._settings, name)


def last_value(run: Run, plan: str, start: datetime) -> datetime:
    """When the last slot of this plan came that was owed within a quarter of an hour from `start`, or at the midnight before."""
    readings = [reading for done in run.collected for reading in done.batch.readings]
    return max(
        one.received_at
        for one in readings
        if one.slot is not None
        and one.slot.plan == plan
        and start - timedelta(hours=3) <= one.slot.at < start + timedelta(minutes=14)
        and start <= one.received_at
    )


def error(expected: datetime | None, real: datetime, due: datetime) -> float:
    assert expected is not None
    return abs((expected - due) / (real - due) - 1)


@pytest.fixture(scope="module")
def night() -> Run:
    """A night and the next, on a serial line; nobody is missing."""
    lane = Lane(Wire.DLT645, meters=METERS, byte_s=SLOW)
    return drive([lane], 24.5, plans=(DAILY,))


def before(run: Run, instant: datetime) -> Run:
    """As the ledger was then."""
    kept = MemoryLedger()

    async def copy() -> None:
        await kept.import_registry(run.registered, digest="", at=START)
        early = [one.batch for one in run.collected if one.batch.attempts[0].started_at < instant]
        for batch in early:
            await kept.append(Batch(attempts=batch.attempts, readings=batch.readings, missing=batch.missing))

    asyncio.run(copy())
    return replace(run, ledger=kept)


def test_before_anything_was_read_the_lines_speed_says_it(night: Run) -> None:
    due = FIRST + timedelta(minutes=5)
    found = forecast(night, FIRST, time(6), DAILY, learn=False)
    assert (found.known, found.values, found.meters, found.finishes) == (Known.LINE, 5 * METERS, METERS, True)
    assert error(found.done, last_value(night, "daily", due), due) < 0.1


def test_the_second_night_is_known_from_the_first(night: Run) -> None:
    due = SECOND + timedelta(minutes=5)
    found = forecast(before(night, SECOND), SECOND, time(6), DAILY, learn=True)
    assert (found.known, found.heard, found.silent) == (Known.LEARNED, METERS, 0)
    assert error(found.done, last_value(night, "daily", due), due) < 0.1


def test_a_line_that_cannot_finish_by_the_hour_is_named(night: Run) -> None:
    """Three minutes are needed, and two are given."""
    due = SECOND + timedelta(minutes=5)
    found = forecast(before(night, SECOND), SECOND, time(0, 7), DAILY, learn=True)
    assert not found.finishes
    in_time = sum(len(done.filled) for done in night.collected if due <= done.batch.readings[0].received_at <= found.by)
    assert abs(found.late - (found.values - in_time)) < 0.1 * found.late
    assert error(found.done, last_value(night, "daily", due), due) < 0.1


def test_behind_a_network_the_line_is_known_from_what_its_meters_took() -> None:
    """A serial server: the configuration has no baud rate, so before the first night there is a guess, and called so."""
    lane = Lane(Wire.DLT645_OVER_TCP, meters=METERS, byte_s=SLOW)
    run = drive([lane], 24.5, plans=(DAILY,))
    guess = forecast(run, FIRST, time(6), DAILY, link=NETWORK, learn=False)
    assert guess.known is Known.ASSUMED
    first = FIRST + timedelta(minutes=5)
    assert error(guess.done, last_value(run, "daily", first), first) > 0.3, "the control: without having learned"
    due = SECOND + timedelta(minutes=5)
    found = forecast(before(run, SECOND), SECOND, time(6), DAILY, link=NETWORK, learn=True)
    assert found.known is Known.LEARNED
    assert error(found.done, last_value(run, "daily", due), due) < 0.1


def test_a_line_with_two_plans_and_meters_that_are_dead() -> None:
    """Both plans wait for the line at once; what dead meters cost is in it, and they are told apart."""
    daily = replace(DAILY, at_minute=121)
    run = drive([Lane(Wire.DLT645, meters=METERS, byte_s=SLOW, absent=5)], 2.25, plans=(daily, QUARTER))
    two = FIRST + timedelta(hours=2)
    found = forecast(before(run, two), two, time(2, 14), daily, QUARTER, learn=True)
    assert (found.silent, found.heard) == (5, METERS - 5)
    slots = {name: plan.slots for name, plan in found.plans.items()}
    assert slots == {"daily": 5 * (METERS - 5), "quarter": 2 * (METERS - 5)}
    for name, plan in found.plans.items():
        assert error(plan.done, last_value(run, name, two), two) < 0.1
    assert found.finishes


def test_a_line_that_is_asked_for_too_much_misses_what_it_cannot_do() -> None:
    """Every minute, of two hundred meters, on a line that takes a minute and a half for a round."""
    minutely = Plan("minutely", ("1-0:1.8.0", "1-0:32.7.0"), every_s=60)
    run = drive([Lane(Wire.DLT645, meters=METERS, byte_s=SLOW)], 0.2, plans=(minutely,))
    found = forecast(run, FIRST, time(0, 12), minutely, learn=False)
    assert not found.finishes
    read = sum(len(done.filled) for done in run.collected)
    assert read < 0.8 * found.values, "it is asked for too much"
    assert abs((found.values - found.missed) / read - 1) < 0.1
