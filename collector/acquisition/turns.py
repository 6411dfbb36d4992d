"""Whose turn it is on a line that cannot do everything at once: the most urgent's; and every n-th turn, whoever's class was
served longest ago. So the most urgent has most of the line, and none of the others starves: a class that waits gets at
least one turn in `EVERY` times the number of classes that wait. Pure, one for each line.
"""

from __future__ import annotations

from collections.abc import Collection

from collector.acquisition.urgency import Urgency

EVERY = 8
"""An eighth of a line that is kept busy is enough for backfill to come to an end, and little enough for freezes."""


class Turns:
    """Counts the turns of one line. `every` 0: only urgency counts."""

    def __init__(self, *, every: int = EVERY) -> None:
        self._every = every
        self._turn = 1
        self._served: dict[Urgency, int] = {}

    def choose(self, waiting: Collection[Urgency]) -> Urgency:
        """Among the classes that have something to ask, of which there must be one."""
        if self._every and self._turn % self._every == 0:
            return min(waiting, key=lambda urgency: (self._served.get(urgency, 0), urgency))
        return min(waiting)

    def served(self, urgency: Urgency) -> None:
        """A task of this class has been asked."""
        self._served[urgency] = self._turn
        self._turn += 1
