"""When a line will be done with what is owed: its queue, played through ahead of time. Pure: slots and their cost in.

One line asks one meter at a time, the most urgent first, and a meter is asked at once for all that waits of it and is as
urgent. That the less urgent get a turn now and then (`turns`) changes who is next, not when the line is done, and is left
out; so are retries at the end of a round, and slots that come due after the hour that is asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from collector.acquisition.plan import Owed
from collector.acquisition.urgency import Urgency


@dataclass(frozen=True, slots=True)
class Waiting:
    """A slot on this line. `channel`: of its meter."""

    owed: Owed
    urgency: Urgency
    channel: str


@dataclass(slots=True)
class Outlook:
    """What becomes of the slots of one plan on one channel. `late`: read, but after `by`; `missed`: closed unread.
    `longest`: from when one was due (or from the start, if it was due before) until it was read.
    """

    slots: int = 0
    first_due: datetime | None = None
    done: datetime | None = None
    late: int = 0
    missed: int = 0
    longest: timedelta = timedelta()

    def served(self, due: datetime, at: datetime | None, *, start: datetime, by: datetime) -> None:
        """One slot; `at` None: its window closed first."""
        self.slots += 1
        self.first_due = due if self.first_due is None else min(self.first_due, due)
        if at is None:
            self.missed += 1
            return
        self.late += at > by
        self.done = at if self.done is None else max(self.done, at)
        self.longest = max(self.longest, at - max(due, start))


Cost = Callable[[str, Sequence[Waiting], datetime], float]
"""Seconds for asking a meter for these slots at once, at this instant."""


def play(
    waiting: Iterable[Waiting], start: datetime, by: datetime, cost: Cost, *, unheard: Collection[str] = ()
) -> dict[tuple[str, str], Outlook]:
    """The outlook by channel and plan. The line is free at `start`; what was due before has waited until then.

    Meters that are `unheard` take their time, and none of their slots counts.
    """
    coming = sorted(waiting, key=lambda one: one.owed.due)
    ready: dict[Urgency, dict[str, list[Waiting]]] = {urgency: {} for urgency in Urgency}
    outlooks: dict[tuple[str, str], Outlook] = {}
    now, place = start, 0
    while True:
        while place < len(coming) and coming[place].owed.due <= now:
            one = coming[place]
            ready[one.urgency].setdefault(one.owed.slot.meter, []).append(one)
            place += 1
        queue = next((queue for queue in ready.values() if queue), None)
        if queue is None:
            if place == len(coming):
                return outlooks
            now = coming[place].owed.due
            continue
        meter = next(iter(queue))
        together = queue.pop(meter)
        asked = [one for one in together if one.owed.closes > now]
        closed = [one for one in together if one.owed.closes <= now]
        if asked:
            now += timedelta(seconds=cost(meter, asked, now))
        if meter in unheard:
            continue
        for which, at in ((asked, now), (closed, None)):
            for one in which:
                outlook = outlooks.setdefault((one.channel, one.owed.slot.plan), Outlook())
                outlook.served(one.owed.due, at, start=start, by=by)
