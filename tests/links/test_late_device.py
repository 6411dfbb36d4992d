"""Late answers never become wrong values, and without the quarantine they do (reliability.md §1.1, fault F20)."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import pytest

from collector.acquisition.line import Line
from collector.acquisition.quarantine import Guard
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from tests.links.driven_loop import run_driven
from tests.links.late_device import LateDevice, NoGuard, Tally, ask_many
from tests.links.memory_link import MemoryLink

START = datetime(2026, 3, 14, tzinfo=UTC)
TIMING = Timing(timeout_s=0.05, gap_s=0.01)
QUESTIONS = 10_000


def driven(late_p: float, seed: int, guard: Guard | None) -> tuple[Tally, LateDevice]:
    dice = random.Random(seed)
    device = LateDevice(dice, late_p, TIMING.timeout_s, usual_s=0.004)

    async def main() -> Tally:
        return await ask_many(Line(MemoryLink(device), DrivenClock(START), guard=guard), QUESTIONS, TIMING, dice)

    return run_driven(main()), device


@pytest.mark.parametrize("late_p", [0.1, 0.01, 0.001])
def test_ten_thousand_questions_and_no_wrong_value(late_p: float) -> None:
    tally, device = driven(late_p, seed=20260314, guard=None)
    assert tally.wrong == 0
    assert device.late > 0
    # Late answers too are taken, each for its own question.
    assert tally.outcomes == {"ok": QUESTIONS}
    assert tally.right == QUESTIONS


def test_late_answers_cost_the_line_their_lateness_and_no_more() -> None:
    """Rate ≥ 0.9 of what the line allows: its questions, answers and turn-rounds, and what the answers were late."""
    seed, late_p = 20260314, 0.02
    dice = random.Random(seed)
    device = LateDevice(dice, late_p, TIMING.timeout_s, usual_s=0.004)

    async def main() -> tuple[Tally, float]:
        loop = asyncio.get_running_loop()
        tally = await ask_many(Line(MemoryLink(device), DrivenClock(START)), QUESTIONS, TIMING, dice)
        return tally, loop.time()

    tally, took_s = run_driven(main())
    allowed_s = device.took_s + QUESTIONS * TIMING.turn_s
    assert device.late > 100
    assert (tally.wrong, tally.right) == (0, QUESTIONS)
    assert allowed_s / took_s > 0.99


@pytest.mark.parametrize("late_p", [0.1, 0.01, 0.001])
def test_without_quarantine_the_values_are_wrong(late_p: float) -> None:
    tally, device = driven(late_p, seed=20260314, guard=NoGuard())
    assert device.late > 0
    assert tally.wrong > 0
    assert tally.wrong > tally.outcomes["no_answer"]  # it stays one behind, and no error says so
