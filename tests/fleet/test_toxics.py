"""What toxics do to bytes, without sockets: each its own harm, as often as it says, the same for the same seed."""

from __future__ import annotations

import random

import pytest

from simulators.toxics import (
    Cut,
    Disturbance,
    Double,
    Echo,
    End,
    FlipBits,
    FlipExactly,
    Late,
    Latency,
    Limit,
    Lose,
    Noise,
    Place,
    Slice,
    Step,
    Towards,
    Toxic,
    on_a_bus,
)

FRAME = bytes(range(16, 36))
C, M = Towards.COLLECTOR, Towards.METER


def between(*toxics: Toxic, seed: int = 7) -> Disturbance:
    return Disturbance(toxics, random.Random(seed))


def answers(disturbance: Disturbance, count: int, *, every_s: float = 10.0) -> list[list[Step]]:
    return [disturbance.pass_on(FRAME, n * every_s, C) for n in range(count)]


def heard(steps: list[Step]) -> bytes:
    return b"".join(step.data for step in steps if step.to is C)


def turned(data: bytes) -> list[int]:
    return [8 * n + bit for n, byte in enumerate(data) for bit in range(8) if (byte ^ FRAME[n]) >> bit & 1]


def test_without_toxics_all_passes_as_it_is() -> None:
    assert between().pass_on(FRAME, 3.0, C) == [Step(3.0, C, FRAME)]


def test_latency_and_late_answers_never_overtake() -> None:
    late = between(Latency(0.1, 0.05), Late(0.2, 5, 30))
    steps = [step for said in answers(late, 300) for step in said]
    assert all(step.at >= 10 * n + 0.1 for n, step in enumerate(steps))
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert 30 < late.hits["Late"] < 90


def test_slices_are_the_frame() -> None:
    (steps,) = answers(between(Slice(0.02)), 1)
    assert heard(steps) == FRAME
    assert [step.at for step in steps] == pytest.approx([0.02 * n for n in range(20)])


def test_bits_are_turned_at_the_rate_that_is_said() -> None:
    flips = sum(len(turned(heard(steps))) for steps in answers(between(FlipBits(0.01)), 1000))
    assert 150 < flips < 250  # 20,000 bytes, 1 %


@pytest.mark.parametrize("bits", [1, 2, 7])
def test_exactly_so_many_bits(bits: int) -> None:
    for steps in answers(between(FlipExactly(bits)), 50):
        assert len(turned(heard(steps))) == bits
    for steps in answers(between(FlipExactly(bits, burst=True)), 50):
        places = turned(heard(steps))
        assert places == list(range(places[0], places[0] + bits))


def test_the_same_twice() -> None:
    (steps,) = answers(between(Double(gap_s=0.3)), 1)
    assert steps == [Step(0, C, FRAME), Step(0.3, C, FRAME)]


@pytest.mark.parametrize("place", Place)
def test_noise_where_it_is_said(place: Place) -> None:
    for steps in answers(between(Noise(place, least=4, most=4)), 50):
        data = heard(steps)
        assert len(data) == len(FRAME) + 4
        assert data.endswith(FRAME) is (place is Place.BEFORE)
        assert data.startswith(FRAME) is (place is Place.AFTER)


def test_echo_comes_back_and_goes_on() -> None:
    assert between(Echo()).pass_on(b"ask", 1.0, M) == [Step(1.0, C, b"ask"), Step(1.0, M, b"ask")]


def test_lost_and_half_open() -> None:
    assert answers(between(Lose()), 3) == [[], [], []]
    assert between(Lose()).pass_on(b"ask", 0, M) == [Step(0, M, b"ask")]
    dead = between()
    dead.half_open = True
    assert (dead.pass_on(b"ask", 0, M), dead.pass_on(FRAME, 0, C)) == ([], [])


@pytest.mark.parametrize("end", End)
def test_cut_in_the_middle_and_nothing_follows(end: End) -> None:
    cut = between(Cut(1.0, end, after_s=2))
    (steps, after) = answers(cut, 2)
    assert len(heard(steps)) < len(FRAME)
    assert steps[-1] == Step(2, C, end=end)
    assert after == []


def test_limit_counts_over_all_answers() -> None:
    limited = between(Limit(50))
    said = answers(limited, 4)
    assert [len(heard(steps)) for steps in said] == [20, 20, 10, 0]
    assert said[2][-1].end is End.CLOSE
    assert limited.hits["Limit"] == 1


def test_the_same_seed_does_the_same() -> None:
    def run(seed: int) -> list[list[Step]]:
        return answers(between(Late(0.3, 0, 9), FlipBits(0.1), Noise(Place.BETWEEN, 0.4), Slice(0.1), seed=seed), 40)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_slow_line_keeps_one_answer_behind_the_other() -> None:
    slow = Disturbance((), random.Random(7), byte_s=0.5)
    (first, second) = (slow.pass_on(FRAME, now, C)[0].at for now in (1.0, 2.0))
    assert (first, second) == (11.0, 21.0)


def test_on_a_bus_a_device_answers_through_it() -> None:
    disturbed = on_a_bus(lambda data: [(0.5, data.upper())], between(Latency(0.25), Echo()), lambda: 100.0)
    assert list(disturbed(b"ask")) == [(0.0, b"ask"), (0.75, b"ASK")]
