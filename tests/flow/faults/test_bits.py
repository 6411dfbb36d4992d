"""F25: bits turned on the way. A CRC-16 sees every pair and every short burst; a sum of eight bits does not, and that is counted.

DL/T 645 protects a frame by the sum of its bytes alone: two turned bits that add up to nothing pass it, and nothing else on
the wire can tell. Such a value is stored as it came; whether validation stops it is what `passed` says.
"""

from __future__ import annotations

import pytest

from simulators.toxics import FlipBits, FlipExactly, Toxic
from tests.flow.faults.believing import UNCHECKED_RTU
from tests.flow.faults.conftest import Tell
from tests.flow.faults.oracle import examine
from tests.flow.faults.street import MINUTE, Lane, Run, Wire, drive
from tests.links.late_device import NoGuard

HOURS = 4
TOXICS: dict[str, tuple[Toxic, ...]] = {
    "0.001 a byte": (FlipBits(0.001),),
    "1 bit": (FlipExactly(1, share=0.5),),
    "2 bits": (FlipExactly(2, share=0.5),),
    "burst of 7": (FlipExactly(7, share=0.5, burst=True),),
}
HURT = {"bad_checksum", "wrong_unit", "wrong_function", "wrong_length", "unexpected_bytes", "no_answer"}


def noisy(wire: Wire, name: str, **weak: object) -> Run:
    return drive([Lane(wire, TOXICS[name], meters=4, **weak)], HOURS, every=MINUTE)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TOXICS)
def test_a_crc_lets_none_pass(name: str, tell: Tell) -> None:
    run = noisy(Wire.RTU, name)
    found = examine(run)
    hits = run.hits().total()
    outcomes = run.outcomes()
    assert hits == outcomes.total() - outcomes["ok"] > 10  # each hurt frame is a failed exchange, and no other
    tell("F25", f"modbus-rtu, {name}: {hits} frames hurt, {found}")


def test_without_the_crc_they_pass() -> None:
    with pytest.raises(AssertionError, match=r"I3: .* false values"):
        examine(noisy(Wire.RTU, "2 bits", dialect=UNCHECKED_RTU, guard=NoGuard))


def test_one_bit_is_always_seen_by_a_sum(tell: Tell) -> None:
    run = noisy(Wire.DLT645, "1 bit")
    found = examine(run)
    tell("F25", f"dlt645, 1 bit: {run.hits().total()} frames hurt, {found}")


@pytest.mark.parametrize("name", [name for name in TOXICS if name != "1 bit"])
def test_what_a_sum_does_not_see_is_counted(name: str, tell: Tell) -> None:
    run = noisy(Wire.DLT645, name)
    found = examine(run, collisions=True)
    hits = run.hits().total()
    assert hits > 10
    assert len(found.false) < 0.1 * hits
    tell("F25", f"dlt645, {name}: {hits} frames hurt, {found}")


def with_two_bytes_swapped(data: bytes) -> bytes:
    """The lowest two bytes of the value change places: their sum is the same."""
    at = len(data) - 6
    return data[:at] + bytes((data[at + 1], data[at])) + data[at + 2 :]


def test_the_count_sees_what_a_sum_does_not(tell: Tell) -> None:
    """Were it always zero, it would show nothing."""
    run = drive([Lane(Wire.DLT645, spoil=with_two_bytes_swapped, share=0.02)], HOURS, every=MINUTE)
    found = examine(run, collisions=True)
    assert found.false
    tell("F25", f"dlt645, bytes swapped in 0.02: {found}")


@pytest.mark.slow
def test_ten_thousand_pairs_of_bits(tell: Tell) -> None:
    lane = Lane(Wire.DLT645, (FlipExactly(2, share=0.5),), meters=8)
    run = drive([lane], 12, every=MINUTE)
    found = examine(run, collisions=True)
    assert run.hits().total() > 9000
    tell("F25", f"dlt645, 2 bits: {run.hits().total()} frames hurt, {found}")
