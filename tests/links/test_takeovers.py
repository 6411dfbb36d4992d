"""Whether another client takes our session."""

from __future__ import annotations

from collector.acquisition.takeovers import STEADY_S, Takeovers


def test_closed_soon_again_and_again_at_the_first_try() -> None:
    takeovers = Takeovers()
    seen = []
    for _ in range(4):
        takeovers.ended(lasted_s=1, told=False)
        seen.append((takeovers.suspected, takeovers.news))
    assert seen == [(False, False), (False, False), (True, True), (True, False)]


def test_a_broker_that_could_not_be_reached_between_was_away() -> None:
    takeovers = Takeovers()
    for _ in range(5):
        takeovers.ended(lasted_s=1, told=False)
        takeovers.unreachable()
    assert not takeovers.suspected


def test_what_the_broker_says_is_believed_at_once() -> None:
    takeovers = Takeovers()
    takeovers.ended(lasted_s=3600, told=True)
    assert takeovers.suspected


def test_longer_each_time_and_over_after_a_good_connection() -> None:
    takeovers = Takeovers(pause_s=10, longest_s=100)
    takeovers.ended(lasted_s=1, told=True)
    pauses = [takeovers.pause_s() for _ in range(7)]
    assert 5 <= pauses[0] <= 10 <= pauses[1] <= 20 <= pauses[2] <= 40
    assert all(50 <= pause <= 100 for pause in pauses[4:])
    takeovers.ended(lasted_s=STEADY_S, told=False)
    assert not takeovers.suspected
