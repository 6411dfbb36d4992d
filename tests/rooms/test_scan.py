"""The searches on lines of paper: whoever is there, however collisions sound, all are found by a bounded number of questions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.acquisition.scan import (
    DIGITS,
    DISTURBED,
    HEARD_ONLY,
    NO_SHORT,
    NOBODY,
    UNDIVIDED,
    Findings,
    Heard,
    Search,
    wildcard_search,
)
from collector.acquisition.sweep import unit_sweep
from protocols.dlt645.controls import READ, READ_ADDRESS
from protocols.telegram import Request

BOTH = frozenset({READ, READ_ADDRESS})
NOISE = Heard(noise=True)
Collision = Callable[[Request, list[str]], Heard]


def noise(request: Request, speaking: list[str]) -> Heard:
    return NOISE


def strongest(request: Request, speaking: list[str]) -> Heard:
    """One drowns all others, always the same."""
    return Heard(frozenset({min(speaking)}))


@dataclass
class Bus:
    """Meters by address and the functions that they answer; `collide` says what two answers at once sound like."""

    meters: dict[str, Collection[int]]
    collide: Collision = noise
    asked: list[Request] = field(default_factory=list)

    def hear(self, request: Request) -> Heard:
        self.asked.append(request)
        digits = request.address.lstrip("A")
        assert len(request.address) == DIGITS
        assert len(digits) % 2 == 0
        speaking = [
            one for one, functions in self.meters.items() if one.endswith(digits) and request.function in functions
        ]
        match speaking:
            case []:
                return NOBODY
            case [one]:
                return Heard(frozenset({one}))
            case _:
                return self.collide(request, speaking)

    def search(self, *, verify: int = 4, retries: int = 0) -> Findings:
        return run(wildcard_search(verify=verify, retries=retries), self.hear)


def run(search: Search, hear: Callable[[Request], Heard], limit: int = 100_000) -> Findings:
    while (request := search.question) is not None:
        assert search.findings.asked < limit, "no end"
        search.take(hear(request))
    assert search.findings.ahead == 0
    return search.findings


def bus(*addresses: str, collide: Collision = noise) -> Bus:
    return Bus(dict.fromkeys(addresses, BOTH), collide)


def places(addresses: Collection[str], deep: int = DIGITS) -> int:
    """Places of the tree with somebody below them, the top included."""
    return len({one[DIGITS - depth :] if depth else "" for one in addresses for depth in range(0, deep, 2)})


ADDRESS = st.integers(0, 10**12 - 1).map("{:012d}".format)
BATCHES = ("000000000000", "240300000100", "990300000100")


@st.composite
def alike(draw: st.DrawFn) -> str:
    """An address that ends as one of a few others does."""
    other, digits, own = draw(st.sampled_from(BATCHES)), draw(st.integers(0, 6)), draw(ADDRESS)
    return own[: 2 * digits] + other[2 * digits :]


LINE = st.frozensets(ADDRESS | alike(), min_size=0, max_size=6)


@st.composite
def collisions(draw: st.DrawFn) -> Collision:
    """Anything but silence: noise, any of the answers, an answer that none of them gave, or several of these."""

    def collide(request: Request, speaking: list[str]) -> Heard:
        clean = draw(st.frozensets(st.sampled_from(speaking)))
        ghost = draw(st.sampled_from([*[""] * 8, "000000000000", speaking[0][:-2] + "00"]))
        spoilt = draw(st.booleans())
        heard = Heard(clean | ({ghost} - {""}), noise=spoilt)
        return NOISE if heard.nobody else heard

    return collide


@settings(max_examples=150, deadline=None)
@given(addresses=LINE, collide=collisions())
def test_all_are_found_whatever_a_collision_sounds_like(addresses: frozenset[str], collide: Collision) -> None:
    line = bus(*addresses, collide=collide)
    findings = line.search(verify=DIGITS)
    assert set(findings.found) == addresses
    assert len(findings.found) == len(addresses)
    ghosts = set(addresses) | {"000000000000"} | {one[:-2] + "00" for one in addresses}
    assert len(line.asked) <= 4 + 100 * places(addresses) + 6 * len(ghosts)


@settings(max_examples=150, deadline=None)
@given(addresses=LINE, collide=collisions(), verify=st.sampled_from([2, 4, 6]))
def test_who_is_missed_shares_the_last_digits_with_one_that_is_found(
    addresses: frozenset[str], collide: Collision, verify: int
) -> None:
    found = bus(*addresses, collide=collide).search(verify=verify).found
    assert set(found) <= addresses
    assert {one[-verify:] for one in addresses} == {one[-verify:] for one in found}


@settings(max_examples=60, deadline=None)
@given(addresses=LINE.filter(bool))
def test_where_answers_spoil_each_other_two_digits_are_enough(addresses: frozenset[str]) -> None:
    line = bus(*addresses)
    assert set(line.search(verify=2).found) == addresses
    crowds = [
        tail for depth in range(2, DIGITS, 2) for tail in {one[-depth:] for one in addresses}
        if sum(one.endswith(tail) for one in addresses) > 1
    ]  # fmt: skip
    assert len(line.asked) <= 2 + 100 * (1 + len(crowds)) + len(addresses)


def test_one_that_drowns_another_hides_it_only_below_the_digits_asked_for() -> None:
    line = bus("240300000117", "990300000117", collide=strongest)
    assert line.search(verify=4).found == ["240300000117"]
    assert set(line.search(verify=DIGITS).found) == {"240300000117", "990300000117"}


def test_two_answers_behind_one_another_may_drown_a_third() -> None:
    three = ("240300000117", "240300000217", "990300000317")
    line = bus(*three, collide=lambda request, speaking: Heard(frozenset(sorted(speaking)[:2])))
    assert set(line.search(verify=2).found) == set(three)


def test_two_that_look_like_a_third_are_still_two() -> None:
    line = bus("240300000117", "990300000117", collide=lambda request, speaking: Heard(frozenset({"000300000117"})))
    assert set(line.search(verify=2).found) == {"240300000117", "990300000117"}


def test_an_empty_line_costs_four_questions() -> None:
    line = bus()
    findings = line.search()
    assert (findings.found, findings.unclear, findings.asked) == ([], {}, 4)


def test_one_meter_alone_is_proven_by_its_whole_address() -> None:
    line = bus("240300000117")
    findings = line.search(verify=2)
    assert (findings.found, findings.unclear, findings.asked) == (["240300000117"], {}, 103)
    assert Request("240300000117", READ, "00010000") in line.asked


@pytest.mark.parametrize("functions", [{READ}, {READ_ADDRESS}])
def test_meters_that_know_only_one_of_the_two_questions(functions: set[int]) -> None:
    line = Bus(dict.fromkeys(("240300000117", "240300000217", "240300000100"), functions))
    findings = line.search(verify=2)
    assert (set(findings.found), findings.unclear) == (set(line.meters), {})


def test_one_that_only_tells_its_address_beside_one_that_only_is_read() -> None:
    line = Bus({"240300000117": {READ_ADDRESS}, "240300000300": {READ}})
    assert set(line.search(verify=2).found) == set(line.meters)


def test_two_meters_with_one_address_are_told() -> None:
    def hear(request: Request) -> Heard:
        return NOISE if "240300000117".endswith(request.address.lstrip("A")) else NOBODY

    findings = run(wildcard_search(), hear)
    assert (findings.found, findings.unclear) == ([], {"240300000117": DISTURBED})


def test_a_line_that_answers_everything_with_noise_has_an_end() -> None:
    findings = run(wildcard_search(), lambda request: NOISE)
    assert (findings.found, findings.unclear) == ([], {"A" * 12: UNDIVIDED})
    assert findings.asked <= 102


def test_a_device_that_answers_everything_without_its_name_has_an_end() -> None:
    findings = run(wildcard_search(), lambda request: Heard(unnamed=True))
    assert (findings.found, findings.unclear) == ([], {"A" * 12: UNDIVIDED})


def test_a_device_with_another_address_each_time_has_an_end() -> None:
    count = iter(range(10**6))
    findings = run(wildcard_search(), lambda request: Heard(frozenset({f"{next(count):012d}"})))
    assert findings.found == []


def test_noise_that_nobody_made_is_told() -> None:
    """At the top, and never again."""
    heard = iter([NOISE])
    findings = run(wildcard_search(), lambda request: next(heard, NOBODY))
    assert findings.unclear == {"A" * 12: HEARD_ONLY}
    assert findings.asked == 102


def test_a_meter_that_does_not_know_shortened_addresses() -> None:
    """It answers to all AA and to its own address: those like it cannot be found, and that is told."""

    def hear(request: Request) -> Heard:
        return Heard(frozenset({"000020240817"})) if request.address in ("A" * 12, "000020240817") else NOBODY

    findings = run(wildcard_search(), hear)
    assert (findings.found, findings.unclear) == (["000020240817"], {"000020240817": NO_SHORT})


def test_a_meter_that_gives_back_the_wildcard_is_asked_for_its_address() -> None:
    def hear(request: Request) -> Heard:
        if not "000020240817".endswith(request.address.lstrip("A")):
            return NOBODY
        named = request.function == READ_ADDRESS or request.address == "000020240817"
        return Heard(frozenset({"000020240817"})) if named else Heard(unnamed=True)

    findings = run(wildcard_search(), hear)
    assert (findings.found, findings.unclear) == (["000020240817"], {})


def test_a_late_answer_is_another_question_s_and_is_not_lost() -> None:
    """117 answers one question late: each time into the silence, or the answer, of the next."""
    line = bus("240300000117", "240300000218")
    late: list[Heard] = []

    def hear(request: Request) -> Heard:
        heard, before = line.hear(request), late.pop() if late else NOBODY
        if heard.addresses == {"240300000117"} and request.address != "240300000117":
            late.append(heard)
            heard = NOBODY
        return Heard(heard.addresses | before.addresses, noise=heard.noise)

    findings = run(wildcard_search(verify=2), hear)
    assert set(findings.found) == {"240300000117", "240300000218"}


def test_lost_answers_are_asked_for_again() -> None:
    line = bus("240300000117", "240300000218")
    count = iter(range(10**6))
    findings = run(wildcard_search(retries=1), lambda request: NOBODY if next(count) % 2 == 0 else line.hear(request))
    assert set(findings.found) == set(line.meters)


# --- units -----------------------------------------------------------------------------------------------------------------


def answers(*units: int, functions: Collection[int] = (3, 4)) -> Callable[[Request], Heard]:
    def hear(request: Request) -> Heard:
        there = int(request.address) in units and request.function in functions
        return Heard(frozenset({request.address})) if there else NOBODY

    return hear


@given(units=st.frozensets(st.integers(1, 247), max_size=40), functions=st.sampled_from([(3,), (4,), (3, 4)]))
def test_every_unit_that_answers_is_found(units: frozenset[int], functions: tuple[int, ...]) -> None:
    findings = run(unit_sweep(range(1, 248)), answers(*units, functions=functions))
    assert [int(one) for one in findings.found] == sorted(units)
    assert not findings.one_for_all
    assert findings.asked <= 2 * 247


def test_one_device_for_all_units_is_one() -> None:
    assert run(unit_sweep(range(1, 248)), answers(*range(1, 248))).one_for_all
    findings = run(unit_sweep(range(1, 11)), answers(*range(1, 248)))
    assert findings.one_for_all
    assert len(findings.found) == 10


def test_a_full_range_of_devices_is_not_one() -> None:
    findings = run(unit_sweep(range(1, 11)), answers(*range(1, 11)))
    assert not findings.one_for_all
    assert not run(unit_sweep([1, 2]), answers(*range(1, 248))).one_for_all, "two may well be there"


def test_noise_is_asked_past_and_then_told() -> None:
    heard = iter([NOISE, Heard(frozenset({"1"}))])
    assert run(unit_sweep([1]), lambda request: next(heard)).found == ["1"]
    findings = run(unit_sweep([7]), lambda request: NOISE)
    assert (findings.found, findings.unclear) == ([], {"7": DISTURBED})


def test_a_unit_that_answers_after_its_time_is_told() -> None:
    late: list[str] = []

    def hear(request: Request) -> Heard:
        before = frozenset(late)
        late.clear()
        if request.address == "5":
            late.append("5")
        return Heard(before)

    findings = run(unit_sweep(range(1, 10)), hear)
    assert (findings.found, findings.unclear) == (["5"], {}), "its answer to the first question came after the second"
