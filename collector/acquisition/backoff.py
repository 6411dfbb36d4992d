"""How long to wait before the next try: twice as long each time, a random part of it, never longer than the ceiling.

Full jitter (anywhere between nothing and the present limit), so that a thousand collectors that lost the same broker do
not come back in the same second.
"""

from __future__ import annotations

import random

_DICE = random.Random()  # noqa: S311 - it spreads tries over time and keeps no secret; one for all: it is as large as a channel


class Backoff:
    """Delays in seconds; `reset` after a success."""

    __slots__ = ("_ceiling_s", "_dice", "_first_s", "failures")

    def __init__(self, *, first_s: float = 0.5, ceiling_s: float = 60.0, dice: random.Random | None = None) -> None:
        self._first_s = first_s
        self._ceiling_s = ceiling_s
        self._dice = dice or _DICE
        self.failures = 0

    def next_s(self) -> float:
        """The delay before the next try, after one more failure."""
        # 2 ** 30 half seconds is past any ceiling; without the cap a year of failures would overflow.
        limit = min(self._ceiling_s, self._first_s * 2 ** min(self.failures, 30))
        self.failures += 1
        return self._dice.uniform(0, limit)

    def reset(self) -> None:
        """It works again."""
        self.failures = 0
