"""A simulated week, many times over: whatever its lines suffer and whenever the collector is down or killed, nothing is lost,
double or false, every slot is accounted for, and what is missing is explained.

Twenty weeks with `make test`; a thousand with

    make test ARGS='-m long --dist load tests/flow/week'
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from storage.records import Batch
from tests.flow.faults.street import Run
from tests.flow.week.weeks import Week, judge, live, week
from tests.links.late_device import NoGuard

FEW, MANY = 20, 1000
FIRST = int(os.environ.get("CHAOBIAO_SEED", "1"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + FEW))
def test_a_week(seed: int) -> None:
    planted = week(seed)
    judge(planted, live(planted))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(FIRST + FEW, FIRST + MANY))
def test_another_week(seed: int) -> None:
    planted = week(seed)
    judge(planted, live(planted))


# --- the judge is red where it must be ------------------------------------------------------------------------------------------

HURT, TROUBLED = 1, 8
"""Seeds: one with outages and a kill, one with late answers on a bus."""


@pytest.fixture(scope="module")
def lived() -> tuple[Week, Run]:
    planted = week(HURT)
    return planted, live(planted)


def test_without_quarantine_there_are_false_values() -> None:
    planted = week(TROUBLED, guard=NoGuard)
    with pytest.raises(AssertionError, match="I3: "):
        judge(planted, live(planted))


def test_what_is_missing_without_a_fault_is_seen(lived: tuple[Week, Run]) -> None:
    planted, run = lived
    with pytest.raises(AssertionError, match="missing without a fault"):
        judge(replace(planted, outages=()), run)


def test_what_was_not_tried_is_seen(lived: tuple[Week, Run]) -> None:
    planted, run = lived
    always = replace(planted.lives[0], until=None)
    with pytest.raises(AssertionError, match=r"missing without a fault|were not tried though the collector ran"):
        judge(replace(planted, lives=(always,)), run)


def test_what_is_lost_is_seen(lived: tuple[Week, Run]) -> None:
    planted, run = lived
    done = run.collected[-1]
    claimed = replace(done, batch=Batch(readings=tuple(replace(one, meter="nobody") for one in done.batch.readings)))
    with pytest.raises(AssertionError, match="I1: "):
        judge(planted, replace(run, collected=[*run.collected, claimed]))
