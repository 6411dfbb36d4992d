"""Which day an instant belongs to, in the zone of the utility."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.days import data_day, day_bounds, day_start, from_local, utc_text
from storage.records import Basis

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
HAVANA = ZoneInfo("America/Havana")


@pytest.mark.parametrize("basis", [Basis.FREEZE, Basis.SETTLEMENT, Basis.CURVE])
def test_midnight_freeze_closes_the_day_before(basis: Basis) -> None:
    midnight = datetime(2026, 3, 15, tzinfo=SHANGHAI)
    assert data_day(midnight.astimezone(UTC), basis, SHANGHAI) == date(2026, 3, 14)
    assert data_day(midnight + timedelta(minutes=15), basis, SHANGHAI) == date(2026, 3, 15)


def test_instant_value_at_midnight_is_of_the_new_day() -> None:
    midnight = datetime(2026, 3, 14, 16, tzinfo=UTC)
    assert data_day(midnight, Basis.INSTANT, SHANGHAI) == date(2026, 3, 15)
    assert data_day(midnight - timedelta(microseconds=1), Basis.INSTANT, SHANGHAI) == date(2026, 3, 14)


def test_days_of_23_and_25_hours() -> None:
    hours = {
        day: (end - start) // timedelta(hours=1)
        for day in (28, 29, 30)
        for start, end in [day_bounds(date(2026, 3, day), BERLIN)]
    }
    assert hours == {28: 24, 29: 23, 30: 24}
    start, end = day_bounds(date(2026, 10, 25), BERLIN)
    assert end - start == timedelta(hours=25)


def test_a_midnight_that_is_skipped_is_the_instant_of_the_skip() -> None:
    # Havana, 2026-03-08: at 00:00 the clocks go to 01:00, so the day begins at 05:00 UTC.
    start = day_start(date(2026, 3, 8), HAVANA)
    assert start == datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert data_day(start, Basis.FREEZE, HAVANA) == date(2026, 3, 7)
    assert data_day(start, Basis.INSTANT, HAVANA) == date(2026, 3, 8)


def test_a_midnight_that_comes_twice_is_the_first() -> None:
    # Havana, 2026-11-01: at 01:00 daylight time the clocks go back to 00:00.
    assert day_start(date(2026, 11, 1), HAVANA) == datetime(2026, 11, 1, 4, tzinfo=UTC)


def test_skipped_and_doubled_hours_of_a_stamp() -> None:
    assert from_local(datetime(2026, 3, 29, 2, 30), BERLIN) == datetime(2026, 3, 29, 1, tzinfo=UTC)  # noqa: DTZ001 - a meter's stamp is naive
    assert from_local(datetime(2026, 10, 25, 2, 30), BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # noqa: DTZ001
    assert from_local(datetime(2026, 7, 1, 8, tzinfo=BERLIN), SHANGHAI) == datetime(2026, 7, 1, 6, tzinfo=UTC)


@given(
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2037, 1, 1)),  # noqa: DTZ001
    st.sampled_from([SHANGHAI, BERLIN, HAVANA, ZoneInfo("Asia/Kathmandu"), ZoneInfo("Africa/Cairo")]),
)
def test_every_instant_lies_in_its_day(moment: datetime, zone: ZoneInfo) -> None:
    instant = moment.replace(tzinfo=UTC)
    start, end = day_bounds(data_day(instant, Basis.INSTANT, zone), zone)
    assert start <= instant < end
    start, end = day_bounds(data_day(instant, Basis.FREEZE, zone), zone)
    assert start < instant <= end


def test_instants_leave_the_house_in_utc() -> None:
    assert utc_text(datetime(2026, 3, 15, tzinfo=SHANGHAI)) == "2026-03-14T16:00:00Z"
    assert utc_text(datetime(2026, 3, 15, 0, 0, 0, 250_000, tzinfo=UTC)) == "2026-03-15T00:00:00.250000Z"
