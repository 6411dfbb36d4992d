"""Whether another client takes our session again and again, and how long to leave it alone then. Pure.

Two clients with one id throw each other out, each time at once: without a pause they would do nothing else, and a broker with
them. Some brokers say who it was; Mosquitto 2.0.11 just closes, as it does when it ends. The difference: a broker that ended
cannot be reached for a while, one that serves another client takes us back at the first try, and closes again soon.
"""

from __future__ import annotations

import random

STEADY_S = 30.0
"""A connection that lasted so long was a good one: the next failure is the first."""
SUSPICIOUS = 3
"""Short connections in a row: two restarts of a broker so quick that nobody found it gone are rare, three are not seen."""
PAUSE_S = 15.0
LONGEST_PAUSE_S = 300.0


class Takeovers:
    """Of one link. `pause_s` 0 would be no pause: only for who wants to see what it is for."""

    def __init__(self, *, pause_s: float = PAUSE_S, longest_s: float = LONGEST_PAUSE_S) -> None:
        self._pause_s = pause_s
        self._longest_s = longest_s
        self._short = 0
        self._pauses = 0
        self.news = False
        """It is suspected, and was not a moment ago."""

    @property
    def suspected(self) -> bool:
        """The broker said so, or took us back at the first try again and again, and closed soon."""
        return self._short >= SUSPICIOUS

    def ended(self, *, lasted_s: float, told: bool) -> None:
        """A connection was ended by the broker."""
        before = self.suspected
        if told:
            self._short = max(SUSPICIOUS, self._short + 1)
        elif lasted_s < STEADY_S:
            self._short += 1
        else:
            # It had been quiet between two: what was suspected stays so while the pauses are longer than that.
            self._short = min(self._short, 1)
            self._pauses = 0
        self.news = self.suspected and not before

    def unreachable(self) -> None:
        """The broker could not be reached, or refused us: it was that, and nobody else."""
        self._short = self._pauses = 0
        self.news = False

    def pause_s(self) -> float:
        """How long to stay away: twice as long each time."""
        pause_s = min(self._longest_s, self._pause_s * float(2**self._pauses))
        self._pauses = min(self._pauses + 1, 30)
        return pause_s * random.uniform(0.5, 1)  # noqa: S311 - so that two do not come back at once; guards nothing
