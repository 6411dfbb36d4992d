"""The judge itself: content with a sound run, and seen red for each invariant."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from storage.records import Batch
from tests.flow.faults.oracle import examine
from tests.flow.faults.street import QUARTER, Lane, Run, Wire, drive


@pytest.mark.parametrize("wire", Wire)
def test_a_sound_line_is_whole(wire: Wire) -> None:
    run = drive([Lane(wire)], 3)
    found = examine(run)
    assert found.collected == found.expected == 4 * 2 * 12
    assert set(run.outcomes()) == {"ok"}


@pytest.fixture(scope="module")
def sound() -> Run:
    return drive([Lane(Wire.RTU)], 2)


def test_lost_is_seen(sound: Run) -> None:
    done = sound.collected[-1]
    never = tuple(replace(one, time=one.time + timedelta(days=1)) for one in done.batch.readings)
    claimed = replace(done, batch=Batch(readings=never, attempts=done.batch.attempts))
    with pytest.raises(AssertionError, match="I1: 2 receipted readings are not there"):
        examine(replace(sound, collected=[*sound.collected, claimed]))


def test_double_is_seen(sound: Run) -> None:
    with pytest.raises(AssertionError, match="I2: "):
        examine(replace(sound, collected=sound.collected[1:]))


def test_a_false_value_is_seen(sound: Run) -> None:
    shown = sound.truth.shown
    key = next(key for key in shown if key[0] == "lane-2")
    honest = shown[key]
    try:
        shown[key] = "1234567.89"  # type: ignore[index]
        with pytest.raises(AssertionError, match=r"I3: 1 false values, the first Reading.meter='lane-2'"):
            examine(sound)
        assert len(examine(sound, collisions=True).false) == 1
    finally:
        shown[key] = honest  # type: ignore[index]


def test_a_slot_without_account_is_seen(sound: Run) -> None:
    (one, *_) = sound.registered
    forgotten = replace(one, meter=replace(one.meter, meter="lane-9"))
    with pytest.raises(AssertionError, match=r"I4: .'lane-9', '2026-03-15'.: 16 expected, 0 \+ 0 accounted for"):
        examine(replace(sound, registered=(*sound.registered, forgotten)))


def test_a_trouble_and_an_early_end_are_seen(sound: Run) -> None:
    with pytest.raises(AssertionError, match="I8: Task exception"):
        examine(replace(sound, troubles=["Task exception was never retrieved"]))
    with pytest.raises(AssertionError, match=r"I[48]: "):
        examine(replace(sound, end=sound.end + 8 * QUARTER))
