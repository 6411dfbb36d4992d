"""Tasks that somebody hands in: a source for what no plan owes now (backfill, on demand). Pure state, no clock.

Each is answered once, through what came with it: with what it came to, or with None when it could not be asked before its
time was over.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from collector.acquisition.tasks import Collected, Task
from collector.acquisition.urgency import Urgency

Answer = Callable[[Collected | None], None]


@dataclass(slots=True)
class _Entry:
    task: Task
    closes: datetime
    answer: Answer
    number: int
    gone: bool = False

    def __lt__(self, other: _Entry) -> bool:
        return (self.closes, self.number) < (other.closes, other.number)


class Submitted:
    """A `TaskSource`. Whose window closes first goes first among those of the same urgency on a channel."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Urgency, list[_Entry]]] = {}
        self._in_hand: dict[int, _Entry] = {}
        self._entries: dict[int, _Entry] = {}
        """Those that somebody waits for, by their task."""
        self._put_off: list[tuple[datetime, _Entry]] = []
        self._count = 0

    def __len__(self) -> int:
        """Not answered yet."""
        return len(self._entries)

    def submit(self, task: Task, *, closes: datetime, answer: Answer) -> None:
        """Have it asked before `closes`; call `Poll.wake` afterwards."""
        self._count += 1
        entry = self._entries[id(task)] = _Entry(task, closes, answer, self._count)
        self._wait(entry)

    def withdraw(self, task: Task) -> None:
        """Nobody waits for it any more: it is neither asked nor answered. One in hand is asked all the same."""
        if (entry := self._entries.pop(id(task), None)) is not None:
            entry.gone = True

    def channels(self) -> Collection[str]:
        """Where something waits."""
        return self._waiting.keys()

    def waiting(self, channel: str, now: datetime) -> Mapping[Urgency, datetime]:
        """By urgency, when the first window closes."""
        self._close(channel, now)
        return {urgency: heap[0].closes for urgency, heap in self._waiting.get(channel, {}).items()}

    def take(self, channel: str, urgency: Urgency, now: datetime) -> Task | None:
        """The first, in hand."""
        self._close(channel, now)
        heap = self._waiting.get(channel, {}).get(urgency)
        if not heap:
            return None
        entry = heapq.heappop(heap)
        self._tidy(channel, urgency)
        self._in_hand[id(entry.task)] = entry
        return entry.task

    def ended(self, collected: Collected, now: datetime) -> None:
        """Answered."""
        self._answer(self._in_hand.pop(id(collected.task)), collected)

    def put_off(self, task: Task, until: datetime) -> None:
        """It waits for its instant."""
        heapq.heappush(self._put_off, (until, self._in_hand.pop(id(task))))

    def released(self, task: Task) -> None:
        """It waits as before."""
        self._wait(self._in_hand.pop(id(task)))

    def next_alarm(self, now: datetime) -> datetime | None:
        """When one that was put off may be asked, or the time of one is over; what may be asked by now waits again."""
        while self._put_off and self._put_off[0][0] <= now:
            self._wait(heapq.heappop(self._put_off)[1])
        for channel in list(self._waiting):
            self._close(channel, now)
        closing = [heap[0].closes for by_urgency in self._waiting.values() for heap in by_urgency.values()]
        return min(closing + [until for until, _ in self._put_off[:1]], default=None)

    def _wait(self, entry: _Entry) -> None:
        by_urgency = self._waiting.setdefault(entry.task.registered.meter.channel, {})
        heapq.heappush(by_urgency.setdefault(entry.task.urgency, []), entry)

    def _close(self, channel: str, now: datetime) -> None:
        for urgency, heap in list(self._waiting.get(channel, {}).items()):
            while heap and (heap[0].gone or heap[0].closes <= now):
                self._answer(heapq.heappop(heap), None)
            self._tidy(channel, urgency)

    def _answer(self, entry: _Entry, collected: Collected | None) -> None:
        if not entry.gone:
            del self._entries[id(entry.task)]
            entry.answer(collected)

    def _tidy(self, channel: str, urgency: Urgency) -> None:
        if not self._waiting[channel][urgency]:
            del self._waiting[channel][urgency]
            if not self._waiting[channel]:
                del self._waiting[channel]
