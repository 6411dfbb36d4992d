"""Whole series before the rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.vee.judge import Ruleset, judge
from collector.vee.rules import RULES, Parameters
from storage.records import Quality, Series
from storage.values import MILLION
from tests.rooms.vee_series import HOUR, START, hourly, registered, village_profile

NOW = datetime(2026, 4, 1, tzinfo=UTC)
RULESET = Ruleset(profiles={"village_meter": village_profile()})


def verdicts(series: Series) -> list[str]:
    """`ok`, or the rules that spoke."""
    return [" ".join(finding.rule for finding in one.findings) or "ok" for one in judge(series, RULESET, made_at=NOW)]


def test_verified_is_what_no_rule_spoke_against() -> None:
    (one, two) = judge(hourly([1_000, 1_500]), RULESET, made_at=NOW)
    assert (one.quality, two.quality) == (Quality.VERIFIED, Quality.VERIFIED)
    assert (two.point, two.meter, two.time, two.n, two.value) == ("p1", "m1", START + HOUR, 1, None)
    assert (two.ruleset, two.made_at, two.findings) == (RULESET.version, NOW, ())


def test_a_wrong_jump_condemns_itself_alone() -> None:
    assert verdicts(hourly([1_000, 2_000, 900_000, 3_000, 4_000])) == ["ok", "ok", "out_of_range", "ok", "ok"]


def test_a_wrong_fall_condemns_itself_alone() -> None:
    assert verdicts(hourly([1_000, 2_000, 10, 3_000])) == ["ok", "ok", "register_decreased", "ok"]


def test_a_good_value_after_a_long_silence_is_no_jump() -> None:
    series = hourly([1_000, 900_000, 2_000, 60_000])
    late = replace(series, times=(*series.times[:3], series.times[2] + timedelta(hours=5)))
    assert verdicts(late) == ["ok", "out_of_range", "ok", "ok"]


def test_a_conflict_is_suspect_and_nothing_is_compared_with_it() -> None:
    assert verdicts(hourly([1_000, 9_000, 1_500], conflicted=(1,))) == ["ok", "conflict", "ok"]


def test_released_values_before_are_compared_with_and_not_judged_again() -> None:
    assert verdicts(hourly([5_000, 4_000], judge_from=1)) == ["register_decreased"]


def test_a_later_verdict_follows_the_earlier_one() -> None:
    (again,) = judge(hourly([1_000, 2_000], judge_from=1, conflicted=(1,), revisions=(1, 3)), RULESET, made_at=NOW)
    assert (again.n, again.quality) == (4, Quality.SUSPECT)


def test_the_first_value_is_compared_with_the_start_reading() -> None:
    there = registered(un_v=220 * MILLION, imax_a=60 * MILLION, start_readings={"1-0:1.8.0": 500 * MILLION})
    assert verdicts(hourly([499_000, 501_000], there=there, first=START + HOUR)) == ["register_decreased", "ok"]
    assert verdicts(hourly([600_000], there=there, first=START + HOUR)) == ["out_of_range"]
    assert verdicts(hourly([600_000], there=there, first=START + HOUR * 24)) == ["ok"]
    (wrong,) = judge(hourly([499_000], there=there, first=START + HOUR), RULESET, made_at=NOW)
    assert wrong.findings[0].evidence["last_origin"] == "start_reading"


def test_a_start_reading_stands_before_what_was_read_elsewhere() -> None:
    there = registered(un_v=220 * MILLION, imax_a=60 * MILLION, start=START + HOUR, start_readings={"1-0:1.8.0": 0})
    assert verdicts(hourly([5_000, 10], judge_from=1, there=there)) == ["ok"]


def test_without_a_start_reading_the_register_goes_on() -> None:
    there = registered(start=START + HOUR)
    assert verdicts(hourly([5_000, 10], judge_from=1, there=there)) == ["register_decreased"]


def test_a_start_reading_says_nothing_of_what_was_before() -> None:
    there = registered(start=START + HOUR * 10, start_readings={"1-0:1.8.0": 500 * MILLION})
    assert verdicts(hourly([5_000, 6_000], there=there)) == ["ok", "ok"]


def test_an_unknown_profile_still_lets_the_registry_speak() -> None:
    bare = Ruleset()
    found = judge(hourly([1_000, 900_000]), bare, made_at=NOW)
    assert [one.quality for one in found] == [Quality.VERIFIED, Quality.SUSPECT]


def test_a_ruleset_is_named_by_its_rules_and_thresholds() -> None:
    same = Ruleset(profiles={})
    assert same.version == RULESET.version
    assert Ruleset(rules=RULES[:2]).version != same.version
    assert Ruleset(parameters=Parameters(margin=Fraction(1))).version != same.version


STEPS = st.lists(st.integers(min_value=0, max_value=13_000), min_size=1, max_size=30)


@given(STEPS)
def test_a_meter_within_its_plate_is_never_suspected(steps: list[int]) -> None:
    values = [sum(steps[: n + 1]) for n in range(len(steps))]
    assert set(verdicts(hourly(values))) == {"ok"}


@given(STEPS, st.data())
def test_one_wrong_value_condemns_no_other(steps: list[int], data: st.DataObject) -> None:
    values = [100_000 + sum(steps[: n + 1]) for n in range(len(steps))]
    place = data.draw(st.integers(min_value=0, max_value=len(values) - 1))
    wrong = data.draw(st.one_of(st.integers(-10, -1), st.integers(10_000_000, 99_000_000)))
    broken = [*values[:place], wrong, *values[place + 1 :]]
    found = verdicts(hourly([values[0], *broken], judge_from=1, first=START))
    assert found[place] != "ok"
    assert {verdict for n, verdict in enumerate(found) if n != place} <= {"ok"}


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=25), st.integers(0, 24), st.integers(0, 24))
def test_judging_in_parts_is_judging_at_once(values: list[int], cut: int, conflict: int) -> None:
    """The ledger leads the second part by the last released value of the first."""
    cut = min(cut, len(values))
    whole = judge(hourly(values, conflicted=(conflict,)), RULESET, made_at=NOW)
    assert whole == judge(hourly(values, conflicted=(conflict,)), RULESET, made_at=NOW)
    released = [n for n, one in enumerate(whole[:cut]) if one.quality is Quality.VERIFIED][-1:]
    kept = [*released, *range(cut, len(values))]
    all_of_it = hourly(values, conflicted=(conflict,))
    rest = replace(
        all_of_it,
        times=tuple(all_of_it.times[n] for n in kept),
        values=tuple(all_of_it.values[n] for n in kept),
        resolutions=tuple(all_of_it.resolutions[n] for n in kept),
        conflicted=tuple(all_of_it.conflicted[n] for n in kept),
        revisions=tuple(all_of_it.revisions[n] for n in kept),
        judge_from=len(released),
    )
    assert judge(rest, RULESET, made_at=NOW) == whole[cut:]


@pytest.mark.parametrize("rule", RULES)
def test_rules_have_ids_of_their_own(rule: object) -> None:
    assert [other.__name__ for other in RULES].count(rule.__name__) == 1  # type: ignore[attr-defined]
