"""First round and jitter the whole way: planner, line, visit, ledger, on a line of 2400 baud in driven time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta

from storage.records import Basis, Plan
from tests.flow.faults.street import START, Lane, Run, Wire, drive

METERS = 40
DAILY = Plan("daily", ("1-0:1.8.0",), Basis.FREEZE, at_minute=5)
DUE = START + timedelta(minutes=5)
YESTERDAY = date(2026, 3, 14)


def night(plan: Plan) -> Run:
    return drive([Lane(Wire.DLT645, meters=METERS, byte_s=11 / 2400)], 0.5, plans=(plan,))


def first_round(run: Run) -> tuple[int, int]:
    """Collected, and those of them that the first round brought."""
    counts = [one for one in asyncio.run(run.ledger.day_counts(YESTERDAY, YESTERDAY)) if not one.reason]
    return sum(one.slots for one in counts), sum(one.first_round for one in counts)


def test_what_comes_at_the_cut_off_or_later_is_not_of_the_first_round() -> None:
    """Forty meters take half a minute; the plan is due at 00:05:00 of a clock whose cut-off is at whole minutes."""
    late = replace(DAILY, at_minute=5, jitter_s=90, cutoff_minute=6)
    run = night(late)
    received = [one.received_at for done in run.collected for one in done.batch.readings]
    before = sum(at < START + timedelta(minutes=6) for at in received)
    assert METERS / 4 < before < METERS, "some of them come later"
    assert first_round(run) == (METERS, before)
    assert first_round(night(replace(late, cutoff_minute=None))) == (METERS, METERS)


def test_meters_are_first_asked_each_at_its_own_moment() -> None:
    asked = {
        done.task.registered.meter.meter: done.batch.attempts[0].started_at - DUE
        for done in night(replace(DAILY, jitter_s=300)).collected
    }
    assert len(asked) == METERS
    assert max(asked.values()) < timedelta(seconds=330)
    by_minute = [sum(at // timedelta(minutes=1) == minute for at in asked.values()) for minute in range(5)]
    assert all(by_minute), "in every one of the five minutes"
    at_once = [done.batch.attempts[0].started_at - DUE for done in night(DAILY).collected]
    assert max(at_once) < timedelta(seconds=60), "without it the line works them off from the first second on"
