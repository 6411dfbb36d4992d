"""F22 to F24: somebody else answers, or the right one something else, shorter or longer than asked: named, and never stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from protocols.dialect import Dialect
from protocols.dlt645.frame import Frame, Framer, encode
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
    assert found.collected > 0.85 * found.expected
    tell(row, f"{wire}: {lied} lies, {found}")


def test_the_transaction_of_the_question_before(tell: Tell) -> None:
    run = drive([Lane(Wire.TCP, meters=2, lies=(of_the_question_before,), share=SHARE)], HOURS, every=MINUTE)
    found = examine(run)
    assert run.outcomes()["wrong_transaction"] == run.buses["lane"].lied >= 1000
    tell("F21", f"modbus-tcp: {run.buses['lane'].lied} answers with the transaction before, {found}")


@pytest.mark.parametrize("row", LIES)
@pytest.mark.parametrize(("wire", "dialect"), [(Wire.RTU, BELIEVING_RTU), (Wire.TCP, BELIEVING_TCP)])
def test_who_believes_any_frame_stores_them(wire: Wire, dialect: Dialect, row: str) -> None:
    run = lying(wire, row, dialect=dialect)
    with pytest.raises(AssertionError, match=r"I3: .* false values"):
        examine(run)


# --- DL/T 645 -----------------------------------------------------------------------------------------------------------


def of_another_meter(frame: Frame) -> bytes:
    return encode("000000000099", frame.control, frame.data)


def to_another_question(frame: Frame) -> bytes:
    return encode(frame.address, frame.control, bytes([frame.data[0] ^ 1]) + frame.data[1:])


def with_another_control(frame: Frame) -> bytes:
    return encode(frame.address, 0x92, frame.data)


def a_byte_short(frame: Frame) -> bytes:
    return encode(frame.address, frame.control, frame.data[:-1])


def a_byte_long(frame: Frame) -> bytes:
    return encode(frame.address, frame.control, frame.data + b"\x11")


DLT645_LIES: dict[str, tuple[str, Callable[[Frame], bytes]]] = {
    "foreign_address": ("F22", of_another_meter),
    "wrong_identifier": ("F23", to_another_question),
    "wrong_function": ("F23", with_another_control),
    "a byte short": ("F24", a_byte_short),
    "a byte long": ("F24", a_byte_long),
}


def spoiling(lie: Callable[[Frame], bytes]) -> Callable[[bytes], bytes]:
    """The same on bytes, with the bytes that wake the line left away."""

    def spoil(data: bytes) -> bytes:
        framer = Framer()
        framer.receive(data)
        frame = framer.next()
        assert isinstance(frame, Frame)
        return lie(frame)

    return spoil


@pytest.mark.parametrize("name", DLT645_LIES)
def test_lies_of_a_dlt645_meter(name: str, tell: Tell) -> None:
    row, lie = DLT645_LIES[name]
    run = drive([Lane(Wire.DLT645, meters=2, spoil=spoiling(lie), share=SHARE)], 3, every=MINUTE)
    found = examine(run)
    outcomes = run.outcomes()
    if row == "F24":  # well framed and about the right thing: it is the value in it that does not fit
        assert set(found.missing) == {"wrong_length"}
    else:
        assert outcomes[name] > 200
        assert set(outcomes) == {"ok", name}
    tell(row, f"dlt645, {name}: {found}")
