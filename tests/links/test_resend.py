"""Which gaps are asked for, and when."""

from __future__ import annotations

from datetime import UTC, datetime

from collector.acquisition.resend import MOST_REQUESTS, Gaps, Request
from storage.senders import Progress

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def progress(highest: int, *missing: tuple[int, int], sender: str = "dcu-1", boot: str = "a") -> Progress:
    upto = missing[0][0] - 1 if missing else highest
    return Progress("broker", sender, boot, upto, highest, missing, 0, NOON)


def due(gaps: Gaps, now: float) -> list[Request]:
    return list(gaps.due(now))


def test_nothing_is_missing() -> None:
    gaps = Gaps()
    gaps.heard(progress(9), 0)
    assert gaps.next_at is None
    assert due(gaps, 1e6) == []


def test_a_gap_may_heal_by_itself_first() -> None:
    gaps = Gaps(first_s=2)
    gaps.heard(progress(9, (3, 4)), 100)
    assert gaps.next_at == 102
    assert due(gaps, 101.9) == []
    gaps.heard(progress(9), 101.9)
    assert due(gaps, 1e6) == []


def test_asked_ever_more_seldom_while_nothing_comes() -> None:
    gaps = Gaps(first_s=2, ceiling_s=60)
    gaps.heard(progress(9, (3, 4), (7, 7)), 0)
    now, waits = 2.0, []
    for _ in range(12):
        assert due(gaps, now) == [Request("dcu-1", "a", 3, 4), Request("dcu-1", "a", 7, 7)]
        assert gaps.next_at is not None
        waits.append(gaps.next_at - now)
        now = gaps.next_at
    assert 2 <= waits[0] <= 4 <= waits[2] <= 16
    assert all(30 <= wait <= 60 for wait in waits[5:])


def test_while_it_is_coming_nobody_asks_again() -> None:
    gaps = Gaps(first_s=2)
    gaps.heard(progress(900, (1, 800)), 0)
    assert due(gaps, 2) == [Request("dcu-1", "a", 1, 500)]
    gaps.heard(progress(900, (400, 800)), 3.9)
    assert gaps.next_at == 5.9
    assert due(gaps, 5) == []


def test_the_next_piece_is_asked_for_at_once() -> None:
    gaps = Gaps(first_s=2)
    gaps.heard(progress(2000, (1, 800), (1001, 1999)), 0)
    assert due(gaps, 2) == [Request("dcu-1", "a", 1, 500)]
    gaps.heard(progress(2000, (501, 800), (1001, 1999)), 3)
    assert due(gaps, 3) == [Request("dcu-1", "a", 501, 800), Request("dcu-1", "a", 1001, 1200)]


def test_a_new_gap_does_not_hurry_an_old_one() -> None:
    """Else a sender that has lost its memory, and goes on sending, would be asked every time."""
    gaps = Gaps(first_s=2, ceiling_s=1000)
    gaps.heard(progress(9, (3, 4)), 0)
    now = 2.0
    for _ in range(8):
        due(gaps, now)
        assert gaps.next_at is not None
        now = gaps.next_at
    due(gaps, now)
    before = gaps.next_at
    gaps.heard(progress(20, (3, 4), (12, 19)), now + 1)
    assert gaps.next_at == before


def test_many_small_gaps_are_asked_for_a_few_at_a_time() -> None:
    gaps = Gaps(first_s=0)
    gaps.heard(progress(1000, *((n, n) for n in range(1, 400, 2))), 0)
    assert len(due(gaps, 0)) == MOST_REQUESTS


def test_what_came_after_the_last_is_asked_for_until_something_comes() -> None:
    gaps = Gaps(first_s=2, ceiling_s=1000)
    gaps.tail(progress(9), 0)
    gaps.tail(progress(3, sender="dcu-2"), 0)
    assert due(gaps, 0) == [Request("dcu-1", "a", 10, None), Request("dcu-2", "a", 4, None)]
    gaps.heard(progress(12), 1)
    assert due(gaps, 7.9) == []
    asked = []
    while gaps.next_at is not None:
        asked.append(gaps.next_at)
        assert due(gaps, gaps.next_at) == [Request("dcu-2", "a", 4, None)]
    assert asked == [8, 8 + 32, 8 + 32 + 128, 8 + 32 + 128 + 512]


def test_boots_and_senders_are_apart() -> None:
    gaps = Gaps(first_s=0)
    gaps.heard(progress(9, (3, 4)), 0)
    gaps.heard(progress(5, (1, 2), boot="b"), 0)
    gaps.heard(progress(5, (4, 4), sender="dcu-2"), 0)
    gaps.heard(progress(9), 0)
    assert [(one.sender, one.boot) for one in due(gaps, 0)] == [("dcu-1", "b"), ("dcu-2", "a")]
