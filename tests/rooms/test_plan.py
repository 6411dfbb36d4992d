"""What plans owe: grids, freezes, days of 23 and 25 hours, selectors, and what a pushed value fills."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.calendar import timetable
from collector.acquisition.plan import Owed, owed, slots_for
from storage.records import Basis, Plan, PlanVersion, Slot
from storage.registry import Installation, Meter, Point, Registered
from tests.rooms.plans import DAILY, ENERGY, LONG_AGO, QUARTER, SHANGHAI, gives, shanghai, standing


def all_owed(plan: Plan, start: datetime, end: datetime, *meters: Registered, zone: ZoneInfo = SHANGHAI) -> list[Owed]:
    versions = [PlanVersion(plan, LONG_AGO)]
    return list(owed(versions, meters or (standing(),), start, end, zone=zone, gives=gives))


@pytest.mark.parametrize(
    ("zone", "day", "quarters"),
    [
        ("Asia/Shanghai", (2026, 3, 29), 96),
        ("Europe/Warsaw", (2026, 3, 29), 92),
        ("Europe/Warsaw", (2026, 10, 25), 100),
        ("America/New_York", (2026, 11, 1), 100),
        ("Australia/Lord_Howe", (2026, 10, 4), 94),
        ("Australia/Lord_Howe", (2026, 4, 5), 98),
    ],
)
def test_a_day_owes_its_quarter_hours_and_none_twice(zone: str, day: tuple[int, int, int], quarters: int) -> None:
    where = ZoneInfo(zone)
    start = datetime(*day, tzinfo=where)
    end = (start + timedelta(days=1)).astimezone(UTC)
    instants = [entry.at for entry in timetable(QUARTER, start.astimezone(UTC), end, where)]
    assert len(instants) == len(set(instants)) == quarters
    assert all(later - earlier == timedelta(minutes=15) for earlier, later in pairwise(instants))


def test_a_freeze_belongs_to_midnight_and_is_due_at_five_past() -> None:
    entries = all_owed(DAILY, shanghai(2026, 3, 15), shanghai(2026, 3, 16))
    assert [(e.due, e.slot.at, e.closes) for e in entries] == [
        (shanghai(2026, 3, 15, 0, 5), shanghai(2026, 3, 15), shanghai(2026, 3, 16, 0, 5))
    ]


def test_a_time_that_comes_twice_is_due_once_and_one_that_is_skipped_is_due_once() -> None:
    plan = Plan("night", (ENERGY,), at_minute=150)
    warsaw = ZoneInfo("Europe/Warsaw")
    for day in (datetime(2026, 3, 28, tzinfo=warsaw), datetime(2026, 10, 24, tzinfo=warsaw)):
        start = day.astimezone(UTC)
        assert len(list(timetable(plan, start, start + timedelta(days=3), warsaw))) == 3


def test_a_time_that_is_skipped_is_due_at_the_jump_and_one_that_comes_twice_the_first_time() -> None:
    plan = Plan("night", (ENERGY,), at_minute=150)  # 02:30
    warsaw = ZoneInfo("Europe/Warsaw")
    jump, first = datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    for due in (jump, first):
        (entry,) = timetable(plan, due - timedelta(hours=12), due + timedelta(hours=12), warsaw)
        assert entry.due == due


def test_a_plan_owes_only_while_it_is_valid_and_a_meter_only_while_it_stands() -> None:
    noon = shanghai(2026, 3, 15, 12)
    version = PlanVersion(QUARTER, noon, noon + timedelta(hours=1))
    late = standing("late", start=noon + timedelta(minutes=30))
    slots = [
        e.slot
        for e in owed([version], [standing(), late], LONG_AGO, noon + timedelta(days=1), zone=SHANGHAI, gives=gives)
    ]
    assert [s.at for s in slots if s.meter == "m1"] == [noon + timedelta(minutes=15 * n) for n in range(4)]
    assert [s.at for s in slots if s.meter == "late"] == [noon + timedelta(minutes=15 * n) for n in (2, 3)]


def test_a_profile_that_cannot_give_it_owes_nothing() -> None:
    assert not all_owed(DAILY, shanghai(2026, 3, 15), shanghai(2026, 3, 17), standing(profile="plain"))


ELSEWHERE = Registered(
    Meter("b", "freezing_too", "c2", "1"),
    Point("p-b", area="vale", station="east", class_="business"),
    Installation("b", "p-b", LONG_AGO),
)


@pytest.mark.parametrize(
    "selectors",
    [
        {"channels": ("c2",)},
        {"areas": ("vale", "moor")},
        {"stations": ("east",)},
        {"classes": ("business",)},
        {"profiles": ("freezing_too",)},
        {"channels": ("c1", "c2"), "areas": ("vale",)},
    ],
    ids="+".join,
)
def test_selectors_leave_out_who_is_not_meant(selectors: dict[str, Any]) -> None:
    """One that is absent leaves out nobody; of several all must hold."""
    day = shanghai(2026, 3, 15), shanghai(2026, 3, 16)
    assert {e.slot.meter for e in all_owed(QUARTER, *day, standing("a"), ELSEWHERE)} == {"a", "b"}
    plan = replace(QUARTER, **selectors)
    assert {e.slot.meter for e in all_owed(plan, *day, standing("a"), ELSEWHERE)} == {"b"}
    nobody = replace(plan, classes=("industry",))
    assert all_owed(nobody, *day, standing("a"), ELSEWHERE) == []


def pushed(instant: datetime, *plans: Plan, basis: Basis = Basis.INSTANT, one: Registered | None = None) -> list[Slot]:
    versions = [PlanVersion(plan, LONG_AGO) for plan in plans]
    return list(slots_for(versions, one or standing(), ENERGY, basis, instant, zone=SHANGHAI, gives=gives))


def test_a_pushed_value_fills_the_grid_point_it_came_after_and_a_freeze_only_its_own() -> None:
    at = shanghai(2026, 3, 15, 10, 15)
    for seconds in (0, 1, 899):
        came = at + timedelta(seconds=seconds)
        assert pushed(came, QUARTER, DAILY) == [Slot("quarter", "m1", ENERGY, Basis.INSTANT, at)]
    frozen = shanghai(2026, 3, 15)
    kept = pushed(frozen, QUARTER, DAILY, basis=Basis.FREEZE)
    assert kept == [Slot("daily", "m1", ENERGY, Basis.FREEZE, frozen)]
    assert pushed(frozen + timedelta(minutes=1), QUARTER, DAILY, basis=Basis.FREEZE) == []


def test_a_pushed_value_serves_every_plan_that_owes_it() -> None:
    at = shanghai(2026, 3, 15, 10, 0)
    hourly = Plan("hourly", (ENERGY,), every_s=3600)
    assert [slot.plan for slot in pushed(at, QUARTER, hourly)] == ["quarter", "hourly"]


def test_a_pushed_value_of_an_hour_that_is_asked_for_once_a_day() -> None:
    morning = Plan("morning", (ENERGY,), at_minute=23 * 60 + 30)
    half_past = shanghai(2026, 3, 15, 23, 30)
    assert [slot.at for slot in pushed(half_past + timedelta(minutes=59), morning)] == [half_past]
    assert pushed(half_past + timedelta(minutes=60), morning) == []
    assert pushed(half_past - timedelta(minutes=1), morning) == []


def test_nothing_is_owed_before_the_meter_stood_there_nor_while_the_plan_was_not_valid() -> None:
    at = shanghai(2026, 3, 15, 10, 15)
    assert pushed(at, QUARTER, one=standing(start=at + timedelta(seconds=1))) == []
    version = PlanVersion(QUARTER, LONG_AGO, valid_to=at)
    assert list(slots_for([version], standing(), ENERGY, Basis.INSTANT, at, zone=SHANGHAI, gives=gives)) == []


@given(
    st.integers(0, 60 * 24 * 400),
    st.sampled_from([60, 420, 900, 3600, 86400]),
    st.sampled_from(["Europe/Warsaw", "America/Havana", "Australia/Lord_Howe"]),
)
def test_a_pushed_value_fills_the_window_that_the_timetable_has(minute: int, every: int, name: str) -> None:
    zone = ZoneInfo(name)
    instant = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    plan = Plan("p", (ENERGY,), every_s=every)
    entries = timetable(plan, instant - timedelta(days=1, hours=2), instant + timedelta(minutes=1), zone)
    (slot,) = slots_for(
        [PlanVersion(plan, LONG_AGO)], standing(), ENERGY, Basis.INSTANT, instant, zone=zone, gives=gives
    )
    assert [slot.at] == [entry.at for entry in entries if entry.at <= instant < entry.closes]


@given(st.integers(0, 60 * 24 * 400), st.sampled_from([60, 300, 420, 900, 3600, 86400]))
def test_every_instant_of_a_day_lies_in_exactly_one_window(minute: int, every: int) -> None:
    zone = ZoneInfo("Europe/Warsaw")
    instant = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    plan = Plan("p", (ENERGY,), every_s=every)
    entries = list(timetable(plan, instant - timedelta(days=2), instant + timedelta(days=2), zone))
    assert sum(entry.at <= instant < entry.closes for entry in entries) == 1
