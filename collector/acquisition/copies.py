"""Which numbered copy of a meter's memory has the stamp that is owed. Pure: it is told what was read, and says what to ask.

Copies count from 1, the latest, backwards, and each new one moves all others on by one place. So a number means a day only
for a meter that froze at every midnight and whose clock is right: one without power at midnight has fewer copies, one that
runs behind makes its copy later. A number is therefore only a guess, and the stamp that was read with it is the answer.

From each answer the next guess follows: copies are a day apart at least, so a copy that is three days too new is at most
three places away. After two such steps the place is halved. As stamps fall from copy to copy, two neighbours that leave a
midnight out prove that it was never frozen. Where a clock was set and stamps do not fall, nothing is proven by neighbours
and every copy is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

STEPS = 2
"""Guesses by distance before the place is halved."""
AT_ONCE = 3
"""Stamps that are asked for together while nothing is known: if the numbers have shifted, they have for all of them."""


class Found(StrEnum):
    """What became of a stamp that was looked for."""

    HERE = "here"
    OPEN = "open"
    """Not known yet: there is more to ask."""
    NEVER = "never"
    """The copies before and after it are there, or the memory begins after it: it was never kept."""
    NOT_YET = "not_yet"
    """The latest copy is older: the meter's clock has not got there, or it has been without power ever since."""
    OVERWRITTEN = "overwritten"
    """The oldest copy of a full memory is newer."""


class CopySearch:
    """One memory of one meter. `depth`: how many copies it keeps. `guess`: which would hold a stamp if none was left out.
    `apart`: how long it is from one copy to the next, mostly.
    """

    def __init__(
        self,
        wanted: Iterable[datetime],
        *,
        depth: int,
        guess: Callable[[datetime], int],
        apart: timedelta = timedelta(days=1),
    ) -> None:
        self._wanted = tuple(sorted(set(wanted), reverse=True))
        self._depth = depth
        self._guess = guess
        self._apart = apart
        self._stamps: dict[int, datetime | None] = {}
        """What is known of each copy; None: the meter has none of this number."""
        self._steps: dict[datetime, int] = {}

    def told(self, copy: int, stamp: datetime | None) -> None:
        """What was read of a copy: its stamp, or None where the meter has no such copy."""
        self._stamps[copy] = stamp

    def ask(self) -> dict[datetime, int]:
        """The copies to ask for now, by the stamp that each is asked for; empty when all is known. Ask, tell, ask again."""
        found = any(self.copy(stamp) is not None for stamp in self._wanted)
        next_ = [(stamp, copy) for stamp in self._wanted if (copy := self._next(stamp)) is not None]
        if len(next_) > AT_ONCE and not found:
            next_ = next_[:1]
        for stamp, _ in next_:
            self._steps[stamp] = self._steps.get(stamp, 0) + 1
        return dict(next_)

    def copy(self, stamp: datetime) -> int | None:
        """The copy that has this stamp; None while none is known to."""
        return min((copy for copy, told in self._stamps.items() if told == stamp), default=None)

    def found(self, stamp: datetime) -> Found:
        """What is known of a stamp by now."""
        if self.copy(stamp) is not None:
            return Found.HERE
        if self._next(stamp) is not None:
            return Found.OPEN
        if not any(told is not None and told > stamp for told in self._stamps.values()):
            return Found.NOT_YET
        oldest = self._stamps.get(self._depth)
        return Found.OVERWRITTEN if oldest is not None and oldest > stamp else Found.NEVER

    def neighbours(self, stamp: datetime) -> tuple[datetime | None, datetime | None]:
        """The nearest stamps known, newer and older."""
        told = [one for one in self._stamps.values() if one is not None]
        newer = min((one for one in told if one > stamp), default=None)
        return newer, max((one for one in told if one < stamp), default=None)

    @property
    def empty(self) -> bool:
        """The meter says that it has not even a first copy."""
        return 1 in self._stamps and self._stamps[1] is None

    def _next(self, stamp: datetime) -> int | None:
        if self.copy(stamp) is not None:
            return None
        newer, older = self._between(stamp)
        if self._disordered():
            end = min((copy for copy, told in self._stamps.items() if told is None), default=self._depth + 1)
            left = [copy for copy in range(1, end) if copy not in self._stamps]
            return min(left, key=lambda copy: (abs(copy - newer), copy), default=None)
        if older - newer < 2:
            return None
        return max(newer + 1, min(self._aim(stamp, newer, older), older - 1))

    def _aim(self, stamp: datetime, newer: int, older: int) -> int:
        """The likeliest place between two known ones."""
        if self._steps.get(stamp, 0) > STEPS:
            return (newer + older) // 2
        after, before = self._stamps.get(newer), self._stamps.get(older)
        if after is not None:
            return newer + self._places(after - stamp)
        if before is not None:
            return older - self._places(stamp - before)
        return self._guess(stamp)

    def _between(self, stamp: datetime) -> tuple[int, int]:
        """The oldest copy known to be newer and the newest known to be older; 0 and depth + 1 where there is none."""
        newer = max((copy for copy, told in self._stamps.items() if told is not None and told > stamp), default=0)
        older = min(
            (copy for copy, told in self._stamps.items() if told is None or told < stamp), default=self._depth + 1
        )
        return newer, older

    def _disordered(self) -> bool:
        """A clock was set: stamps do not fall, or a copy stands behind one that is not there."""
        pairs = pairwise(self._stamps[copy] for copy in sorted(self._stamps))
        return any(older is not None and (newer is None or older > newer) for newer, older in pairs)

    def _places(self, span: timedelta) -> int:
        return max(1, (span + self._apart / 2) // self._apart)
