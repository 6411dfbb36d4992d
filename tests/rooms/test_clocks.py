"""What is thought of a clock, and when it may be changed."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from collector.acquisition.clocks import (
    ClockPolicy,
    Remedy,
    Verdict,
    may_broadcast,
    near_midnight,
    nearest,
    needs_date_again,
    password_rests_until,
    stamp_for,
    stand,
    told_today,
)
from collector.jobs.clock_rounds import show_drift, summary
from storage.care import ClockChange, ClockCheck, ClockHow
from storage.records import Plan

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 14, 4, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POLICY = ClockPolicy(limit=2 * MINUTE)


def check(drift: timedelta, *, at: datetime = NOON, uncertainty: timedelta = timedelta()) -> ClockCheck:
    return ClockCheck("m1", at, at + drift, uncertainty // timedelta(microseconds=1))


def change(
    before: timedelta = 3 * MINUTE, outcome: str = "ok", *, ago: timedelta = DAY, how: ClockHow = ClockHow.BROADCAST
) -> ClockChange:
    return ClockChange("m1", NOON - ago, how, "village-1", "li", "off", before, outcome)


@pytest.mark.parametrize(
    ("drift", "verdict", "remedy"),
    [
        (timedelta(), Verdict.RIGHT, Remedy.NONE),
        (2 * MINUTE, Verdict.RIGHT, Remedy.NONE),
        (-2 * MINUTE - timedelta(seconds=1), Verdict.OFF, Remedy.BROADCAST),
        (3 * MINUTE, Verdict.OFF, Remedy.BROADCAST),
        (5 * MINUTE, Verdict.OFF, Remedy.BROADCAST),
        (5 * MINUTE + timedelta(seconds=1), Verdict.FAR, Remedy.SET),
        (-2 * HOUR, Verdict.FAR, Remedy.SET),
        (365 * DAY, Verdict.FAR, Remedy.SET),
    ],
)
def test_a_clock_is_judged_against_the_limit(drift: timedelta, verdict: Verdict, remedy: Remedy) -> None:
    standing = stand(check(drift), (), POLICY)
    assert (standing.verdict, standing.remedy, standing.corrections) == (verdict, remedy, 0)


def test_what_may_be_beyond_a_broadcasts_reach_is_not_broadcast() -> None:
    near = check(timedelta(minutes=4, seconds=59), uncertainty=timedelta(seconds=2))
    assert stand(near, (), POLICY).verdict is Verdict.FAR


def test_off_again_after_two_corrections_is_faulty() -> None:
    off = check(3 * MINUTE)
    assert stand(off, [change(ago=20 * DAY)], POLICY).verdict is Verdict.OFF
    twice = [change(ago=20 * DAY), change(ago=DAY, how=ClockHow.SET)]
    standing = stand(off, twice, POLICY)
    assert (standing.verdict, standing.remedy, standing.corrections) == (Verdict.FAULTY, Remedy.VISIT, 2)
    assert stand(check(MINUTE), twice, POLICY).verdict is Verdict.RIGHT


@pytest.mark.parametrize(
    "no_correction",
    [
        change(ago=32 * DAY),
        change(outcome="no_answer"),
        change(outcome=""),
        change(MINUTE, "sent"),
        change(ago=-HOUR),
    ],
    ids=["long ago", "not heard", "interrupted", "was right", "after the check"],
)
def test_what_is_no_correction_of_the_month(no_correction: ClockChange) -> None:
    assert stand(check(3 * MINUTE), [change(), no_correction], POLICY).verdict is Verdict.OFF


@pytest.mark.parametrize("outcome", ["wrong_password", "no_answer", "", "bad_checksum"])
def test_a_password_that_may_have_been_wrong_rests_a_day(outcome: str) -> None:
    doubtful = change(outcome=outcome, ago=HOUR, how=ClockHow.SET)
    assert password_rests_until([change(), doubtful], NOON) == NOON + 23 * HOUR
    assert password_rests_until([doubtful], NOON + 23 * HOUR) is None


@pytest.mark.parametrize("outcome", ["ok", "unchanged", "sent", "refused", "connection_refused"])
def test_a_password_that_was_believed_or_never_left_does_not(outcome: str) -> None:
    assert password_rests_until([change(outcome=outcome, ago=HOUR, how=ClockHow.SET)], NOON) is None
    assert password_rests_until([change(outcome="", ago=HOUR, how=ClockHow.BROADCAST)], NOON) is None


@pytest.mark.parametrize(
    ("local", "quiet"),
    [
        (time(10, 22), True),
        (time(10, 10), True),
        (time(10, 50), True),
        (time(10, 9), False),
        (time(10, 51), False),
        (time(0, 30), False),
        (time(23, 30), False),
        (time(6, 22), False),
    ],
)
def test_the_time_is_told_in_a_quiet_hour(local: time, quiet: bool) -> None:
    plans = [Plan("morning", ("1-0:1.8.0",), at_minute=6 * 60 + 5), Plan("curve", ("1-0:16.7.0",), every_s=900)]
    now = datetime.combine(NOON.date(), local, tzinfo=SHANGHAI)
    assert may_broadcast(now.astimezone(UTC), SHANGHAI, plans) is quiet


def test_a_line_is_told_once_a_day() -> None:
    assert told_today([change(ago=HOUR)], NOON, SHANGHAI)
    assert told_today([change(ago=HOUR, outcome="")], NOON, SHANGHAI), "it may have been heard"
    assert not told_today([change(ago=13 * HOUR)], NOON, SHANGHAI), "yesterday, by the utility's zone"
    assert not told_today([change(ago=HOUR, how=ClockHow.SET)], NOON, SHANGHAI)


def test_no_clock_is_set_across_midnight() -> None:
    midnight = datetime(2026, 3, 14, 16, tzinfo=UTC)
    assert near_midnight(midnight - MINUTE, SHANGHAI)
    assert near_midnight(midnight + MINUTE, SHANGHAI)
    assert not near_midnight(midnight - 3 * MINUTE, SHANGHAI)
    assert not near_midnight(midnight + 3 * MINUTE, SHANGHAI)


def test_what_is_written_is_right_when_it_is_heard() -> None:
    now = NOON + timedelta(seconds=10, milliseconds=300)
    assert stamp_for(now, timedelta(milliseconds=400), SHANGHAI) == datetime(2026, 3, 14, 12, 0, 11)  # noqa: DTZ001 - a meter's clock knows no zone
    assert stamp_for(now, timedelta(milliseconds=100), SHANGHAI) == datetime(2026, 3, 14, 12, 0, 10)  # noqa: DTZ001 - as above


def test_an_hour_that_comes_twice_is_the_one_near_ours() -> None:
    berlin, shown = ZoneInfo("Europe/Berlin"), datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001 - as above
    for ours in (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)):
        assert nearest(shown, berlin, ours + MINUTE) == ours


def test_the_day_may_end_between_two_questions() -> None:
    assert needs_date_again(time(0, 0, 1), timedelta(seconds=1))
    assert needs_date_again(time(0, 0, 40), timedelta(minutes=1))
    assert not needs_date_again(time(0, 1), timedelta(seconds=1))
    assert not needs_date_again(time(23, 59, 59), timedelta(seconds=1)), "the date was asked before: the same day"


def test_drifts_and_the_days_line_are_for_people() -> None:
    drifts = [timedelta(seconds=1.56), -timedelta(minutes=3, seconds=20), timedelta(days=365), -2 * HOUR, timedelta()]
    assert [show_drift(one) for one in drifts] == ["+1.5s", "-3m20s", "+365d", "-2h", "+0.0s"]
    right, off = stand(check(timedelta()), (), POLICY), stand(check(-3 * MINUTE), (), POLICY)
    assert summary([right], POLICY) == "clocks: all 1 that were ever read are right within 2m"
    assert summary([right, off], POLICY) == "clocks: 1 of 2 are off by more than 2m: m1 off (-3m)"
    many = [replace(off, check=replace(off.check, meter=f"m{n}")) for n in range(12)]
    assert summary(many, POLICY).endswith("m9 off (-3m) and 2 more")
