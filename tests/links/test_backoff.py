"""Pauses between tries that failed."""

from collector.acquisition.backoff import Backoff


def test_backoff_doubles_up_to_its_ceiling_and_is_spread() -> None:
    backoff = Backoff(first_s=1, ceiling_s=60)
    rounds = []
    for _ in range(50):
        backoff.reset()
        rounds.append([backoff.next_s() for _ in range(40)])
    most = [max(column) for column in zip(*rounds, strict=True)]
    assert most[0] <= 1 < most[2] <= 4 < most[5] <= 32
    assert 55 < max(most) <= 60
    assert min(rounds[0]) < max(rounds[0])
