"""F26 to F28: bytes that nobody sent, answers that come twice, answers that come in drops."""

from __future__ import annotations

import pytest

from collector.acquisition.echo_link import EchoLink
from simulators.toxics import Double, Echo, Noise, Place, Slice, Toxic
from tests.flow.faults.believing import FORGETFUL_RTU
from tests.flow.faults.conftest import Tell
from tests.flow.faults.oracle import examine
from tests.flow.faults.street import MINUTE, TIMING, Lane, Run, Wire, drive
from tests.links.late_device import NoGuard

HOURS = 9
BUSES = [Wire.RTU, Wire.DLT645]
EVERY = [Wire.RTU, Wire.TCP, Wire.DLT645]
SHARE = 0.3


def disturbed(wire: Wire, *toxics: Toxic, hours: float = HOURS, **weak: object) -> Run:
    return drive([Lane(wire, toxics, meters=2, **weak)], hours, every=MINUTE)  # type: ignore[arg-type]


def polls_to_resync(run: Run) -> int:
    """The longest row of failed questions after one that was disturbed, which were not disturbed themselves."""
    longest = row = 0
    asked = [one for one in run.attempts() if one.sent]
    for attempt, struck in zip(asked, run.wires["lane"].struck, strict=True):
        row = 0 if struck or attempt.outcome == "ok" else row + 1
        longest = max(longest, row)
    return longest


# --- F26 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "place"), [(w, p) for w in EVERY for p in Place if (w, p) != (Wire.TCP, Place.BETWEEN)]
)
def test_noise_costs_the_question_it_falls_on(wire: Wire, place: Place, tell: Tell) -> None:
    run = disturbed(wire, Noise(place, SHARE))
    found = examine(run)
    assert run.hits()["Noise"] > 500
    assert polls_to_resync(run) <= 1  # the matrix allows two
    assert found.collected > 0.95 * found.expected
    ok = run.outcomes()["ok"] / run.outcomes().total()
    tell("F26", f"{wire}, noise {place}: {run.hits()['Noise']} times, {ok:.0%} of questions answered, {found}")


def test_noise_inside_a_modbus_tcp_answer_is_counted(tell: Tell) -> None:
    """Its frame has a length and no checksum. TCP itself lets no byte come in between; a broken gateway might."""
    run = disturbed(Wire.TCP, Noise(Place.BETWEEN, SHARE))
    found = examine(run, collisions=True)
    assert polls_to_resync(run) <= 1
    assert found.false
    tell("F26", f"modbus-tcp, noise between: {run.hits()['Noise']} times, {found}")


def test_noise_before_an_answer_costs_a_bus_nothing() -> None:
    """Framing needs silence there, so what is wrong is skipped and the answer behind it found; pymodbus over TCP finds none."""
    outcomes = disturbed(Wire.RTU, Noise(Place.BEFORE, 1.0, least=4, most=4), hours=1).outcomes()
    assert outcomes["ok"] > 0.9 * outcomes.total()


@pytest.mark.parametrize("wire", BUSES)
def test_an_echo_that_was_not_told_is_skipped(wire: Wire, tell: Tell) -> None:
    run = disturbed(wire, Echo(), hours=4)
    found = examine(run)
    assert set(run.outcomes()) == {"ok"}
    assert found.collected == found.expected
    tell("F26", f"{wire}, echo not told: {run.hits()['Echo']} times, {found}")


@pytest.mark.parametrize("wire", BUSES)
def test_an_echo_that_was_told_is_swallowed(wire: Wire, tell: Tell) -> None:
    run = disturbed(wire, Echo(), hours=8, around=EchoLink)
    found = examine(run)
    assert run.hits()["Echo"] > 1000 * (wire is Wire.RTU)
    assert set(run.outcomes()) == {"ok"}
    assert found.collected == found.expected
    tell("F26", f"{wire}, echo told: {run.hits()['Echo']} times, {found}")


# --- F27 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap_s", [0.0, 0.01])
@pytest.mark.parametrize("wire", EVERY)
def test_the_second_of_two_answers_is_drained(wire: Wire, gap_s: float, tell: Tell) -> None:
    run = disturbed(wire, Double(0.5, gap_s=gap_s))
    found = examine(run)
    assert run.hits()["Double"] > 1000
    assert found.collected == found.expected
    tell("F27", f"{wire}, again after {gap_s:g} s: {run.hits()['Double']} times, {found}")


def test_a_second_answer_between_question_and_answer_is_counted(tell: Tell) -> None:
    """Later than the line's turn-round (20 ms), before the next answer: an RTU frame does not say what it answers. No device
    on a bus can do that; a gateway that says everything twice could.
    """
    found = examine(disturbed(Wire.RTU, Double(0.5, gap_s=0.03)), collisions=True)
    assert found.false
    tell("F27", f"modbus-rtu, again after 0.03 s: {found}")


def test_without_settling_the_second_is_the_next_answer() -> None:
    with pytest.raises(AssertionError, match=r"I3: .* false values"):
        examine(disturbed(Wire.RTU, Double(0.5), hours=2, guard=NoGuard))


# --- F28 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", EVERY)
def test_byte_by_byte_it_is_put_together(wire: Wire, tell: Tell) -> None:
    run = disturbed(wire, Slice(0.02), hours=9)
    found = examine(run)
    assert run.hits()["Slice"] > 1000 * (wire is not Wire.DLT645)
    assert set(run.outcomes()) == {"ok"}
    assert found.collected == found.expected
    tell("F28", f"{wire}, byte by byte, 20 ms: {found}")


def test_who_takes_each_read_for_an_answer_gets_none() -> None:
    found = examine(disturbed(Wire.RTU, Slice(0.02), hours=1, dialect=FORGETFUL_RTU))
    assert (found.collected, found.missing["no_answer"] + found.missing["wrong_length"]) == (0, found.expected)


@pytest.mark.parametrize("wire", BUSES)
def test_with_gaps_longer_than_a_frame_allows_it_ends_clean(wire: Wire, tell: Tell) -> None:
    run = disturbed(wire, Slice(2 * TIMING.gap_s, share=SHARE))
    found = examine(run)
    assert polls_to_resync(run) <= 1
    assert found.collected > 0.85 * found.expected
    tell("F28", f"{wire}, byte by byte, 60 ms: {dict(run.outcomes())}, {found}")


def test_slow_and_long_past_its_time_out(tell: Tell) -> None:
    """A trickle that goes on beyond the time-out is not taken for the next question's answer."""
    run = disturbed(Wire.RTU_OVER_TCP, Slice(0.2, share=SHARE))
    found = examine(run)
    tell("F28", f"modbus-rtu over tcp, byte by byte, 200 ms: {dict(run.outcomes())}, {found}")
