"""Promise 6: a device that babbles costs its bus its own bounded share of time, and its neighbours nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from collector.acquisition.budget import SHARE, Budget
from tests.flow.faults.babbler import BABBLER, DAY, OTHERS, TIMING, babble
from tests.flow.faults.conftest import Tell
from tests.flow.faults.one_bus import STRONG, Ran, Unprotected, Weak

HOURS = timedelta(hours=3)
SLOTS = 99 * 2 * 4
"""An hour's, of the 99 others."""


def in_vain_s(ran: Ran) -> float:
    """What it cost its bus: each question keeps it for as long as an answer may be late."""
    return sum(unit == int(BABBLER[1:]) for _, unit in ran.asked) * TIMING.quarantine_s


def share(ran: Ran) -> float:
    kept, all_ = ran.kept(OTHERS)
    return kept / all_


@pytest.mark.slow
def test_for_a_day_the_other_99_keep_their_slots(tell: Tell) -> None:
    ran = babble(STRONG)
    kept, all_ = ran.kept(OTHERS)
    assert all_ == SLOTS * 24
    assert share(ran) >= 0.999
    assert in_vain_s(ran) < DAY.total_seconds() / SHARE
    cost = in_vain_s(ran) / DAY.total_seconds()
    tell("budget", f"1 of 100 babbles for 24 h: the 99 keep {kept} of {all_} slots, it has {cost:.1%} of the bus")


def test_its_budget_alone_is_enough() -> None:
    """With a breaker that never opens."""
    ran = babble(Weak(breakers=Unprotected), HOURS)
    assert share(ran) >= 0.999
    assert in_vain_s(ran) <= HOURS.total_seconds() * 1.05 / SHARE


def test_without_a_budget_and_a_breaker_the_others_pay(tell: Tell) -> None:
    ran = babble(Weak(budget=lambda: Budget(share=1), breakers=Unprotected), HOURS)
    assert share(ran) < 0.999
    assert in_vain_s(ran) > 2 * HOURS.total_seconds() / SHARE
    tell("budget", f"without budget and breaker they keep {share(ran):.1%}")
