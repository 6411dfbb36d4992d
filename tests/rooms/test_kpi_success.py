"""Success rates that leave nothing out."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.kpi.success import GROUPINGS, Due, Success, percent, success
from storage.records import DayCount

DAY = date(2026, 3, 14)
NOW = datetime(2026, 3, 15, 1, tzinfo=UTC)
WHERE: dict[str, Any] = {
    "day": DAY,
    "plan": "daily",
    "channel": "bus",
    "terminal": "t1",
    "area": "north",
    "station": "s1",
    "class_": "household",
    "profile": "p",
}


def due(slots: int, **where: Any) -> Due:
    return Due(**{**WHERE, **where}, slots=slots)


def came(slots: int, first_round: int = 0, **where: Any) -> DayCount:
    return DayCount(**{**WHERE, **where}, reason="", slots=slots, first_round=first_round)


def missing(slots: int, reason: str = "no_answer", **where: Any) -> DayCount:
    return DayCount(**{**WHERE, **where}, reason=reason, slots=slots)


def report(*lines: Due | DayCount, by: str = "area") -> list[Success]:
    return list(
        success(
            [line for line in lines if isinstance(line, Due)],
            [line for line in lines if isinstance(line, DayCount)],
            by=by,
            as_of=NOW,
            protocols={"bus": "dlt645"},
        )
    )


def test_what_came_and_what_did_not() -> None:
    (line,) = report(due(1000), came(997, first_round=990), missing(3))
    assert line == Success(DAY, "area", "north", "read", NOW, 1000, 990, 997, 3, 0, "99.70")


def test_what_nobody_tried_is_missing() -> None:
    (line,) = report(due(10), came(6), missing(1))
    assert (line.expected, line.final, line.missing, line.rate) == (10, 6, 4, "60.00")


def test_a_day_on_which_nothing_came_is_nought() -> None:
    (line,) = report(due(10))
    assert (line.final, line.missing, line.rate) == (0, 10, "0.00")


def test_on_demand_stays_out_of_the_rates() -> None:
    (line,) = report(due(1), came(1), missing(5, plan=""))
    assert (line.expected, line.missing) == (1, 0)


def test_what_was_counted_under_an_older_registry_was_due() -> None:
    (line,) = report(due(3), came(4), missing(1))
    assert (line.expected, line.final, line.missing) == (5, 4, 1)


def test_groups_and_days_stand_apart() -> None:
    later = date(2026, 3, 15)
    lines = report(due(2), due(3, area="south"), due(1, day=later), came(3, area="south"))
    assert [(line.day, line.group, line.expected, line.rate) for line in lines] == [
        (DAY, "north", 2, "0.00"),
        (DAY, "south", 3, "100.00"),
        (later, "north", 1, "0.00"),
    ]


@pytest.mark.parametrize(
    ("by", "group"),
    [
        ("day", "2026-03-14"),
        ("area", "north"),
        ("station", "s1"),
        ("channel", "bus"),
        ("protocol", "dlt645"),
        ("profile", "p"),
        ("class", "household"),
        ("terminal", "t1"),
        ("plan", "daily"),
    ],
)
def test_every_grouping(by: str, group: str) -> None:
    assert by in GROUPINGS
    assert [line.group for line in report(due(1), came(1), by=by)] == [group]


def test_rates_are_cut_not_rounded() -> None:
    assert [percent(99_996, 100_000), percent(1, 3), percent(3, 3), percent(0, 0)] == ["99.99", "33.33", "100.00", None]


LINES = st.lists(
    st.one_of(
        st.builds(due, st.integers(0, 50), area=st.sampled_from("ab")),
        st.builds(came, st.integers(0, 50), area=st.sampled_from("ab")),
        st.builds(
            missing, st.integers(0, 50), area=st.sampled_from("ab"), reason=st.sampled_from(["no_answer", "refused"])
        ),
    )
)


@given(LINES)
def test_expected_is_collected_and_missing(lines: list[Due | DayCount]) -> None:
    for line in report(*lines):
        assert line.expected == line.final + line.missing
        assert line.missing >= 0
        assert (line.rate == "100.00") == (line.expected > 0 and line.missing == 0)
