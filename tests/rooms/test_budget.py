"""What a meter may cost its line in vain: a tenth, over any five minutes, or over ten times what one try takes."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.breaker import Trouble
from collector.acquisition.budget import PERIOD, SHARE, Budget
from storage.records import Owner
from tests.rooms.plans import shanghai

NOW = shanghai(2026, 3, 15, 10, 15)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SILENT = Trouble("no_answer", Owner.LINE, "no answer within 1 s")


def greedy(budget: Budget, took: timedelta, span: timedelta) -> list[timedelta]:
    """When a meter that is always asked as soon as it may be, and always in vain, is asked."""
    now, asked = NOW, []
    while now < NOW + span:
        until = budget.rests_until("m1", now)
        if until is not None:
            assert until > now
            now = until
            continue
        asked.append(now - NOW)
        now += took
        budget.spent("m1", took, SILENT, now)
    return asked


def test_six_tries_of_a_second_and_then_it_waits_for_the_minute_to_pass() -> None:
    asked = greedy(Budget(period=MINUTE), SECOND, 2 * MINUTE)
    assert [at.total_seconds() for at in asked] == [0, 1, 2, 3, 4, 5, 61, 62, 63, 64, 65, 66]


def test_without_a_share_it_is_asked_all_the_time() -> None:
    assert len(greedy(Budget(share=1), SECOND, MINUTE)) == 60


@given(st.integers(250, 60_000), st.integers(0, 600))
def test_in_no_period_it_takes_more_than_a_tenth(took_ms: int, second: int) -> None:
    took = timedelta(milliseconds=took_ms)
    asked = greedy(Budget(), took, timedelta(seconds=1200))
    period = max(PERIOD, took * SHARE)
    begins = timedelta(seconds=second)
    ended = [at + took for at in asked if begins < at + took <= begins + period]
    assert len(ended) * took <= period / SHARE


def test_an_account_stays_short() -> None:
    budget = Budget()
    for n in range(10_000):
        budget.spent("m1", timedelta(milliseconds=1), SILENT, NOW + n * timedelta(milliseconds=5))
    assert len(budget._spent["m1"].tries) <= 64


def test_who_answers_every_other_time_is_asked_every_time() -> None:
    budget, now = Budget(), NOW
    for _ in range(60):
        assert budget.rests_until("m1", now) is None
        now += SECOND
        budget.spent("m1", SECOND, SILENT, now)
        budget.answered("m1")


def test_one_does_not_pay_for_another_and_what_is_long_ago_is_forgotten() -> None:
    budget = Budget()
    for _ in range(30):
        budget.spent("m1", SECOND, SILENT, NOW)
    assert budget.rests_until("m2", NOW) is None
    assert budget.trouble("m1", NOW) == SILENT
    assert budget.rests_until("m1", NOW + PERIOD) is None
    assert budget.trouble("m1", NOW + PERIOD) is None
    assert not budget._spent


def test_a_clock_that_is_set_back_leaves_nobody_waiting_for_a_time_that_was_never() -> None:
    budget = Budget()
    for _ in range(30):
        budget.spent("m1", SECOND, SILENT, NOW + timedelta(days=365))
    assert budget.rests_until("m1", NOW) is None
