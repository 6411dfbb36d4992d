"""Every rule of the validation has a case that trips it and one that does not (DESIGN §3)."""

from collections.abc import Iterable, Mapping

from collector.vee.rules import RULES, Case
from tests.rooms.vee_cases import PASSES, TRIPS


def without_cases(
    rules: Iterable[str], trips: Mapping[str, Mapping[str, Case]], passes: Mapping[str, Mapping[str, Case]]
) -> list[str]:
    """Rules that nothing trips, or nothing passes; and cases of rules that are none."""
    known = list(rules)
    return [
        *(
            f"{rule}: nothing {word}"
            for rule in known
            for word, cases in (("trips it", trips), ("passes it", passes))
            if not cases.get(rule)
        ),
        *(f"{rule}: no such rule" for rule in {*trips, *passes} - set(known)),
    ]


def test_every_rule_has_a_case_that_trips_it_and_one_that_does_not() -> None:
    assert not without_cases((rule.__name__ for rule in RULES), TRIPS, PASSES)


def test_guard_is_red() -> None:
    one = TRIPS["conflict"]
    assert without_cases(["a"], {}, {"a": one}) == ["a: nothing trips it"]
    assert without_cases(["a"], {"a": one}, {"a": {}}) == ["a: nothing passes it"]
    assert without_cases([], {"b": one}, {}) == ["b: no such rule"]
