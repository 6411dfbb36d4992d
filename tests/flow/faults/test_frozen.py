"""F05: the process stands still for a minute and goes on, as under a debugger, in a paused machine, or by SIGSTOP.

What came meanwhile is old: it is not stored as the value of now. Here the driven loop's time jumps while questions are out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest

from storage.records import Owner
from tests.flow.faults.conftest import Tell
from tests.flow.faults.memory_wire import MemoryWire
from tests.flow.faults.oracle import examine
from tests.flow.faults.street import MINUTE, TIMING, Lane, Run, Wire, drive
from tests.links.driven_loop import DrivenLoop

FREEZES = 20
ASLEEP_S = 60.0


def freeze(wires: Mapping[str, MemoryWire]) -> None:
    """Between a question and its answer, which is on its way for 50 ms at least."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, DrivenLoop)
    loop.freeze(ASLEEP_S)


def frozen(wire: Wire, **weak: float) -> Run:
    at = [timedelta(minutes=10 * n, seconds=0.03) for n in range(1, FREEZES + 1)]
    return drive([Lane(wire, meters=2, **weak)], 4, every=MINUTE, events=[(one, freeze) for one in at])  # type: ignore[arg-type]


@pytest.mark.parametrize("wire", [Wire.RTU, Wire.TCP, Wire.DLT645])
def test_what_came_while_we_stood_still_is_not_the_value_of_now(wire: Wire, tell: Tell) -> None:
    run = frozen(wire)
    found = examine(run)
    old = [one for one in run.attempts() if one.duration_us > (ASLEEP_S - TIMING.timeout_s) * 1_000_000]
    assert len(old) == FREEZES
    assert {(one.outcome, one.owner) for one in old} == {("no_answer", Owner.OURS)}
    tell("F05", f"{wire}: {FREEZES} times frozen for {ASLEEP_S:g} s in mid-exchange, {found}")


def test_without_a_limit_it_is_stored_with_the_present_stamp() -> None:
    with pytest.raises(AssertionError, match=r"I3: 20 false values"):
        examine(frozen(Wire.RTU, oversleep=float("inf")))
