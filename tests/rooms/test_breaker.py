"""A breaker per meter: opens after failures in a row, probes with growing pauses, closes at the first answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.breaker import FAILURES, LONGEST, SHORTEST, Breakers, Trouble, pause
from collector.acquisition.outcome import rule
from storage.records import Owner

START = datetime(2026, 3, 15, tzinfo=UTC)
SILENT = Trouble("no_answer", Owner.LINE, "no answer within 1 s")


def opened(meter: str = "m1") -> Breakers:
    breakers = Breakers()
    said = [breakers.failed(meter, SILENT, START) for _ in range(FAILURES)]
    assert said == [False] * (FAILURES - 1) + [True]
    return breakers


def test_it_opens_once_and_says_so_once() -> None:
    breakers = opened()
    assert breakers.failed("m1", SILENT, START) is False
    assert breakers.open_meters() == ["m1"]
    assert breakers.trouble("m1") == SILENT


def test_before_it_opens_nothing_rests() -> None:
    breakers = Breakers()
    for _ in range(FAILURES - 1):
        breakers.failed("m1", SILENT, START)
    assert breakers.rests_until("m1") is None
    assert breakers.trouble("m1") is None
    assert breakers.answered("m1") is None  # nobody was told that it failed, so nobody is told that it answers


def test_the_first_answer_closes_it_and_says_since_when_it_had_failed() -> None:
    breakers = opened()
    assert breakers.answered("m1") == START
    assert breakers.rests_until("m1") is None
    assert breakers.open_meters() == []


def test_an_answer_between_failures_begins_the_count_anew() -> None:
    breakers = Breakers()
    for _ in range(5):
        for _ in range(FAILURES - 1):
            assert not breakers.failed("m1", SILENT, START)
        breakers.answered("m1")


def test_one_meter_does_not_open_another() -> None:
    assert opened("m1").rests_until("m2") is None


@given(st.text(min_size=1, max_size=8), st.integers(0, 40))
def test_pauses_double_to_a_bound(meter: str, probes: int) -> None:
    assert SHORTEST <= pause(meter, probes) <= LONGEST
    assert pause(meter, probes) <= pause(meter, probes + 1) * 5 / 4


def test_a_dead_meter_is_probed_at_least_every_quarter_of_an_hour() -> None:
    breakers, now = opened(), START
    for _ in range(50):
        until = breakers.rests_until("m1")
        assert until is not None
        assert timedelta(0) < until - now <= LONGEST
        now = until
        breakers.failed("m1", SILENT, now)


def test_what_counts_is_silence_and_garbage_not_a_refusal_nor_a_dead_gateway() -> None:
    assert all(rule(reason).in_vain for reason in ("no_answer", "bad_checksum", "wrong_unit", "gateway_no_answer"))
    alive = (
        "refused",
        "exception_2",
        "exception_6",
        "connection_refused",
        "connection_lost",
        "port_in_use",
        "no_channel",
    )
    assert not any(rule(reason).in_vain for reason in alive)
