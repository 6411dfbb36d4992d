"""A freeze is found by its stamp, whatever its number; what is not there is told apart: never kept, not yet, overwritten."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.acquisition.copies import CopySearch, Found

DAY = timedelta(days=1)
TODAY = datetime(2026, 3, 14, 16, tzinfo=UTC)
"""00:00 of 15 March in Shanghai: the latest midnight."""
DEPTH = 62


def midnight(back: int) -> datetime:
    """The `back`-th last midnight; 1 = today's."""
    return TODAY - (back - 1) * DAY


def searched(memory: Sequence[datetime], *wanted: datetime, depth: int = DEPTH) -> tuple[CopySearch, int]:
    """After asking all there is to ask, and how many copies that took. `memory`: newest first."""
    search = CopySearch(wanted, depth=depth, guess=lambda stamp: (TODAY - stamp).days + 1)
    asked = 0
    while copies := search.ask():
        for copy in set(copies.values()):
            search.told(copy, memory[copy - 1] if copy <= min(len(memory), depth) else None)
        asked += len(set(copies.values()))
        assert asked <= 2 * depth
    return search, asked


EVERY = [midnight(back) for back in range(1, 90)]


def test_a_meter_that_froze_every_midnight_is_asked_once_a_day() -> None:
    wanted = [midnight(back) for back in (2, 3, 4)]
    search, asked = searched(EVERY, *wanted)
    assert [search.copy(stamp) for stamp in wanted] == [2, 3, 4]
    assert asked == 3


def test_a_slow_clock_has_made_no_copy_today_yet_and_all_numbers_are_one_less() -> None:
    wanted = [midnight(back) for back in (2, 3, 4)]
    search, asked = searched(EVERY[1:], *wanted)
    assert [search.copy(stamp) for stamp in wanted] == [1, 2, 3]
    assert asked <= 4


def test_a_midnight_without_power_was_never_frozen_and_its_neighbours_prove_it() -> None:
    memory = [stamp for stamp in EVERY if stamp != midnight(5)]
    search, asked = searched(memory, midnight(4), midnight(5), midnight(6))
    assert [search.found(midnight(back)) for back in (4, 5, 6)] == [Found.HERE, Found.NEVER, Found.HERE]
    assert search.copy(midnight(6)) == 5
    assert asked <= 4


def test_a_slot_newer_than_the_latest_copy_may_still_come() -> None:
    search, asked = searched(EVERY[3:], midnight(2))
    assert search.found(midnight(2)) is Found.NOT_YET
    assert asked <= 3


def test_what_is_older_than_a_full_memory_is_overwritten() -> None:
    search, _ = searched(EVERY, midnight(70))
    assert search.found(midnight(70)) is Found.OVERWRITTEN


def test_a_memory_that_begins_later_never_had_it() -> None:
    search, _ = searched(EVERY[:10], midnight(20))
    assert search.found(midnight(20)) is Found.NEVER


def test_a_meter_without_any_copy_says_so_at_once() -> None:
    search, asked = searched([], midnight(2), midnight(30))
    assert search.empty
    assert [search.found(midnight(back)) for back in (2, 30)] == [Found.NOT_YET] * 2
    assert asked < 12


def test_where_a_clock_was_set_every_copy_is_looked_at_before_one_is_given_up() -> None:
    ahead = TODAY + 40 * DAY  # the clock ran a month ahead for one midnight
    memory = [midnight(1), midnight(2), ahead, *EVERY[3:12]]
    search, _ = searched(memory, midnight(3), midnight(4), midnight(9))
    assert search.copy(midnight(4)) == 4
    assert search.copy(midnight(9)) == 9
    assert search.found(midnight(3)) is Found.NEVER


@given(
    frozen=st.sets(st.integers(1, 80), max_size=70),
    wanted=st.sets(st.integers(1, 80), min_size=1, max_size=6),
)
def test_any_memory_is_searched_rightly_with_few_questions(frozen: set[int], wanted: set[int]) -> None:
    memory = [midnight(back) for back in sorted(frozen)]
    search, asked = searched(memory, *map(midnight, wanted))
    kept = memory[:DEPTH]
    for back in wanted:
        stamp = midnight(back)
        found = search.found(stamp)
        assert (found is Found.HERE) == (stamp in kept)
        if stamp not in kept:
            newer = any(one > stamp for one in kept)
            full = len(kept) == DEPTH and stamp < kept[-1]
            assert found is (Found.NOT_YET if not newer else Found.OVERWRITTEN if full else Found.NEVER)
    assert asked <= 9 * len(wanted)


@pytest.mark.parametrize("gap", [1, 3, 20])
def test_a_long_outage_costs_one_more_question_and_no_search_from_the_start(gap: int) -> None:
    memory = [stamp for stamp in EVERY if not midnight(5 + gap) < stamp <= midnight(5)]
    _, asked = searched(memory, *(midnight(back) for back in range(6 + gap, 20 + gap)))
    assert asked <= 14 + 7
