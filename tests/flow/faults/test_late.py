"""F20, F21: answers that come late, on a bus and through a gateway, are never matched to another question."""

from __future__ import annotations

from typing import Any

import pytest

from simulators.toxics import Late
from tests.flow.faults.believing import BELIEVING_TCP
from tests.flow.faults.conftest import Tell
from tests.flow.faults.oracle import examine
from tests.flow.faults.street import MINUTE, TIMING, Lane, Run, Wire, drive
from tests.links.late_device import NoGuard

WORST_S = 2.9
"""Up to three time-outs after the question: what the quarantine promises to wait for, less the usual reply time."""
HOURS = {0.1: 12, 0.01: 24, 0.001: 84}
"""One meter, asked two questions a minute: 1,440, 2,880 and 10,080 at least."""
BUSES = [(Wire.RTU, 0.1), (Wire.RTU, 0.01), (Wire.RTU, 0.001), (Wire.RTU_OVER_TCP, 0.1), (Wire.RTU_OVER_TCP, 0.01)]
OTHERS = [(Wire.TCP, 0.1), (Wire.TCP, 0.01), (Wire.DLT645, 0.1), (Wire.DLT645, 0.01)]


def late(wire: Wire, share: float, **weak: Any) -> Run:
    """A run in which this share of the answers is late, more than a time-out."""
    lane = Lane(wire, (Late(share, TIMING.timeout_s, WORST_S),), meters=1, **weak)
    return drive([lane], HOURS[share], every=MINUTE)


@pytest.mark.parametrize(("wire", "share"), BUSES + OTHERS)
def test_late_answers_are_never_matched(wire: Wire, share: float, tell: Tell) -> None:
    run = late(wire, share)
    found = examine(run)
    hits = run.hits()["Late"]
    assert hits > 0
    if wire.dialect.streaming:  # each is the answer to its own question
        assert run.lates() > 0.8 * hits
        assert found.collected == found.expected
    else:
        assert run.outcomes()["no_answer"] >= hits  # each an honest failure …
        assert found.collected > 0.99 * found.expected  # … that a retry makes good
    tell("F21" if wire.tcp else "F20", f"{wire}, {share:g} late: {hits} late answers, {found}")


@pytest.mark.parametrize(("wire", "share"), BUSES)
def test_without_quarantine_they_are_matched(wire: Wire, share: float, tell: Tell) -> None:
    run = late(wire, share, guard=NoGuard)
    with pytest.raises(AssertionError, match=r"I3: .* false values"):
        examine(run)
    tell("F21" if wire.tcp else "F20", f"{wire}, {share:g} late, without quarantine: {examine(run, collisions=True)}")


def test_without_the_transaction_they_are_matched() -> None:
    """Modbus TCP has two protections, the transaction and the new connection; without both it is RTU again."""
    with pytest.raises(AssertionError, match=r"I3: .* false values"):
        examine(late(Wire.TCP, 0.1, guard=NoGuard, dialect=BELIEVING_TCP))
