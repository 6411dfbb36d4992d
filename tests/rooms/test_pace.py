"""How long a line takes: by its speed, by what its meters took, and what it costs to ask the dead."""

from datetime import UTC, datetime, timedelta

import pytest

from collector.acquisition.breaker import FAILURES, LONGEST
from collector.acquisition.pace import LATEST, ROUND_TRIP_S, THINKING_S, Known, Pace, Question
from collector.acquisition.timing import TURN_S, Timing
from storage.exchanged import Exchanged

BEGAN = datetime(2026, 3, 15, tzinfo=UTC)
BYTE_S = 11 / 2400
TIMING = Timing(timeout_s=1.0, retries=2, worst_reply_s=3.0, gap_s=0.5)
QUESTION = Question(20, 20)


def asked(
    *seconds: float, meter: str = "m1", outcome: str = "ok", size: int = 40, pause_s: float = 0.1
) -> list[Exchanged]:
    """One after another from `BEGAN` on, so long each, with a pause between."""
    found, at = [], BEGAN
    for duration_s in seconds:
        found.append(Exchanged(meter, "bus", at, round(duration_s * 1e6), outcome, size // 2, size - size // 2))
        at += timedelta(seconds=duration_s + pause_s)
    return found


def test_nothing_is_known_but_the_speed_of_the_line() -> None:
    pace = Pace(BYTE_S, TIMING, (), streaming=True)
    assert pace.known is Known.LINE
    one = 40 * BYTE_S + THINKING_S
    assert pace.visit("m1", [QUESTION]) == pytest.approx(one + TURN_S)
    assert pace.visit("m1", [QUESTION] * 3) == pytest.approx(3 * (one + TURN_S))
    assert not pace.heard("m1")
    assert not pace.silent("m1")


def test_on_a_line_with_a_speed_the_meters_own_time_is_learned_and_any_size_follows() -> None:
    slow = 40 * BYTE_S + 0.3
    pace = Pace(BYTE_S, TIMING, asked(slow, slow, 9.0, slow), streaming=True)
    assert (pace.known, pace.heard("m1")) == (Known.LEARNED, True)
    assert pace.visit("m1", [QUESTION]) == pytest.approx(slow + 0.1), "one late answer changes nothing"
    assert pace.visit("m1", [Question(20, 120)]) == pytest.approx(140 * BYTE_S + 0.3 + 0.1)
    assert pace.visit("stranger", [QUESTION]) == pytest.approx(slow + 0.1), "taken for one like its neighbours"


def test_behind_a_network_whole_exchanges_are_learned_by_their_size() -> None:
    assert Pace(0.0, TIMING, (), streaming=False).visit("m1", [QUESTION]) == pytest.approx(ROUND_TRIP_S)
    past = [*asked(0.2, 0.2, size=40), *asked(0.5, 0.5, size=100)]
    pace = Pace(0.0, TIMING, past, streaming=False)
    waits = pace.visit("m1", [QUESTION]) - 0.2
    assert pace.visit("m1", [Question(40, 62)]) == pytest.approx(0.5 * 102 / 100 + waits)
    assert pace.visit("m1", [Question(10, 20)]) == pytest.approx(0.2 + waits), "shorter is not quicker than was seen"


def test_only_the_latest_count() -> None:
    pace = Pace(0.0, TIMING, asked(*[5.0] * LATEST, *[0.2] * LATEST), streaming=False)
    assert pace.visit("m1", [QUESTION]) == pytest.approx(0.2 + 0.1)


def test_a_meter_that_fails_now_and_then_costs_its_tries() -> None:
    answered = asked(0.2, 0.2)
    failed = asked(1.0, 1.0, outcome="no_answer")
    pace = Pace(0.0, TIMING, [*answered, *failed], streaming=True)
    steady = Pace(0.0, TIMING, answered, streaming=True)
    tries_in_vain = 1 / 2 + 1 / 4 + 1 / 8
    assert pace.visit("m1", [QUESTION]) == pytest.approx(steady.visit("m1", [QUESTION]) + tries_in_vain * 3.5, abs=0.1)
    refused = Pace(0.0, TIMING, [*answered, *asked(0.2, 0.2, outcome="refused")], streaming=True)
    assert refused.visit("m1", [QUESTION]) < 0.5, "a refusal is an answer"


def test_a_dead_meter_costs_the_rest_of_its_line_and_is_then_left_alone() -> None:
    pace = Pace(BYTE_S, TIMING, asked(*[1.0] * FAILURES, outcome="no_answer"), streaming=True)
    assert pace.silent("m1")
    assert pace.visit("m1", [QUESTION] * 3) == pytest.approx(3.0 + 0.5)
    assert pace.rests_until("m1") == BEGAN + timedelta(seconds=1.1) * (FAILURES - 1) + LONGEST
    once = Pace(BYTE_S, TIMING, asked(1.0, outcome="no_answer"), streaming=True)
    assert once.silent("m1")
    assert once.rests_until("m1") is None
    answering = Pace(BYTE_S, TIMING, [*asked(1.0, 1.0, 1.0, outcome="no_answer"), *asked(0.2)], streaming=True)
    assert not answering.silent("m1")


def test_several_questions_under_way_at_once_are_a_pause_below_zero() -> None:
    """As a gateway that takes four at a time: each takes 0.4 s, and one ends every 0.1 s."""
    past = [Exchanged(f"m{n}", "bus", BEGAN + timedelta(seconds=0.1 * n), 400_000, "ok", 12, 28) for n in range(40)]
    pace = Pace(0.0, TIMING, past, streaming=False)
    assert pace.visit("m1", [QUESTION]) == pytest.approx(0.1)
