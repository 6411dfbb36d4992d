"""A gateway with several questions under way, through planner, poll and ledger: as many visits at once, and no value is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from collector.acquisition.line import Line
from collector.acquisition.pipelined_line import PipelinedLine
from simulators.toxics import Late
from storage.records import Attempt
from tests.flow.faults.oracle import examine
from tests.flow.faults.street import MINUTE, TIMING, Lane, Wire, drive


def wide(in_flight: int) -> Any:
    def line(link: Any, clock: Any, *, guard: object, **rest: Any) -> Line:
        assert guard is None
        return PipelinedLine(link, clock, in_flight=in_flight, **rest)

    return line


def most_at_once(attempts: list[Attempt]) -> int:
    ends = [
        (at, step)
        for one in attempts
        for at, step in (
            (one.started_at, 1),
            (one.started_at + timedelta(microseconds=one.duration_us) - timedelta(milliseconds=1), -1),
        )
    ]
    most = now = 0
    for _, step in sorted(ends):
        now += step
        most = max(most, now)
    return most


@pytest.mark.parametrize("in_flight", [1, 4])
def test_as_many_visits_at_once_as_the_line_is_wide(in_flight: int) -> None:
    run = drive([Lane(Wire.TCP, meters=20, line=wide(in_flight))], 1, every=MINUTE)
    found = examine(run)
    assert found.collected == found.expected
    assert most_at_once(run.attempts()) == in_flight


def test_answers_that_come_too_late_are_nobodys() -> None:
    run = drive([Lane(Wire.TCP, (Late(0.05, TIMING.timeout_s, 2.9),), meters=8, line=wide(4))], 6)
    found = examine(run)
    assert run.hits()["Late"] > 10
    assert found.collected > 0.95 * found.expected
