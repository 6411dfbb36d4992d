"""A task: all that one meter is asked for at once with the same urgency; and the port by which tasks come to the lines.

Work is pulled, not pushed: when a line is free its worker asks every source what waits, takes the most urgent, and brings it
back. So nothing is queued anywhere but at its source, which holds it in whatever form costs least, and what was overtaken or
has closed meanwhile is never asked for. The planner (slots owed), backfill (gaps of days gone by) and persons who wait (on
demand) are sources of equal rank: urgency decides (`urgency.py`), and every `turns.EVERY`-th turn goes to who waits longest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from collector.acquisition.urgency import Urgency
from storage.records import Batch, Missing, Receipt, Slot, Source
from storage.registry import Registered


@dataclass(frozen=True, slots=True)
class Before:
    """What the tries of this round have said of a slot so far: so many, and why it would be missing. Not stored yet. `tries` 0:
    the visit ended before its question.

    `alive`: the meter gave something else in this round.
    """

    tries: int
    missing: Missing
    alive: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What one meter is asked for in one visit. `source`: how the readings are marked; a backfill says so.

    `before`: where its source makes rounds, what this round has said before of these slots. Then a slot that another try may
    still bring comes back as `Collected.again` and is not yet missing. None: what this visit does not bring is missing.
    """

    registered: Registered
    slots: tuple[Slot, ...]
    urgency: Urgency = Urgency.ON_DEMAND
    source: Source = Source.POLL
    cutoffs: Mapping[Slot, datetime] = field(default_factory=dict)
    """Until when (open) a value of theirs counts as first round; without one: always."""
    before: Mapping[Slot, Before] | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """What one task came to: what was committed, and which of its slots have their value. The others are `batch.missing`, but
    for those that are to be tried `again` at the end of the round.
    """

    task: Task
    batch: Batch
    receipt: Receipt
    filled: tuple[Slot, ...]
    again: tuple[Before, ...] = ()


class TaskSource(Protocol):
    """The port. Each task that was taken comes back by exactly one of `ended`, `put_off` and `released`.

    Nothing here may wait or take long: it is asked whenever a line is free. Who has new work calls `Poll.wake`.
    """

    def channels(self) -> Collection[str]:
        """Those with a task that may be asked now, as far as is known without looking at the time."""

    def waiting(self, channel: str, now: datetime) -> Mapping[Urgency, datetime]:
        """What may be asked on a channel now: for each urgency, when the window of its first task closes."""

    def take(self, channel: str, urgency: Urgency, now: datetime) -> Task | None:
        """The first task of that urgency, in hand from now on. None: there is none after all, and `waiting` names it no more."""

    def ended(self, collected: Collected, now: datetime) -> None:
        """It was asked, and what came of it is committed."""

    def put_off(self, task: Task, until: datetime) -> None:
        """It was not asked, or nothing of it could be stored; not again before that instant. Nothing counts against it."""

    def released(self, task: Task) -> None:
        """It was not asked after all (the daemon drains); it waits as before."""

    def next_alarm(self, now: datetime) -> datetime | None:
        """When something will next wait that does not now; None: not by itself."""
