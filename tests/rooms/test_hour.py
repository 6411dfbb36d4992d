"""The line that the daemon says every hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from collector.jobs.hour import HOUR, Hour

START = datetime(2026, 3, 15, 8, tzinfo=UTC)


def test_nothing_is_said_before_the_hour_is_over_and_each_hour_counts_anew() -> None:
    hour = Hour(START)
    hour.visited("m1", values=3)
    assert hour.over(START + HOUR - timedelta(seconds=1)) == ""
    assert hour.over(START + HOUR) == "in the last hour: 3 values read from 1 meters"
    assert hour.over(START + 2 * HOUR) == "in the last hour: 0 values read from 0 meters"


def test_who_gave_nothing_is_named_and_who_answered_once_is_not_silent() -> None:
    hour = Hour(START)
    for number in range(8):
        hour.visited(f"m{number}", values=0)
    hour.visited("m0", values=1)
    hour.visited("m0", values=0)
    hour.pushed(4)
    said = hour.over(START + HOUR)
    assert said.startswith(
        "in the last hour: 1 values read from 1 meters, 4 pushed; 7 gave nothing: m1, m2, m3, m4, m5 and 2 more"
    )
