"""Rates by their definitions: what counts, what is left out, and why a rate moved."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.kpi.change import PER_METER, Change, failing, moved
from collector.kpi.cutoffs import CUTOFFS, as_of
from collector.kpi.rates import GROUPINGS, Day, Metric, grouping, rates
from collector.kpi.success import Success
from storage.dues import Counted, MeterDay, Tried

DAY = date(2026, 3, 14)
NOON = datetime(2026, 3, 15, 4, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def due(meter: str, **told: object) -> MeterDay:
    usual: dict[str, object] = {"total": True, "freezes": 5, "points": 96, "automatic": True, "area": "north"}
    return MeterDay(DAY, meter, f"P-{meter}", "bus", **(usual | told))  # type: ignore[arg-type]


def counted(**slots: tuple[int, int]) -> dict[str, Counted]:
    return {meter: Counted(meter, *numbers) for meter, numbers in slots.items()}


Figures = tuple[str, int, int, int, int, int, str | None]


def figures(day: Day, metric: Metric, by: str = "day") -> list[Figures]:
    lines = rates([day], [metric], by=by, key=grouping(by, {"bus": "dlt645"}, {}), summed=False)
    return [
        (line.group, line.expected, line.first_round, line.final, line.missing, line.paused, line.rate)
        for line in lines
    ]


VILLAGE = Day(
    DAY,
    NOON,
    (
        due("a", reading_day=True),
        due("b"),
        due("c", area="south"),
        due("d", paused_total=True, paused_freezes=5, paused_points=40),
        due("e", total=False, freezes=0, points=0, automatic=False),
    ),
    totals=counted(a=(1, 1), b=(2, 0), d=(1, 1)),
    freezes=counted(a=(5, 5), b=(4, 4), d=(5, 5)),
    points=counted(a=(96, 90), b=(50, 50), d=(96, 96)),
    tries=(Tried("a", "bus", 4, 4), Tried("b", "bus", 6, 3), Tried("x", "radio", 2, 0)),
)


def test_read_counts_meters_and_leaves_out_who_is_paused() -> None:
    assert figures(VILLAGE, Metric.READ) == [("2026-03-14", 3, 1, 2, 1, 1, "66.66")]
    assert figures(VILLAGE, Metric.READ, "area") == [
        ("north", 2, 1, 2, 0, 1, "100.00"),
        ("south", 1, 0, 0, 1, 0, "0.00"),
    ]


def test_all_items_wants_every_one() -> None:
    assert figures(VILLAGE, Metric.ALL_ITEMS) == [("2026-03-14", 3, 1, 1, 2, 1, "33.33")]


def test_curve_counts_points() -> None:
    # d owes the 56 points of its hours without pause, and has them
    assert figures(VILLAGE, Metric.CURVE) == [("2026-03-14", 3 * 96 + 56, 196, 202, 142, 40, "58.72")]


def test_reading_day_counts_those_that_are_billed_by_it() -> None:
    assert figures(VILLAGE, Metric.READING_DAY) == [("2026-03-14", 1, 1, 1, 0, 0, "100.00")]


def test_messages_count_where_they_went() -> None:
    assert figures(VILLAGE, Metric.MESSAGE, "channel") == [
        ("bus", 10, 7, 7, 3, 0, "70.00"),
        ("radio", 2, 0, 0, 2, 0, "0.00"),
    ]
    assert figures(VILLAGE, Metric.MESSAGE, "protocol") == [
        ("", 2, 0, 0, 2, 0, "0.00"),
        ("dlt645", 10, 7, 7, 3, 0, "70.00"),
    ]


def test_coverage_counts_points() -> None:
    assert figures(VILLAGE, Metric.COVERAGE) == [("2026-03-14", 5, 4, 4, 1, 0, "80.00")]


def test_a_month_is_sum_by_sum() -> None:
    """One meter on one day, 99 on the next: the mean of the rates would be 50 %."""
    few = replace(VILLAGE, dues=(due("a"),), totals={})
    names = [f"m{n}" for n in range(99)]
    many = Day(DAY + timedelta(days=1), NOON, tuple(replace(due(name), day=DAY + timedelta(days=1)) for name in names),
               totals=counted(**dict.fromkeys(names, (1, 1))), freezes={}, points={})  # fmt: skip
    (line,) = rates([few, many], [Metric.READ], by="month", key=grouping("month", {}, {}), summed=False)
    assert (line.group, line.day, line.expected, line.final, line.rate) == (
        "2026-03",
        date(2026, 3, 1),
        100,
        99,
        "99.00",
    )
    (line,) = rates([few, many], [Metric.READ], by="area", key=grouping("area", {}, {}), summed=True)
    assert (line.group, line.day, line.expected, line.rate) == ("north", DAY, 100, "99.00")


def test_what_was_not_due_has_no_line() -> None:
    nothing = Day(DAY, NOON, (due("a", total=False, freezes=0, points=0),), {}, {}, {})
    assert rates([nothing], [Metric.READ, Metric.CURVE], by="day", key=grouping("day", {}, {}), summed=False) == ()


@pytest.mark.parametrize("by", GROUPINGS)
def test_every_grouping_adds_up(by: str) -> None:
    for metric in Metric:
        assert totals(figures(VILLAGE, metric, by)) == totals(figures(VILLAGE, metric))


def totals(lines: list[Figures]) -> list[int]:
    """Of due, first round, collected, missing, paused."""
    return [sum(column) for column in zip(*(line[1:6] for line in lines), strict=True)]


def test_cut_offs() -> None:
    later = datetime(2026, 4, 1, tzinfo=UTC)
    local = [as_of(name, DAY, later, SHANGHAI).astimezone(SHANGHAI).strftime("%m-%d %H:%M") for name in CUTOFFS]
    assert local == ["03-15 08:00", "03-16 00:00", "03-18 00:00", "03-22 00:00", "04-01 08:00"]
    assert {as_of(name, DAY, NOON - timedelta(hours=20), SHANGHAI) for name in CUTOFFS} == {NOON - timedelta(hours=20)}


# --- why ----------------------------------------------------------------------------------------------------------------------


def test_who_made_the_rate_move() -> None:
    before = Day(
        DAY, NOON, (due("back"), due("lost"), due("same"), due("gone"), due("rests"), due("wakes", paused_total=True)),
        counted(lost=(1, 1), same=(1, 1), gone=(1, 1), rests=(1, 1)), {}, {},
    )  # fmt: skip
    after = Day(
        DAY, NOON, (due("back"), due("lost"), due("same"), due("new"), due("rests", paused_total=True), due("wakes")),
        counted(back=(1, 0), same=(1, 1), rests=(1, 1)), {}, {},
    )  # fmt: skip
    assert [(one.change, one.meter, one.was_there, one.there) for one in moved(Metric.READ, before, after)] == [
        (Change.RECOVERED, "back", False, True),
        (Change.NEWLY_FAILED, "lost", True, False),
        (Change.NEWLY_DUE, "new", False, False),
        (Change.NO_LONGER_DUE, "gone", True, False),
        (Change.SUSPENDED, "rests", True, False),
        (Change.RESUMED, "wakes", False, False),
    ]
    assert [one.meter for one in failing(Metric.READ, after)] == ["lost", "new", "wakes"]


METERS = st.builds(
    due,
    st.sampled_from("abcdef"),
    total=st.booleans(),
    paused_total=st.booleans(),
    freezes=st.integers(0, 3),
    paused_freezes=st.just(0),
    reading_day=st.booleans(),
)
COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3)).map(
    lambda found: {meter: Counted(meter, slots, 0) for meter, slots in found.items()}
)
DAYS = st.builds(
    lambda dues, totals, freezes: Day(DAY, NOON, dues, totals, freezes, {}),
    st.lists(METERS, unique_by=lambda one: one.meter).map(
        lambda dues: tuple(replace(one, paused_total=one.paused_total and one.total) for one in dues)
    ),
    COUNTS,
    COUNTS,
)


@given(before=DAYS, after=DAYS, metric=st.sampled_from(PER_METER))
def test_the_lists_explain_the_whole_difference(before: Day, after: Day, metric: Metric) -> None:
    old, new = figures_of(before, metric), figures_of(after, metric)
    came, went = {Change.NEWLY_DUE, Change.RESUMED}, {Change.NO_LONGER_DUE, Change.SUSPENDED}
    found = moved(metric, before, after)
    expected = sum((one.change in came) - (one.change in went) for one in found)
    final = sum(one.there - one.was_there for one in found)
    assert (old[0] + expected, old[1] + final) == new


def figures_of(day: Day, metric: Metric) -> tuple[int, int]:
    lines: tuple[Success, ...] = rates([day], [metric], by="day", key=grouping("day", {}, {}), summed=False)
    return sum(line.expected for line in lines), sum(line.final for line in lines)
