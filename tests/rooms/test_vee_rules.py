"""Each rule alone: what trips it, what does not, and the evidence it shows."""

from dataclasses import replace
from fractions import Fraction

import pytest

from collector.vee.bounds import LINE_TO_LINE, capacity, quantity_of, rating_of
from collector.vee.rules import RULES, Case
from storage.values import MILLION
from tests.rooms.vee_cases import IMPORT, PASSES, TRIPS, case
from tests.rooms.vee_series import registered, village_profile

BY_ID = {rule.__name__: rule for rule in RULES}


@pytest.mark.parametrize(
    ("rule", "told"),
    [pytest.param(rule, told, id=f"{rule}: {name}") for rule, cases in TRIPS.items() for name, told in cases.items()],
)
def test_trips(rule: str, told: Case) -> None:
    evidence = BY_ID[rule](told)
    assert evidence is not None
    assert "value" in evidence


@pytest.mark.parametrize(
    ("rule", "told"),
    [pytest.param(rule, told, id=f"{rule}: {name}") for rule, cases in PASSES.items() for name, told in cases.items()],
)
def test_passes(rule: str, told: Case) -> None:
    assert BY_ID[rule](told) is None


def test_a_finding_shows_its_limit_and_where_that_is_from() -> None:
    evidence = BY_ID["out_of_range"](case(IMPORT, "114", "100"))
    assert evidence == {
        "value": "114.000",
        "last_value": "100.000",
        "last_time": "2026-03-14T16:00:00+00:00",
        "last_origin": "reading",
        "step": "14.000",
        "limit": "13.371034",
        "limit_source": "capacity_by_time:registry",
    }


def test_a_fall_says_how_far() -> None:
    evidence = BY_ID["register_decreased"](case(IMPORT, "99.5", "100"))
    assert evidence is not None
    assert evidence["fell_by"] == "0.500"


def test_the_root_of_three_is_never_too_low() -> None:
    assert LINE_TO_LINE**2 > 3
    assert Fraction(1, 100_000) > LINE_TO_LINE**2 - 3


def test_the_registry_speaks_before_the_profile() -> None:
    model = village_profile(un_v="230", imax_a="100", digits=5)
    rating = rating_of(registered(imax_a=60 * MILLION), model)
    assert (rating.un_v, rating.imax_a, rating.digits, rating.wiring, rating.origin) == (
        230 * MILLION,
        60 * MILLION,
        5,
        "1p",
        "registry",
    )
    assert rating_of(registered(), model).origin == "profile"


def test_transformers_count_only_where_registers_are_primary() -> None:
    there = registered(ct=(100, 5), pt=(10, 1))
    assert (rating_of(there, village_profile()).ct, rating_of(there, None).pt) == (Fraction(1), Fraction(1))
    primary = rating_of(there, village_profile(primary=True))
    assert (primary.ct, primary.pt) == (Fraction(20), Fraction(10))


def test_a_models_phase_voltage_is_not_taken_for_that_between_lines() -> None:
    model = village_profile(phases=3, un_v="220", imax_a="60")
    there = registered()
    three_wires = rating_of(replace(there, meter=replace(there.meter, wiring="3p3w")), model)
    four_wires = rating_of(replace(there, meter=replace(there.meter, wiring="3p4w")), model)
    energy = quantity_of(IMPORT)
    loads = [capacity(three_wires, energy), capacity(four_wires, energy)]
    assert three_wires.un_v is not None
    assert 381_051_178 <= three_wires.un_v < 381_052_000
    assert loads[1] == 3 * 220 * 60 * 1000
    assert loads[0] is not None
    assert loads[1] is not None
    assert 0 <= loads[0] - loads[1] < 50
