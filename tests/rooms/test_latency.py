"""Time-outs learned from answers: four times the smoothed latency, never below the floor nor above the ceiling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.latency import ENOUGH, FLOOR_S, MULTIPLE, Latencies

CEILING_S = 1.0
SECONDS = st.floats(0.0001, 30.0)


def steady(seconds: float, *, size: int = 0, times: int = 60) -> Latencies:
    """A meter that has always taken as long."""
    latencies = Latencies()
    for _ in range(times):
        latencies.observed("M1", seconds, size)
    return latencies


def test_four_times_the_latency_between_the_bounds() -> None:
    assert steady(0.1).timeout("M1", CEILING_S) == pytest.approx(MULTIPLE * 0.1)


def test_never_below_the_floor() -> None:
    assert steady(0.002).timeout("M1", CEILING_S) == FLOOR_S


def test_never_above_the_ceiling() -> None:
    assert steady(0.4).timeout("M1", CEILING_S) == CEILING_S


def test_a_ceiling_below_the_floor_is_kept() -> None:
    assert steady(0.002).timeout("M1", 0.05) == 0.05


def test_a_meter_never_heard_has_the_ceiling() -> None:
    latencies = steady(0.01)
    assert latencies.timeout("M2", CEILING_S) == CEILING_S
    assert latencies.expected("M2") is None


def test_a_meter_hardly_heard_has_the_ceiling() -> None:
    assert steady(0.002, times=ENOUGH - 1).timeout("M1", CEILING_S) == CEILING_S
    assert steady(0.002, times=ENOUGH).timeout("M1", CEILING_S) == FLOOR_S


def test_one_slow_answer_is_smoothed_and_forgotten_again() -> None:
    latencies = steady(0.1)
    latencies.observed("M1", 0.5)
    assert latencies.expected("M1") == pytest.approx(0.15)
    assert latencies.timeout("M1", 10) > MULTIPLE * 0.1
    for _ in range(60):
        latencies.observed("M1", 0.1)
    assert latencies.timeout("M1", 10) == pytest.approx(MULTIPLE * 0.1, rel=0.01)


def test_a_meter_that_varies_is_given_its_spread() -> None:
    latencies = Latencies()
    for _ in range(100):
        latencies.observed("M1", 0.05)
        latencies.observed("M1", 0.45)
    assert latencies.timeout("M1", 10) > 0.9


@given(turnaround_s=st.floats(0.001, 1), byte_s=st.floats(0, 0.01), sizes=st.lists(st.integers(5, 256), min_size=1))
def test_on_a_line_of_constant_speed_no_answer_is_called_late(
    turnaround_s: float, byte_s: float, sizes: list[int]
) -> None:
    """Whatever mixture of lengths was seen before, the longest answer has its time."""
    latencies = Latencies(floor_s=0)
    for size in sizes:
        latencies.observed("M1", turnaround_s + size * byte_s, size)
    for size in (5, 100, 256):
        assert latencies.timeout("M1", 1e9, size) > turnaround_s + size * byte_s


@given(seen=st.lists(st.tuples(SECONDS, st.integers(0, 256))), size=st.integers(0, 256), ceiling=st.floats(0.01, 10))
def test_bounds_hold_whatever_was_seen(seen: list[tuple[float, int]], size: int, ceiling: float) -> None:
    latencies = Latencies()
    for seconds, length in seen:
        latencies.observed("M1", seconds, length)
    assert min(FLOOR_S, ceiling) <= latencies.timeout("M1", ceiling, size) <= ceiling


def test_a_meter_that_was_exchanged_begins_anew() -> None:
    latencies = steady(0.01)
    latencies.forget("M1")
    assert latencies.timeout("M1", CEILING_S) == CEILING_S
