"""Lines for billing: what the meter shows, with its multiplier beside it."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.billing.select import exact_text, rows_for
from storage.errors import DeliveryRefused
from storage.records import Quality, Source
from tests.rooms.billing_values import MIDNIGHT, reading, row, undelivered
from tests.rooms.vee_series import registered, village_profile

PROFILES = {"village_meter": village_profile()}


def test_a_verified_register_is_a_reading() -> None:
    (made,) = rows_for([undelivered()], PROFILES)
    assert made == row(seq=0)


def test_the_value_has_the_decimals_of_the_register() -> None:
    values = [
        undelivered(reading(120_000_000, resolution=10_000)),
        undelivered(reading(7_000_000, resolution=1_000_000)),
    ]
    assert [made.value for made in rows_for(values, PROFILES)] == ["120.00", "7"]


def test_multipliers_stand_beside_the_value() -> None:
    there = registered(ct=(100, 5), pt=(10_000, 100))
    (made,) = rows_for([undelivered(there=there)], PROFILES)
    assert (made.value, made.multiplier) == ("123.450", "2000")


def test_primary_registers_are_not_multiplied_again() -> None:
    primary = {"village_meter": village_profile(primary=True)}
    (made,) = rows_for([undelivered(there=registered(ct=(100, 5)))], primary)
    assert made.multiplier == "1"


def test_a_change_is_a_correction_that_names_what_it_replaces() -> None:
    (made,) = rows_for(
        [undelivered(value=124_000_000, quality=Quality.EDITED, revision=3, replaces=row(seq=17))], PROFILES
    )
    assert (made.type, made.replaces, made.old_value, made.value, made.reason) == (
        "CORRECTION",
        17,
        "123.450",
        "124.000",
        "edited",
    )
    assert (made.quality, made.source, made.revision) == (Quality.EDITED, Source.EDIT, 3)


def test_an_estimate_says_that_it_is_one() -> None:
    (made,) = rows_for([undelivered(quality=Quality.ESTIMATED)], PROFILES)
    assert (made.quality, made.source) == (Quality.ESTIMATED, Source.ESTIMATE)


@pytest.mark.parametrize("quality", [Quality.RAW, Quality.SUSPECT, Quality.MISSING])
def test_what_is_not_released_is_refused(quality: Quality) -> None:
    with pytest.raises(DeliveryRefused, match=f"is {quality} and not released"):
        rows_for([undelivered(quality=quality)], PROFILES)


def test_what_is_not_billable_is_refused() -> None:
    with pytest.raises(DeliveryRefused, match="not released for billing"):
        rows_for([undelivered(reading(billable=False))], PROFILES)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Fraction(1), "1"),
        (Fraction(20), "20"),
        (Fraction(1, 2), "0.5"),
        (Fraction(3, 80), "0.0375"),
        (Fraction(-5, 4), "-1.25"),
        (Fraction(100, 3), "100/3"),
    ],
)
def test_multipliers_are_exact_in_text(number: Fraction, text: str) -> None:
    assert exact_text(number) == text


@given(st.fractions(max_denominator=10_000))
def test_the_text_of_a_multiplier_is_the_multiplier(number: Fraction) -> None:
    assert Fraction(exact_text(number)) == number


def test_the_time_is_the_meters() -> None:
    (made,) = rows_for([undelivered()], PROFILES)
    assert made.time == MIDNIGHT
