"""Who goes first on a line that is asked for more than it can do, and who is not left out."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.ready import Ready
from collector.acquisition.turns import EVERY, Turns
from collector.acquisition.urgency import Urgency
from storage.records import Basis, Slot
from tests.rooms.plans import ENERGY, shanghai

NOW = shanghai(2026, 3, 15, 10, 15)
QUARTER = timedelta(minutes=15)


def served(waiting: set[Urgency], turns: int, *, every: int = EVERY) -> Counter[Urgency]:
    """Turns of a line on which all of these always wait."""
    line, count = Turns(every=every), Counter[Urgency]()
    for _ in range(turns):
        urgency = line.choose(waiting)
        line.served(urgency)
        count[urgency] += 1
    return count


def test_a_line_kept_busy_by_freezes_and_curves_still_serves_backfill() -> None:
    count = served({Urgency.FREEZE, Urgency.CURVE, Urgency.BACKFILL}, 2400)
    assert count[Urgency.BACKFILL] >= 2400 / EVERY / 3
    assert count[Urgency.FREEZE] >= 2400 * (1 - 1 / EVERY)


def test_without_a_share_it_starves() -> None:
    assert served({Urgency.FREEZE, Urgency.BACKFILL}, 2400, every=0)[Urgency.BACKFILL] == 0


@given(st.sets(st.sampled_from(Urgency), min_size=1))
def test_each_that_waits_has_its_share_and_the_most_urgent_has_most(waiting: set[Urgency]) -> None:
    turns = EVERY * 60
    count = served(waiting, turns)
    assert all(count[urgency] >= turns // EVERY // len(waiting) - 1 for urgency in waiting)
    assert count[min(waiting)] >= turns * (EVERY - 1) // EVERY


def slot(meter: str, quantity: str = ENERGY) -> Slot:
    return Slot("quarter", meter, quantity, Basis.CURVE, NOW)


def popped(ready: Ready, urgency: Urgency = Urgency.CURVE) -> list[str]:
    found = []
    while slots := ready.pop("c1", urgency):
        found.append(next(iter(slots)).meter)
    return found


def test_whose_window_closes_first_goes_first_and_what_failed_before_goes_last() -> None:
    ready = Ready()
    ready.put(slot("failed"), "c1", Urgency.CURVE, NOW + QUARTER, late=True)
    ready.put(slot("later"), "c1", Urgency.CURVE, NOW + 2 * QUARTER, late=False)
    ready.put(slot("soon"), "c1", Urgency.CURVE, NOW + QUARTER, late=False)
    assert ready.waiting("c1") == {Urgency.CURVE: NOW + QUARTER}
    assert popped(ready) == ["soon", "later", "failed"]
    assert not ready.channels()


def test_a_meter_is_asked_for_all_of_one_urgency_at_once_and_for_others_apart() -> None:
    ready = Ready()
    ready.put(slot("m1"), "c1", Urgency.CURVE, NOW + QUARTER, late=False)
    ready.put(slot("m1", "1-0:32.7.0"), "c1", Urgency.CURVE, NOW + QUARTER, late=True)
    frozen = Slot("daily", "m1", ENERGY, Basis.FREEZE, NOW)
    ready.put(frozen, "c1", Urgency.FREEZE, NOW + QUARTER, late=False)
    assert len(ready.pop("c1", Urgency.CURVE)) == 2
    assert list(ready.pop("c1", Urgency.FREEZE)) == [frozen]


def test_a_line_that_can_do_half_leaves_nobody_out() -> None:
    ready, count = Ready(), Counter[str]()
    meters = [f"m{n}" for n in range(10)]
    for step in range(20):
        now = NOW + step * QUARTER
        slots = [Slot("quarter", meter, ENERGY, Basis.CURVE, now) for meter in meters]
        for one in slots:
            ready.put(one, "c1", Urgency.CURVE, now + QUARTER, late=False)
        for _ in range(5):
            count.update([next(iter(ready.pop("c1", Urgency.CURVE))).meter])
        for one in slots:
            ready.discard(one)
    assert count == dict.fromkeys(meters, 10)


def test_a_slot_that_goes_takes_its_place_with_it() -> None:
    ready = Ready()
    ready.put(slot("m1"), "c1", Urgency.CURVE, NOW + QUARTER, late=False)
    ready.put(slot("m1", "1-0:32.7.0"), "c1", Urgency.CURVE, NOW + 3 * QUARTER, late=False)
    ready.put(slot("m2"), "c1", Urgency.CURVE, NOW + 2 * QUARTER, late=False)
    ready.discard(slot("m1"))
    assert popped(ready) == ["m2", "m1"]


def test_what_comes_back_again_and_again_leaves_no_litter() -> None:
    ready = Ready()
    for step in range(10_000):
        one = slot("m1")
        ready.put(one, "c1", Urgency.CURVE, NOW + step * QUARTER, late=True)
        ready.put(slot("m1", "1-0:32.7.0"), "c1", Urgency.CURVE, NOW, late=False)
        ready.discard(one)
        ready.put(slot("rests"), "c1", Urgency.CURVE, NOW - QUARTER, late=False)
        ready.discard(slot("m1", "1-0:32.7.0"))
    assert len(ready._queues["c1"][Urgency.CURVE].heap) < 200
