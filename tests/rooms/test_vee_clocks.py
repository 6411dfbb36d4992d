"""By how much a clock was off when it stamped a value; each stamp is on the meter's own scale."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from collector.vee.clocks import ClockRecord, Shift, record_of
from collector.vee.judge import Ruleset, judge
from storage.care import ClockChange, ClockCheck, ClockHow
from storage.records import Basis, Quality
from tests.rooms.vee_series import START, hourly

MIDNIGHT = datetime(2026, 3, 14, 16, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOTHING = timedelta()


def check(at: datetime, drift: timedelta) -> ClockCheck:
    return ClockCheck("m1", at, at + drift, 0)


def change(at: datetime, before: timedelta, after: timedelta | None = NOTHING) -> ClockChange:
    return ClockChange("m1", at, ClockHow.SET, "v", "li", "x", before, "ok", "", at, after)


def test_the_worse_of_the_checks_around_a_stamp_counts() -> None:
    record = ClockRecord((check(MIDNIGHT - DAY, MINUTE), check(MIDNIGHT + HOUR, 3 * MINUTE)))
    assert record.drift(MIDNIGHT) == 3 * MINUTE
    assert record.drift(MIDNIGHT - 2 * DAY) == MINUTE
    assert record.drift(MIDNIGHT + 2 * DAY) == 3 * MINUTE


def test_a_check_far_away_says_nothing() -> None:
    record = ClockRecord((check(MIDNIGHT, 3 * MINUTE),))
    assert record.drift(MIDNIGHT + 9 * DAY) is None
    assert record.drift(MIDNIGHT - 9 * DAY) is None
    assert ClockRecord().drift(MIDNIGHT) is None


def test_a_change_ends_what_was_known() -> None:
    """Set at ten, read before and after: last midnight's freeze is doubtful, tonight's is not."""
    ten = MIDNIGHT - 14 * HOUR
    checks = (check(ten - MINUTE, 5 * MINUTE), check(ten + MINUTE, NOTHING))
    record = ClockRecord(checks, (change(ten, 5 * MINUTE),))
    assert record.drift(MIDNIGHT) == NOTHING
    assert record.drift(MIDNIGHT - DAY) == 5 * MINUTE


def test_a_stamp_that_was_shown_twice_is_as_doubtful_as_the_worse() -> None:
    ten = MIDNIGHT - 14 * HOUR
    checks = (check(ten - MINUTE, 5 * MINUTE), check(ten + MINUTE, NOTHING))
    record = ClockRecord(checks, (change(ten, 5 * MINUTE),))
    assert record.drift(ten + 3 * MINUTE) == 5 * MINUTE, "once before it was put back, once after"


def test_a_clock_that_lost_a_year_dates_last_years_days() -> None:
    """Yesterday's freeze was dated by a clock that was right; today's carries a date of last year."""
    year = 365 * DAY
    record = ClockRecord((check(MIDNIGHT - DAY, NOTHING), check(MIDNIGHT + HOUR, -year)))
    assert record.drift(MIDNIGHT - DAY) == NOTHING
    assert record.drift(MIDNIGHT - year) == -year


def test_what_changed_nothing_that_is_known_is_no_change() -> None:
    ten = MIDNIGHT - 14 * HOUR
    record = ClockRecord((check(ten - HOUR, MINUTE),), (change(ten, MINUTE, None),))
    assert record.drift(MIDNIGHT) == MINUTE
    assert record.shift(ten - DAY, ten + DAY) is None


def test_an_interval_with_a_step_in_it() -> None:
    ten = MIDNIGHT - 14 * HOUR
    slow = ClockRecord((), (change(ten, -3 * MINUTE),))
    quarter = 15 * MINUTE
    assert slow.shift(ten - quarter, ten) == Shift(3 * MINUTE)
    assert slow.shift(ten, ten + quarter) is None
    fast = ClockRecord((), (change(ten + 7 * MINUTE, 3 * MINUTE),))
    assert fast.shift(ten, ten + quarter) == Shift(-3 * MINUTE)
    assert fast.shift(ten + quarter, ten + 2 * quarter) is None


def test_records_are_by_meter() -> None:
    found = record_of([check(MIDNIGHT, MINUTE)], [change(MIDNIGHT, MINUTE)])
    assert set(found) == {"m1"}
    assert (len(found["m1"].checks), len(found["m1"].changes)) == (1, 1)


def curve(record: ClockRecord) -> list[str]:
    """Five hourly points, and the interval that each is marked with."""
    points = replace(hourly([1_000, 1_100, 1_200, 1_300, 1_400]), basis=Basis.CURVE)
    revisions = judge(points, Ruleset(), made_at=MIDNIGHT, clock=record)
    assert all(one.quality is (Quality.SUSPECT if one.findings else Quality.VERIFIED) for one in revisions)
    return [" ".join(found.evidence["interval"] for found in one.findings) for one in revisions]


def test_the_curve_interval_around_a_change_is_marked() -> None:
    """Put forward or back by a minute at half past one, between the second and the third point."""
    half_past = START + HOUR + 30 * MINUTE
    assert curve(ClockRecord()) == ["", "", "", "", ""]
    assert curve(ClockRecord((), (change(half_past, -MINUTE),))) == ["", "", "short", "", ""]
    assert curve(ClockRecord((), (change(half_past, MINUTE),))) == ["", "", "long", "", ""]
    seconds = timedelta(seconds=5)
    assert curve(ClockRecord((), (change(half_past, seconds),))) == ["", "", "", "", ""]
