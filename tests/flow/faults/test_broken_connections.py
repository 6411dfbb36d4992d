"""F29, F31, F32: a concentrator that falls silent, a connection that is dead and does not say so, one that ends in mid-frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from collector.acquisition.line import Line
from collector.acquisition.timing import Timing
from simulators.toxics import Cut, End, Limit, Lose, Slice, Towards
from storage.records import Attempt
from tests.flow.faults.believing import GLUING_TCP
from tests.flow.faults.conftest import Tell
from tests.flow.faults.memory_wire import MemoryWire
from tests.flow.faults.oracle import Found, examine
from tests.flow.faults.street import MINUTE, READ, START, TIMING, Lane, Run, Wire, drive

CONNECTIONS = [Wire.RTU_OVER_TCP, Wire.TCP, Wire.DLT645_OVER_TCP]
HOUR = timedelta(hours=1)
GOOD = tuple(f"good-{n}" for n in range(4))


def first_ok(run: Run, after: datetime, lane: str) -> Attempt:
    return next(one for one in run.attempts(lane) if one.outcome == "ok" and one.started_at >= after)


# --- F29 ----------------------------------------------------------------------------------------------------------------


def one_silent_of_five(wire: Wire, line: type[Line] = Line) -> Run:
    """Five concentrators; the one with most meters falls silent after half an hour, for half an hour."""

    def falls_silent(wires: Mapping[str, MemoryWire]) -> None:
        wires["dumb"].disturb(Lose(), Lose(to=Towards.METER))

    def comes_back(wires: Mapping[str, MemoryWire]) -> None:
        wires["dumb"].disturb()

    lanes = [Lane(wire, name=name, meters=10 if name == "dumb" else 5, line=line) for name in ("dumb", *GOOD)]
    return drive(lanes, 1.5, every=MINUTE, events=[(HOUR / 2, falls_silent), (HOUR, comes_back)])


def kept(run: Run) -> float:
    """Slots for which the others have a value of that very minute, of those they owe."""
    owed = sum(one.meter.channel in GOOD for one in run.registered) * 2 * 90
    others = [done for done in run.collected if done.task.registered.meter.channel in GOOD]
    read = [one for done in others for one in done.batch.readings if one.slot is not None and one.slot.at < run.end]
    return sum(one.slot is not None and one.time < one.slot.at + run.step for one in read) / owed


@pytest.mark.parametrize("wire", CONNECTIONS)
def test_a_silent_concentrator_harms_no_other(wire: Wire, tell: Tell) -> None:
    run = one_silent_of_five(wire)
    found = examine(run)
    assert kept(run) == 1.0  # the matrix asks for 99.9 %
    assert {one.outcome for name in GOOD for one in run.attempts(name)} == {"ok"}
    assert set(found.missing) == {"no_answer"}
    back = first_ok(run, START + HOUR, "dumb").started_at - (START + HOUR)
    assert back <= timedelta(minutes=15)  # the longest pause of a meter's breaker
    tell("F29", f"{wire}: the others keep {kept(run):.1%}, heard again after {back.total_seconds():.0f} s, {found}")


class OneWorker(Line):
    """Polling keeps a worker a line; lines that are all equal have one between them."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OneWorker)

    def __hash__(self) -> int:
        return 0


def test_with_one_worker_for_all_lines_the_others_suffer(tell: Tell) -> None:
    run = one_silent_of_five(Wire.RTU_OVER_TCP, OneWorker)
    assert kept(run) < 0.99
    tell("F29", f"modbus-rtu over tcp, one worker for all: the others keep {kept(run):.1%}")


# --- F31 ----------------------------------------------------------------------------------------------------------------


def half_open(wire: Wire, **weak: float) -> Run:
    """Dead at 01:00:30, between two rounds: nobody is told, and a new connection would work."""

    def dies(wires: Mapping[str, MemoryWire]) -> None:
        wires["lane"].half_open()

    at = HOUR + timedelta(seconds=30)
    return drive([Lane(wire, meters=4, **weak)], 3, every=MINUTE, events=[(at, dies)])  # type: ignore[arg-type]


@pytest.mark.parametrize("wire", CONNECTIONS)
def test_a_half_open_connection_is_given_up(wire: Wire, tell: Tell) -> None:
    """(The kernel's own part, 25 s of keep-alive, can't be shown by a proxy: the proxy's kernel answers.)"""
    run = half_open(wire)
    found = examine(run)
    asked = START + HOUR + MINUTE
    back = first_ok(run, asked, "lane").started_at - asked
    assert back <= timedelta(seconds=30)
    tell(
        "F31",
        f"{wire}: answered again {back.total_seconds():.1f} s after the first question into the dead one, {found}",
    )


@pytest.mark.parametrize("wire", [Wire.RTU_OVER_TCP, Wire.DLT645_OVER_TCP])
def test_without_doubt_it_stays_dead(wire: Wire) -> None:
    found = examine(half_open(wire, deaf_s=float("inf")))
    assert found.missing["no_answer"] > 900  # 119 rounds, of 4 meters and 2 values each


# --- F32 ----------------------------------------------------------------------------------------------------------------


TWO_METERS, TEN_HOURS = 2, 10


def broken(wire: Wire, end: End, timing: Timing = TIMING) -> tuple[Run, Found]:
    lane = Lane(wire, (Cut(0.4, end, after_s=0.1),), meters=TWO_METERS, timing=timing)
    run = drive([lane], TEN_HOURS, every=MINUTE)
    return run, examine(run)


def cut_off(struck: Iterable[bool], tries: int) -> int:
    """Values that the injected faults take away, counted by hand from what befell each question: one whose question and all its
    repetitions were cut, and with it what was still to be asked in that visit. A slot of a minute has one visit only, for a
    failed one is repeated after a minute at the earliest.
    """
    cut, lost = iter(struck), 0
    for _ in range(TWO_METERS * TEN_HOURS * 60):
        for left in range(len(READ), 0, -1):
            if all(next(cut, False) for _ in range(tries)):  # as far as the first that came through
                lost += left
                break
    return lost


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("wire", CONNECTIONS)
def test_an_end_in_mid_frame_leaves_nothing_behind(wire: Wire, end: End, tell: Tell) -> None:
    run, found = broken(wire, end)
    cut = run.hits()["Cut"]
    assert cut >= 1000
    outcomes = run.outcomes()
    assert set(outcomes) == {"ok", "connection_lost"}
    assert outcomes["connection_lost"] == cut  # each costs one exchange, and no other
    lost = cut_off(run.wires["lane"].struck, tries=3)
    assert found.missing == {"connection_lost": lost}  # and no other value
    tell("F32", f"{wire}, {end} in mid-frame: {cut} times, {found}")


def test_with_one_repetition_fewer_more_is_cut_off() -> None:
    run, found = broken(Wire.TCP, End.RESET, replace(TIMING, retries=TIMING.retries - 1))
    assert found.missing == {"connection_lost": cut_off(run.wires["lane"].struck, tries=2)}
    assert found.missing.total() > broken(Wire.TCP, End.RESET)[1].missing.total()


def test_who_keeps_half_an_answer_glues_it_to_the_next() -> None:
    lane = Lane(Wire.TCP, (Cut(0.4, after_s=0.1),), meters=2, dialect=GLUING_TCP)
    with pytest.raises(AssertionError, match=r"I3: .* false values"):
        examine(drive([lane], 2, every=MINUTE))


def test_a_connection_that_ends_after_so_many_bytes() -> None:
    run = drive([Lane(Wire.TCP, (Limit(1000), Slice(0.001, size=4)), meters=4)], 6, every=MINUTE)
    examine(run)
    assert run.hits()["Limit"] > 10
    assert set(run.outcomes()) == {"ok", "connection_lost"}
