"""The life of a slot in the planner: owed, in hand, waiting for its next try, filled, or given up when its window closes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.planner import LONGEST_PAUSE, Planner, pause
from collector.acquisition.tasks import Task
from storage.dues import Paused
from storage.records import Basis, Plan, PlanVersion, Slot
from tests.rooms.plans import DAILY, ENERGY, LONG_AGO, QUARTER, SHANGHAI, gives, shanghai, standing


def planner_at(now: datetime, *plans: Plan, polled: frozenset[str] = frozenset({"c1"})) -> Planner:
    planner = Planner(SHANGHAI, gives, polled)
    planner.load([PlanVersion(plan, LONG_AGO) for plan in plans], [standing()], now)
    planner.restore((), {}, now)
    return planner


def tasks(planner: Planner, now: datetime) -> list[Task]:
    """All that may be asked now, taken in hand."""
    while planner.advance(now):
        pass
    planner.next_alarm(now)
    found = []
    for channel in list(planner.channels()):
        while waiting := planner.waiting(channel, now):
            if task := planner.take(channel, min(waiting), now):
                found.append(task)
    return found


def expired(planner: Planner, now: datetime) -> list[tuple[Slot, int]]:
    while planner.advance(now):
        pass
    return [(one.slot, one.tries) for one in planner.expired(now)]


def test_a_slot_in_hand_is_not_asked_twice_and_a_failed_one_waits_its_turn() -> None:
    now = shanghai(2026, 3, 15, 10, 15)
    planner = planner_at(now, QUARTER)
    (task,) = tasks(planner, now)
    assert [slot.at for slot in task.slots] == [now]
    assert tasks(planner, now) == []
    planner.failed(task.slots, now)
    assert tasks(planner, now + timedelta(seconds=30)) == []
    (again,) = tasks(planner, now + pause("m1", 1))
    assert again.slots == task.slots


def test_jitter_makes_a_slot_wait_and_its_cut_off_goes_with_it() -> None:
    now = shanghai(2026, 3, 15, 0, 5)
    spread_out = Plan("daily", (ENERGY,), Basis.FREEZE, at_minute=5, jitter_s=600, cutoff_minute=480)
    planner = planner_at(now, spread_out)
    assert tasks(planner, now) == []
    asked_at = planner.next_alarm(now)
    assert now < asked_at < now + timedelta(minutes=10)
    assert tasks(planner, asked_at - timedelta(seconds=1)) == []
    (task,) = tasks(planner, asked_at)
    assert task.cutoffs == {task.slots[0]: shanghai(2026, 3, 15, 8)}


def test_a_filled_slot_is_gone_and_the_next_alarm_is_the_next_grid_point() -> None:
    now = shanghai(2026, 3, 15, 10, 15)
    planner = planner_at(now, QUARTER)
    (task,) = tasks(planner, now)
    planner.filled(task.slots)
    assert tasks(planner, now) == []
    assert planner.next_alarm(now) == now + timedelta(minutes=15)


def test_a_window_that_closes_gives_the_slot_back_with_its_tries() -> None:
    now = shanghai(2026, 3, 15, 10, 15)
    planner = planner_at(now, QUARTER)
    (task,) = tasks(planner, now)
    planner.failed(task.slots, now)
    later = now + timedelta(minutes=15)
    assert expired(planner, later) == [(task.slots[0], 1)]
    assert [slot.at for one in tasks(planner, later) for slot in one.slots] == [later]


def test_a_restart_asks_only_for_what_the_ledger_lacks() -> None:
    now = shanghai(2026, 3, 15, 10, 20)
    planner = Planner(SHANGHAI, gives, frozenset({"c1"}))
    planner.load([PlanVersion(QUARTER, LONG_AGO), PlanVersion(DAILY, LONG_AGO)], [standing()], now)
    freeze = Slot("daily", "m1", ENERGY, Basis.FREEZE, shanghai(2026, 3, 15))
    planner.restore([freeze], {}, now)
    (task,) = tasks(planner, now)
    assert [(slot.plan, slot.at) for slot in task.slots] == [("quarter", shanghai(2026, 3, 15, 10, 15))]


def test_a_channel_that_is_not_polled_only_waits() -> None:
    now = shanghai(2026, 3, 15, 10, 15)
    planner = planner_at(now, QUARTER, polled=frozenset())
    assert tasks(planner, now) == []
    assert expired(planner, now + timedelta(minutes=15)) == [(Slot("quarter", "m1", ENERGY, Basis.INSTANT, now), 0)]


@given(st.text(min_size=1, max_size=8), st.integers(1, 40))
def test_pauses_grow_to_a_bound_and_differ_by_meter(meter: str, tries: int) -> None:
    assert timedelta(minutes=1) <= pause(meter, tries) <= LONGEST_PAUSE


def test_a_window_that_closes_during_the_visit_gives_the_slot_back_after_it_and_wakes_nobody_in_vain() -> None:
    now = shanghai(2026, 3, 15, 10, 15)
    planner = planner_at(now, QUARTER)
    (task,) = tasks(planner, now)
    later = now + timedelta(minutes=15, seconds=1)
    assert expired(planner, later) == [], "a visit asks for it"
    assert planner.next_alarm(later) > later
    planner.failed(task.slots, later)
    assert planner.next_alarm(later) == later, "to give it up"
    assert expired(planner, later) == [(task.slots[0], 1)]
    assert planner.next_alarm(later) > later


@dataclass
class Held:
    """A slot as the plainest planner would keep it."""

    closes: datetime
    tries: int = 0
    rests_until: datetime = LONG_AGO
    in_hand: bool = False


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 3, 7, 16]),
        st.sampled_from(["filled", "failed", "put off", "released", "nothing"]),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(STEPS)
def test_it_does_what_a_planner_does_that_looks_at_every_slot(steps: list[tuple[int, str, int]]) -> None:
    now = shanghai(2026, 3, 15, 10, 15)
    planner = Planner(SHANGHAI, gives, frozenset({"c1"}))
    meters = [standing("m1"), standing("m2"), standing("pushes", channel="c2")]
    planner.load([PlanVersion(QUARTER, now)], meters, now)
    planner.restore((), {}, now)
    held: dict[Slot, Held] = {}
    due = now
    for minutes, what, which in steps:
        now += timedelta(minutes=minutes)
        while due <= now:
            for one in meters:
                held[Slot("quarter", one.meter.meter, ENERGY, Basis.INSTANT, due)] = Held(due + timedelta(minutes=15))
            due += timedelta(minutes=15)
        asked = {
            slot
            for slot, one in held.items()
            if slot.meter != "pushes" and not one.in_hand and one.rests_until <= now < one.closes
        }
        assert {slot for task in tasks(planner, now) for slot in task.slots} == asked
        for slot in asked:
            held[slot].in_hand = True
        over = {slot: one.tries for slot, one in held.items() if not one.in_hand and one.closes <= now}
        assert dict(expired(planner, now)) == over
        held = {slot: one for slot, one in held.items() if slot not in over}
        alarm = planner.next_alarm(now)
        assert now < alarm <= due
        assert all(alarm <= one.closes for one in held.values() if not one.in_hand)
        assert all(
            alarm <= one.rests_until for one in held.values() if not one.in_hand and now < one.rests_until < one.closes
        )
        mine = sorted(slot for slot, one in held.items() if one.in_hand or slot.meter == "pushes")
        if not mine or what == "nothing":
            continue
        slot = mine[which % len(mine)]
        state = held[slot]
        if what == "filled":
            planner.filled([slot])
            del held[slot]
        elif what == "failed":
            planner.failed([slot], now)
            state.in_hand, state.tries = False, state.tries + 1
            state.rests_until = now + pause(slot.meter, state.tries)
        elif state.in_hand and what == "put off":
            planner.put_off(Task(standing(slot.meter), (slot,)), now + timedelta(minutes=2))
            state.in_hand = False
            state.rests_until = now + timedelta(minutes=2)
        elif state.in_hand:
            planner.released(Task(standing(slot.meter), (slot,)))
            state.in_hand = False


def asked(planner: Planner, now: datetime) -> list[datetime]:
    slots = [slot for task in tasks(planner, now) for slot in task.slots]
    planner.filled(slots)
    return [slot.at for slot in slots]


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=1), timedelta(days=3650)])
def test_a_clock_that_was_ahead_and_is_put_right_stops_nothing(ahead: timedelta) -> None:
    """Ten years ahead: no slot is made for each quarter hour between. Back again: the next quarter hour is asked for as ever."""
    now = shanghai(2026, 3, 15, 12, 1)
    planner = planner_at(now, QUARTER)
    assert asked(planner, now) == [shanghai(2026, 3, 15, 12)]
    assert len(asked(planner, now + ahead)) == 1
    assert len(expired(planner, now + ahead)) <= 2 * 96
    assert planner.next_alarm(now) <= shanghai(2026, 3, 15, 12, 15)
    assert asked(planner, shanghai(2026, 3, 15, 12, 15)) == [shanghai(2026, 3, 15, 12, 15)]
    assert asked(planner, shanghai(2026, 3, 15, 12, 15) - timedelta(seconds=30)) == []
    assert asked(planner, shanghai(2026, 3, 15, 12, 15)) == [], "a clock adjusted by seconds asks nothing twice"


# --- what is left out on purpose ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [(Paused.METER, "m1"), (Paused.CHANNEL, "c1"), (Paused.PLAN, "quarter")])
def test_what_is_paused_is_not_asked_until_it_is_resumed(which: tuple[Paused, str]) -> None:
    now = shanghai(2026, 3, 15, 10, 15)
    planner = planner_at(now, QUARTER)
    assert planner.leave_out(frozenset({which}), now)
    assert not planner.leave_out(frozenset({which}), now)
    assert tasks(planner, now) == []
    later = now + timedelta(minutes=15)
    assert [slot.at for slot, _ in expired(planner, later)] == [now]
    assert tasks(planner, later) == []
    assert planner.leave_out(frozenset(), later)
    (task,) = tasks(planner, later)
    assert [slot.at for slot in task.slots] == [later]


def test_a_pause_of_others_changes_nothing() -> None:
    now = shanghai(2026, 3, 15, 10, 15)
    planner = planner_at(now, QUARTER)
    planner.leave_out(frozenset({(Paused.METER, "c1"), (Paused.CHANNEL, "m1"), (Paused.PLAN, "daily")}), now)
    (task,) = tasks(planner, now)
    assert not planner.is_left_out(task.slots[0])


def test_a_slot_that_rests_is_not_asked_earlier_by_a_pause_that_came_and_went() -> None:
    now = shanghai(2026, 3, 15, 10, 15)
    planner = planner_at(now, QUARTER)
    (task,) = tasks(planner, now)
    planner.failed(task.slots, now)
    planner.leave_out(frozenset({(Paused.METER, "m1")}), now)
    planner.leave_out(frozenset(), now)
    assert tasks(planner, now) == []
    assert len(tasks(planner, now + pause("m1", 1))) == 1
