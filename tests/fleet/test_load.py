"""What customers draw is exact, repeatable, bounded, and never falls."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.load import STEP_S, UJ_PER_KWH, Counts, Load
from simulators.shapes import SHAPES, TARIFF_BY_HOUR

SINCE = datetime(2024, 3, 1, 1, 2, 3, 456, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")


def load(kind: str = "household", *, seed: int = 7, name: str = "m", phases: int = 1, limit_w: int = 13_200) -> Load:
    return Load(SHAPES[kind], seed=seed, name=name, zone=ZONE, since=SINCE, phases=phases, limit_w=limit_w)


instants = st.integers(0, 5 * 86_400 * 10**6).map(lambda us: SINCE + timedelta(microseconds=us))
kinds = st.sampled_from(sorted(SHAPES))


@settings(max_examples=60, deadline=None)
@given(kinds, st.integers(1, 3), instants, instants)
def test_registers_never_fall_and_stay_within_the_capacity(
    kind: str, phases: int, one: datetime, two: datetime
) -> None:
    customer = load(kind, phases=phases, limit_w=2_000)
    early, late = sorted((one, two))
    drawn = customer.counts(late) - customer.counts(early)
    assert min(drawn.row) >= 0
    assert drawn.total <= 2_000 * phases * ((late - early) // timedelta(microseconds=1))


@settings(max_examples=30, deadline=None)
@given(kinds, instants, st.integers(1, 900))
def test_energy_is_the_sum_of_power_over_time(kind: str, start: datetime, seconds: int) -> None:
    """The integral, taken second by second: power changes only at multiples of the step."""
    customer = load(kind, phases=3)
    begin = start.replace(microsecond=0)
    if begin < SINCE:
        begin += timedelta(seconds=1)
    counted = Counts()
    for second in range(seconds):
        counted += customer.power(begin + timedelta(seconds=second)).over(1_000_000)
    assert customer.counts(begin + timedelta(seconds=seconds)) - customer.counts(begin) == counted


@settings(max_examples=30, deadline=None)
@given(st.lists(instants, min_size=1, max_size=6))
def test_a_load_answers_the_same_in_any_order(asked: list[datetime]) -> None:
    one, other = load(), load()
    forwards = [one.counts(at) for at in asked]
    backwards = [other.counts(at) for at in reversed(asked)][::-1]
    assert forwards == backwards
    assert [one.power(at) for at in asked] == [load().power(at) for at in asked]


def test_tariffs_and_phases_each_add_up_to_the_total() -> None:
    drawn = load("shop", phases=3).counts(SINCE + timedelta(days=3, minutes=7))
    assert drawn.total == sum(drawn.phases) > 0
    assert all(drawn.tariffs)


def test_what_is_drawn_at_night_counts_as_valley() -> None:
    customer = load()
    midnight = datetime(2024, 3, 2, tzinfo=ZONE)
    drawn = customer.counts(midnight + timedelta(hours=7)) - customer.counts(midnight)
    assert drawn.tariffs[3] == drawn.total > 0
    assert TARIFF_BY_HOUR[3] == 4
    assert len(TARIFF_BY_HOUR) == 24


def test_seed_and_name_make_the_customer() -> None:
    at = SINCE + timedelta(days=1)
    assert load().counts(at) == load().counts(at)
    assert load(seed=8).counts(at) != load().counts(at)
    assert load(name="n").counts(at) != load().counts(at)


def test_a_load_is_the_same_on_every_machine() -> None:
    """A number that stands here for good: a change of it makes every old truth file false."""
    assert load().counts(SINCE + timedelta(days=1)).total == 39_276_495_029_640


def test_nothing_is_counted_before_the_meter_was_mounted() -> None:
    assert load().counts(SINCE - timedelta(days=1)) == Counts()
    assert load().counts(SINCE) == Counts()


@pytest.mark.parametrize(("kind", "low", "high"), [("household", 5, 20), ("shop", 35, 75), ("pump", 25, 60)])
def test_a_day_has_the_size_one_expects(kind: str, low: int, high: int) -> None:
    midnight = datetime(2024, 3, 2, tzinfo=ZONE)
    customer = load(kind, phases=3)
    day = customer.counts(midnight + timedelta(days=1)) - customer.counts(midnight)
    assert low * UJ_PER_KWH < day.total < high * UJ_PER_KWH


def test_every_hour_of_a_shape_is_there() -> None:
    assert {len(hours) for shape in SHAPES.values() for hours in (shape.workday, shape.day_off)} == {24}
    assert 3600 % STEP_S == 0, "a tariff begins with a step"
