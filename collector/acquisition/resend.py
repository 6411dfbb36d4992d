"""Which gaps in what senders numbered are asked for, and when: soon, then ever more seldom, a piece at a time.

A gap may be disorder that heals by itself, so the first question waits a little. While what was asked for is coming, nothing is
asked; once it is all there, the next piece is asked for at once. Pure: times come in as arguments, seconds of any clock that
only goes on.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from storage.senders import Gap, Progress

FIRST_S = 2.0
CEILING_S = 900.0
"""A concentrator that is away for a day is asked a hundred times, and answers within a quarter of an hour of its return."""
PIECE = 500
"""Numbers asked for at once: half of what Mosquitto queues for a client by default, so that the answer is not dropped too."""
MOST_REQUESTS = 20
"""In one piece."""
TAIL_TRIES = 5
"""After which who has not answered had nothing to send, or is away and will begin by itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """Send these again; `last` None: to the newest."""

    sender: str
    boot: str
    first: int
    last: int | None


@dataclass(slots=True)
class _Open:
    missing: tuple[Gap, ...]
    at: float
    tries: int = 0
    asked: tuple[Gap, ...] = ()


@dataclass(slots=True)
class _Tail:
    first: int
    at: float
    tries: int = 0


class Gaps:
    """Of the senders of one channel."""

    def __init__(self, *, first_s: float = FIRST_S, ceiling_s: float = CEILING_S, piece: int = PIECE) -> None:
        self._first_s = first_s
        self._ceiling_s = ceiling_s
        self._piece = piece
        self._open: dict[tuple[str, str], _Open] = {}
        self._tails: dict[tuple[str, str], _Tail] = {}

    def heard(self, progress: Progress, now: float) -> None:
        """What is missing of one sender now."""
        key = progress.sender, progress.boot
        self._tails.pop(key, None)
        if not progress.missing:
            self._open.pop(key, None)
            return
        known = self._open.get(key)
        if known is None:
            self._open[key] = _Open(progress.missing, now + self._first_s)
            return
        waited_for = _within(known.missing, known.asked)
        still = _within(progress.missing, known.asked)
        known.missing = progress.missing
        if known.asked and still < waited_for:
            known.tries = 0
            known.at = now if not still else now + self._first_s

    def tail(self, progress: Progress, now: float) -> None:
        """What came after the last that we have may be lost, and no later number shows it: asked for until something comes."""
        self._tails[progress.sender, progress.boot] = _Tail(progress.upto + 1, now)

    @property
    def next_at(self) -> float | None:
        """When something will be due; None: nothing is missing."""
        return min((one.at for many in (self._open, self._tails) for one in many.values()), default=None)

    def due(self, now: float) -> Iterator[Request]:
        """What to ask for now; it counts as asked."""
        for (sender, boot), tail in list(self._tails.items()):
            if tail.at <= now:
                tail.tries += 1
                tail.at = now + min(self._ceiling_s, self._first_s * 4**tail.tries)
                if tail.tries == TAIL_TRIES:
                    del self._tails[sender, boot]
                yield Request(sender, boot, tail.first, None)
        for (sender, boot), one in self._open.items():
            if one.at > now:
                continue
            one.tries += 1
            wait_s = min(self._ceiling_s, self._first_s * 2**one.tries)
            one.at = now + wait_s * random.uniform(0.5, 1)  # noqa: S311 - spreads senders, guards nothing
            one.asked = tuple(_piece(one.missing, self._piece))
            for low, high in one.asked:
                yield Request(sender, boot, low, high)


def _piece(gaps: Iterable[Gap], numbers: int) -> Iterator[Gap]:
    for count, (low, high) in enumerate(gaps):
        if numbers <= 0 or count == MOST_REQUESTS:
            return
        last = min(high, low + numbers - 1)
        numbers -= last - low + 1
        yield low, last


def _within(missing: Iterable[Gap], asked: Iterable[Gap]) -> int:
    """How many numbers of the one are in the other."""
    ranges = tuple(asked)
    return sum(max(0, min(high, to) - max(low, since) + 1) for low, high in missing for since, to in ranges)
