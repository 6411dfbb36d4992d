"""The calendars: each kind of plan in days of 23 and 25 hours, leap days and month ends; windows, jitter and cut-offs."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.calendar import Instant, cutoff_of, latest_at, spread, timetable
from collector.acquisition.plan import cutoff_for
from protocols import profile
from storage.days import data_day, day_start
from storage.records import WORDS, Basis, Plan, PlanVersion, Slot
from tests.rooms.plans import DAILY, ENERGY, LONG_AGO, SHANGHAI, shanghai

MONTHLY = Plan("monthly", (ENERGY,), Basis.SETTLEMENT, at_minute=5)
CURVE = Plan("curve", (ENERGY,), Basis.CURVE, every_s=900)
HOURLY = Plan("hourly", (ENERGY,), every_s=3600)


def entries(plan: Plan, first: date, last: date, zone: ZoneInfo = SHANGHAI) -> list[Instant]:
    """Of the civil days first to last, both included."""
    return list(timetable(plan, day_start(first, zone), day_start(last + timedelta(days=1), zone), zone))


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Warsaw", "America/Havana", "Australia/Lord_Howe"])
@pytest.mark.parametrize("year", [2024, 2026, 2028, 2100])
def test_a_month_has_one_settlement_whatever_its_length(zone: str, year: int) -> None:
    where = ZoneInfo(zone)
    found = entries(MONTHLY, date(year, 1, 1), date(year, 12, 31), where)
    assert [entry.at for entry in found] == [day_start(date(year, month, 1), where) for month in range(1, 13)]
    closed = [data_day(entry.at, Basis.SETTLEMENT, where) for entry in found]
    february = date(year, 2, 29 if year in (2024, 2028) else 28)
    assert closed[2] == february, "what the copy of the 1st of March closes"
    assert len({(day.year, day.month) for day in closed}) == 12


def test_up_to_three_settlement_days_a_month() -> None:
    plan = Plan("three", (ENERGY,), Basis.SETTLEMENT, at_minute=5, days=(1, 11, 21))
    found = entries(plan, date(2026, 1, 30), date(2026, 3, 2))
    assert [entry.at.astimezone(SHANGHAI).day for entry in found] == [1, 11, 21, 1]
    first = found[0]
    assert (first.at, first.due) == (shanghai(2026, 2, 1), shanghai(2026, 2, 1, 0, 5))
    assert first.closes == first.due + timedelta(days=1)


@pytest.mark.parametrize("year", [2024, 2026, 2028, 2100])
def test_every_day_of_a_year_has_one_freeze(year: int) -> None:
    for name in ("Asia/Shanghai", "Europe/Warsaw", "Australia/Lord_Howe"):
        zone = ZoneInfo(name)
        days = [
            data_day(entry.at, Basis.FREEZE, zone)
            for entry in entries(DAILY, date(year, 1, 1), date(year, 12, 31), zone)
        ]
        first = date(year - 1, 12, 31)
        assert days == [first + timedelta(days=n) for n in range(366 if year in (2024, 2028) else 365)]


@pytest.mark.parametrize(
    ("zone", "day", "quarters", "hours"),
    [
        ("Asia/Shanghai", date(2026, 3, 29), 96, 24),
        ("Europe/Warsaw", date(2026, 3, 29), 92, 23),
        ("Europe/Warsaw", date(2026, 10, 25), 100, 25),
        ("America/New_York", date(2026, 3, 8), 92, 23),
        ("America/New_York", date(2026, 11, 1), 100, 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), 94, 24),
        ("Australia/Lord_Howe", date(2026, 4, 5), 98, 25),
    ],
)
def test_a_data_day_has_its_curve_points_and_none_twice(zone: str, day: date, quarters: int, hours: int) -> None:
    """(00:00, 24:00]: a point at midnight closes the day before. An hour cut short by Lord Howe's half is one all the same."""
    where = ZoneInfo(zone)
    for plan, count in ((CURVE, quarters), (Plan("h", (ENERGY,), Basis.CURVE, every_s=3600), hours)):
        found = entries(plan, day - timedelta(days=1), day + timedelta(days=1), where)
        points = [entry.at for entry in found if data_day(entry.at, Basis.CURVE, where) == day]
        assert len(points) == len(set(points)) == count
        assert points[-1] == day_start(day + timedelta(days=1), where)


def test_a_curve_point_stays_open_and_a_running_value_is_the_next_ones() -> None:
    (point,) = timetable(CURVE, shanghai(2026, 3, 15, 10), shanghai(2026, 3, 15, 10, 1), SHANGHAI)
    assert point.closes == point.at + timedelta(hours=6)
    (hour,) = timetable(HOURLY, shanghai(2026, 3, 15, 10), shanghai(2026, 3, 15, 10, 1), SHANGHAI)
    assert hour.closes == hour.at + timedelta(hours=1)


@pytest.mark.parametrize(
    ("plan", "window_s"),
    [(DAILY, 6 * 3600), (MONTHLY, 7200), (CURVE, 600), (HOURLY, 600), (Plan("nine", (ENERGY,), at_minute=540), 1800)],
)
def test_a_window_says_how_long_a_slot_stays_open(plan: Plan, window_s: int) -> None:
    short = Plan(plan.name, plan.read, plan.basis, plan.every_s, plan.at_minute, window_s=window_s)
    found = entries(short, date(2026, 3, 1), date(2026, 3, 1))
    assert found
    assert all(entry.closes - entry.due == timedelta(seconds=window_s) for entry in found)


def test_plans_and_profiles_know_the_same_words() -> None:
    assert set(WORDS) == set(profile.WORDS)


def test_what_words_stand_for_is_not_lost_after_an_hour() -> None:
    clocks = Plan("clocks", ("clock",), at_minute=180)
    (entry,) = entries(clocks, date(2026, 3, 15), date(2026, 3, 15))
    assert entry.closes == shanghai(2026, 3, 16, 3)
    mixed = Plan("mixed", ("clock", ENERGY), at_minute=180)
    (entry,) = entries(mixed, date(2026, 3, 15), date(2026, 3, 15))
    assert entry.closes == shanghai(2026, 3, 15, 4)


@pytest.mark.parametrize(
    ("plan", "at"),
    [
        (HOURLY, shanghai(2026, 3, 15, 10, 22)),
        (CURVE, shanghai(2026, 3, 15, 10, 15)),
        (DAILY, shanghai(2026, 3, 15)),
        (MONTHLY, shanghai(2026, 3, 1)),
        (Plan("three", (ENERGY,), Basis.SETTLEMENT, at_minute=5, days=(1, 11, 21)), shanghai(2026, 3, 11)),
        (Plan("late", (ENERGY,), Basis.SETTLEMENT, at_minute=5, days=(28,)), shanghai(2026, 2, 28)),
    ],
)
def test_the_newest_that_a_meter_can_have(plan: Plan, at: datetime) -> None:
    assert latest_at(plan, shanghai(2026, 3, 15, 10, 22), SHANGHAI) == at


@given(
    st.text(min_size=1, max_size=12),
    st.sampled_from([1, 120, 900, 3600, 21600]),
    st.sampled_from([DAILY, MONTHLY, CURVE, HOURLY, Plan("odd", (ENERGY,), every_s=7000)]),
)
def test_jitter_stays_within_the_window_and_its_own_width(meter: str, jitter_s: int, plan: Plan) -> None:
    spread_out = Plan(plan.name, plan.read, plan.basis, plan.every_s, plan.at_minute, jitter_s=jitter_s)
    for entry in entries(spread_out, date(2026, 3, 1), date(2026, 3, 1)):
        asked = spread(spread_out, meter, entry)
        assert entry.due <= asked < entry.closes
        assert asked - entry.due < timedelta(seconds=jitter_s)
        assert asked == spread(spread_out, meter, entry)


def test_jitter_spreads_meters_evenly() -> None:
    plan = Plan("daily", (ENERGY,), Basis.FREEZE, at_minute=5, jitter_s=600)
    (entry,) = entries(plan, date(2026, 3, 15), date(2026, 3, 15))
    minutes = [(spread(plan, f"M{n:05d}", entry) - entry.due) // timedelta(minutes=1) for n in range(5000)]
    assert all(350 < minutes.count(minute) < 650 for minute in range(10))


@pytest.mark.parametrize(
    ("plan", "at", "cutoff"),
    [
        (DAILY, shanghai(2026, 3, 15), shanghai(2026, 3, 15, 8)),
        (MONTHLY, shanghai(2026, 3, 1), shanghai(2026, 3, 1, 8)),
        (CURVE, shanghai(2026, 3, 15), shanghai(2026, 3, 15, 8)),
        (CURVE, shanghai(2026, 3, 15, 0, 15), shanghai(2026, 3, 16, 8)),
        (HOURLY, shanghai(2026, 3, 15), shanghai(2026, 3, 16, 8)),
    ],
)
def test_a_cut_off_is_of_the_day_after_the_data_day(plan: Plan, at: datetime, cutoff: datetime) -> None:
    eight = Plan(plan.name, plan.read, plan.basis, plan.every_s, plan.at_minute, cutoff_minute=480)
    assert cutoff_of(eight, at, SHANGHAI) == cutoff
    assert cutoff_of(plan, at, SHANGHAI) is None
    slot = Slot(plan.name, "m1", ENERGY, plan.basis, at)
    changed = at - timedelta(days=1)
    versions = [PlanVersion(plan, LONG_AGO, changed), PlanVersion(eight, changed)]
    assert cutoff_for(versions, slot, SHANGHAI) == cutoff
    assert cutoff_for([PlanVersion(plan, LONG_AGO)], slot, SHANGHAI) is None


def test_a_cut_off_in_a_night_that_skips_it() -> None:
    warsaw = ZoneInfo("Europe/Warsaw")
    plan = Plan("p", (ENERGY,), Basis.FREEZE, at_minute=5, cutoff_minute=150)
    assert cutoff_of(plan, day_start(date(2026, 3, 29), warsaw), warsaw) == datetime(2026, 3, 29, 1, tzinfo=UTC)
