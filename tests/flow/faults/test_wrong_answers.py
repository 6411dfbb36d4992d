"""F22 to F24: somebody else answers, or the right one something else, shorter or longer than asked: named, and never stored."""

from __future__ import annotations

from typing import Any

import pytest

from protocols.dlt645.frame import Framer, encode
from protocols.telegram import Garbage
from tests.flow.faults.believing import BELIEVING_RTU, BELIEVING_TCP
from tests.flow.faults.conftest import Tell
from tests.flow.faults.modbus_bus import (
    Lie,
    a_register_long,
    a_register_short,
    cut_short,
    of_another_function,
    of_the_neighbour,
    of_the_question_before,
    of_wrong_size,
)
from tests.flow.faults.oracle import examine
from tests.flow.faults.street import MINUTE, Lane, Run, Wire, drive

SHARE = 0.4
HOURS = 10
"""Two meters, two questions a minute each, and retries: 1,000 lies and more."""

F22 = {"F22": (of_the_neighbour,)}
LIES: dict[str, tuple[Lie, ...]] = {
    "F22": (of_the_neighbour,),
    "F23": (of_another_function,),
    "F24": (a_register_short, a_register_long, of_wrong_size, cut_short),
}
NAMES = {
    "F22": {"wrong_unit"},
    "F23": {"wrong_function"},
    "F24": {"wrong_length", "bad_checksum", "unexpected_bytes"},
}


def lying(wire: Wire, row: str, **weak: Any) -> Run:
    return drive([Lane(wire, meters=2, lies=LIES[row], share=SHARE, **weak)], HOURS, every=MINUTE)


@pytest.mark.parametrize("row", LIES)
@pytest.mark.parametrize("wire", [Wire.RTU, Wire.TCP])
def test_a_thousand_lies_and_none_is_stored(wire: Wire, row: str, tell: Tell) -> None:
    run = lying(wire, row)
    found = examine(run)
    lied = run.buses["lane"].lied
    assert lied >= 1000
    outcomes = run.outcomes()
    assert set(outcomes) <= {"ok", *NAMES[row]}
    assert outcomes.total() - outcomes["ok"] == lied  # each lie costs one exchange, and no other
    assert found.collected > 0.9 * found.expected
    tell(row, f"{wire}: {lied} lies, {found}")


def test_the_transaction_of_the_question_before(tell: Tell) -> None:
    run = drive([Lane(Wire.TCP, meters=2, lies=(of_the_question_before,), share=SHARE)], HOURS, every=MINUTE)
    found = examine(run)
    assert run.outcomes()["wrong_transaction"] == run.buses["lane"].lied >= 1000
    tell("F21", f"modbus-tcp: {run.buses['lane'].lied} answers with the transaction before, {found}")


@pytest.mark.parametrize("row", ["F23", "F24"])
@pytest.mark.parametrize(("wire", "dialect"), [(Wire.RTU, BELIEVING_RTU), (Wire.TCP, BELIEVING_TCP)])
def test_who_believes_any_frame_stores_them(wire: Wire, dialect: Any, row: str) -> None:
    """A register short or long is false as it is; of another function or unit the words happen to be this meter's here, so
    those two are shown on a device that answers from elsewhere."""
    run = lying(wire, row, dialect=dialect)
    with pytest.raises(AssertionError, match=r"I3: .* false values"):
        examine(run)
