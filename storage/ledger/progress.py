"""What numbers make of a sender's progress; the same for every ledger. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from storage.senders import Gap, Numbered, Progress

MOST_GAPS = 200
"""Of one sender and boot. Where there are more, the nearest two become one: what lies between comes again and changes
nothing, and what a sender (or somebody in its name) invents stays small.
"""

Key = tuple[str, str, str]
"""Channel, sender, boot."""


def by_sender(numbered: Iterable[Numbered]) -> dict[Key, list[Numbered]]:
    """In the order of their first message."""
    found: defaultdict[Key, list[Numbered]] = defaultdict(list)
    for one in numbered:
        found[one.channel, one.sender, one.boot].append(one)
    return found


def advanced(known: Mapping[Key, Progress], come: Mapping[Key, list[Numbered]]) -> tuple[Progress, ...]:
    """The new state of each sender that was heard."""
    return tuple(_advance(known.get(key), numbered) for key, numbered in come.items())


def _advance(before: Progress | None, come: list[Numbered]) -> Progress:
    gaps = list(before.missing) if before else []
    highest = before.highest if before else 0
    for seq in sorted({one.seq for one in come}):
        if seq > highest:
            if seq > highest + 1:
                gaps.append((highest + 1, seq - 1))
            highest = seq
        else:
            gaps = _without(gaps, seq)
    oldest = max(one.oldest for one in come)
    gaps, given_up = _given_up(gaps, oldest)
    if oldest > highest + 1:
        given_up += oldest - 1 - highest
        highest = oldest - 1
    first = come[0]
    return Progress(
        first.channel,
        first.sender,
        first.boot,
        gaps[0][0] - 1 if gaps else highest,
        highest,
        _few(gaps),
        (before.lost if before else 0) + given_up,
        max(one.received_at for one in come),
    )


def _without(gaps: list[Gap], seq: int) -> list[Gap]:
    for place, (low, high) in enumerate(gaps):
        if low <= seq <= high:
            left = [(low, seq - 1)] if low < seq else []
            right = [(seq + 1, high)] if seq < high else []
            return [*gaps[:place], *left, *right, *gaps[place + 1 :]]
    return gaps


def _given_up(gaps: list[Gap], oldest: int) -> tuple[list[Gap], int]:
    """What is left when the sender has nothing below `oldest`, and how many numbers that ends."""
    left = [(max(low, oldest), high) for low, high in gaps if high >= oldest]
    return left, sum(high - low + 1 for low, high in gaps) - sum(high - low + 1 for low, high in left)


def _few(gaps: list[Gap]) -> tuple[Gap, ...]:
    while len(gaps) > MOST_GAPS:
        place = min(range(len(gaps) - 1), key=lambda at: gaps[at + 1][0] - gaps[at][1])
        gaps = [*gaps[:place], (gaps[place][0], gaps[place + 1][1]), *gaps[place + 2 :]]
    return tuple(gaps)
