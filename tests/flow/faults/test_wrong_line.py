"""F30, F34, F37: a concentrator that is very slow, one that answers from yesterday, a port with a wrong plate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from collector.acquisition.link import Link
from collector.acquisition.timing import Timing
from simulators.toxics import Slice
from storage.records import Basis, Plan, Reading, Source
from tests.flow.faults.conftest import Tell
from tests.flow.faults.memory_wire import MemoryWire
from tests.flow.faults.oracle import examine, nothing_false
from tests.flow.faults.street import ENERGY, QUARTER, START, Lane, Run, Wire, drive
from tests.flow.faults.uart import Plate, heard
from tests.links.driven_loop import run_driven

HOUR = timedelta(hours=1)

# --- F30 ------------------------------------------------------------------------------------------------------------------

SLOW = Slice(gap_s=0.25)
"""Four bytes a second: an answer takes three seconds, a meter's two questions six."""


def with_a_slow_one(*, one_line: bool) -> Run:
    patient = Timing(timeout_s=10.0, retries=1, worst_reply_s=12.0, gap_s=0.5)
    others = [] if one_line else [Lane(Wire.RTU_OVER_TCP, name=f"good-{n}", meters=5) for n in range(3)]
    slow = Lane(Wire.RTU_OVER_TCP, (SLOW,), "slow", meters=20 if one_line else 5, timing=patient)
    return drive([slow, *others], 3)


def test_a_slow_concentrator_is_late_alone(tell: Tell) -> None:
    run = with_a_slow_one(one_line=False)
    found = examine(run)
    assert found.collected == found.expected
    good = [one for name in ("good-0", "good-1", "good-2") for one in run.attempts(name)]
    latest = max((one.started_at - START) % QUARTER for one in good)
    assert latest < timedelta(seconds=5)
    slow = run.attempts("slow")
    assert {one.outcome for one in [*good, *slow]} == {"ok"}
    assert max((one.started_at - START) % QUARTER for one in slow) > timedelta(seconds=15)
    tell(
        "F30",
        f"four bytes a second on one of four lines: the others are done after {latest.total_seconds():.1f} s, {found}",
    )


def test_on_one_line_all_would_wait_for_it() -> None:
    run = with_a_slow_one(one_line=True)
    assert max((one.started_at - START) % QUARTER for one in run.attempts("slow")) > timedelta(minutes=1)


# --- F34 ------------------------------------------------------------------------------------------------------------------

DAILY = Plan("curve", (ENERGY,), Basis.FREEZE, at_minute=5)
DAYS = 4


class Caching:
    """A concentrator that answers a question from its memory once it has read the answer: for a day, or for ever."""

    def __init__(self, wire: Link) -> None:
        assert isinstance(wire, MemoryWire)
        device, known = wire._device, dict[bytes, list[tuple[float, bytes]]]()

        def cached(data: bytes) -> Iterable[tuple[float, bytes]]:
            if data not in known:
                known[data] = list(device(data))
            return known[data]

        wire._device = cached


def stale(link: Link) -> Link:
    Caching(link)
    return link


def frozen(*, cached: bool) -> Run:
    lane = Lane(Wire.DLT645, meters=3)
    return drive([replace(lane, around=stale) if cached else lane], DAYS * 24, plans=(DAILY,))


def freezes(run: Run) -> list[Reading]:
    """All that are stored; each is the one that its meter kept at that midnight."""

    async def look() -> list[Reading]:
        stored = [one async for one in run.ledger.readings()]
        nothing_false(run, stored, "")
        return [one.reading for one in stored]

    return run_driven(look())


def days(readings: Iterable[Reading]) -> list[int]:
    """Of the run, a meter after the other."""
    found = sorted((one.meter, (one.time - START) // timedelta(days=1)) for one in readings)
    return [day for _, day in found]


def test_yesterdays_freeze_is_never_todays(tell: Tell) -> None:
    """The stamp decides: what is given again is the same reading once more. Today's is got when it is asked for as the copy
    that it is, which the concentrator has not in its memory yet.
    """
    honest = freezes(frozen(cached=False))
    assert days(honest) == [*range(DAYS)] * 3
    assert {one.source for one in honest} == {Source.POLL}
    run = frozen(cached=True)
    stale = freezes(run)
    assert len({(one.meter, one.time) for one in stale}) == len(stale)
    assert days(one for one in stale if one.slot is not None).count(0) == 3
    assert all(one.slot is None or one.slot.at == one.time for one in stale)
    reasons = {one.reason for one in run_driven(run.ledger.closed(START, run.end))}
    assert reasons <= {"no_freeze", "freeze_moved"}
    backfilled = sum(one.source is Source.BACKFILL for one in stale)
    tell(
        "F34",
        f"freezes out of a cache for {DAYS} days: each its own day's, {backfilled} got by backfill, missing {reasons}",
    )


# --- F37 ------------------------------------------------------------------------------------------------------------------

PLATES = {
    "9600 for 2400": (Plate(2400, parity=False), Plate(9600, parity=False)),
    "2400 for 9600": (Plate(9600, parity=False), Plate(2400, parity=False)),
    "even for none": (Plate(9600, parity=False), Plate(9600, parity=True)),
}


GARBLED = {"unexpected_bytes", "bad_checksum", "bad_digits"}
"""Reasons whose page says: baud rate, parity (docs/reasons.md). Never silence, never a value."""


@pytest.mark.parametrize("wrong", PLATES)
@pytest.mark.parametrize("wire", [Wire.RTU, Wire.DLT645])
def test_a_wrong_plate_is_told_within_three_polls(wire: Wire, wrong: str, tell: Tell) -> None:
    """(That the meter understands the question is more than it would; it is what it answers that an engineer sees.)"""
    sent, by = PLATES[wrong]
    run = drive([Lane(wire, meters=1, spoil=lambda frame: heard(frame, sent, by), share=1.0)], 1)
    found = examine(run)
    outcomes = {one.outcome for one in run.attempts()[:9]}
    assert "ok" not in run.outcomes()
    assert outcomes <= GARBLED
    missing = run_driven(run.ledger.closed(START, run.end))
    assert all(one.detail for one in missing)
    tell("F37", f"{wire}, {wrong}: {sorted(outcomes)}, {found}")
