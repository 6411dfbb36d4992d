"""What may be asked now, by channel and urgency: whose window closes first goes first, and what failed before goes last.

Among equals the meter that was taken longest ago goes first: a line that is asked for more than it can do must not leave out
the same meters every time. Everything costs the logarithm of what waits.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from collector.acquisition.urgency import Urgency
from storage.records import Slot

Rank = tuple[bool, datetime, int, int]
"""Failed before; when the window closes; when the meter was last taken; in the order in which they came."""

SLACK = 64
"""Entries of a heap that may be out of date before it is made anew."""


@dataclass(slots=True)
class _Meter:
    """One meter's slots of one urgency, each with its rank; the best is the meter's."""

    rank: Rank
    slots: dict[Slot, Rank] = field(default_factory=dict)


@dataclass(slots=True)
class _Queue:
    """One urgency on one channel. An entry of the heap counts while it is its meter's rank."""

    heap: list[tuple[Rank, str]] = field(default_factory=list)
    meters: dict[str, _Meter] = field(default_factory=dict)

    def push(self, rank: Rank, meter: str) -> None:
        heapq.heappush(self.heap, (rank, meter))
        if len(self.heap) > 2 * len(self.meters) + SLACK:
            self.heap = [(one.rank, name) for name, one in self.meters.items()]
            heapq.heapify(self.heap)

    def first(self) -> tuple[Rank, str] | None:
        while self.heap:
            rank, meter = self.heap[0]
            if (one := self.meters.get(meter)) is not None and one.rank == rank:
                return self.heap[0]
            heapq.heappop(self.heap)
        return None


class Ready:
    """Slots that wait for nothing but their turn; a slot is here once."""

    def __init__(self) -> None:
        self._queues: dict[str, dict[Urgency, _Queue]] = {}
        self._where: dict[Slot, tuple[str, Urgency]] = {}
        self._taken: dict[str, int] = {}
        self._count = 0

    def __contains__(self, slot: Slot) -> bool:
        return slot in self._where

    def channels(self) -> Collection[str]:
        """Where something waits."""
        return self._queues.keys()

    def put(self, slot: Slot, channel: str, urgency: Urgency, closes: datetime, *, late: bool) -> None:
        """It waits from now on. `late`: behind all of its urgency that have not failed."""
        self._count += 1
        self._where[slot] = channel, urgency
        queue = self._queues.setdefault(channel, {}).setdefault(urgency, _Queue())
        rank = late, closes, self._taken.get(slot.meter, 0), self._count
        meter = queue.meters.get(slot.meter)
        if meter is None:
            meter = queue.meters[slot.meter] = _Meter(rank)
            queue.push(rank, slot.meter)
        elif rank < meter.rank:
            meter.rank = rank
            queue.push(rank, slot.meter)
        meter.slots[slot] = rank

    def discard(self, slot: Slot) -> None:
        """It waits no more, if it did."""
        if (where := self._where.pop(slot, None)) is None:
            return
        channel, urgency = where
        queue = self._queues[channel][urgency]
        meter = queue.meters[slot.meter]
        rank = meter.slots.pop(slot)
        if not meter.slots:
            del queue.meters[slot.meter]
            self._tidy(channel, urgency)
        elif rank == meter.rank:
            meter.rank = min(meter.slots.values())
            queue.push(meter.rank, slot.meter)

    def clear(self) -> None:
        """Nothing waits; who was taken when is remembered."""
        self._queues.clear()
        self._where.clear()

    def keep_meters(self, meters: Iterable[str]) -> None:
        """Forget the others."""
        self._taken = {meter: self._taken[meter] for meter in meters if meter in self._taken}

    def waiting(self, channel: str) -> Mapping[Urgency, datetime]:
        """By urgency, when the first window closes."""
        found = {}
        for urgency, queue in self._queues.get(channel, {}).items():
            if first := queue.first():
                found[urgency] = first[0][1]
        return found

    def pop(self, channel: str, urgency: Urgency) -> Collection[Slot]:
        """All slots of the first meter; they wait no more. Empty: none waits."""
        queue = self._queues.get(channel, {}).get(urgency)
        first = queue.first() if queue is not None else None
        if queue is None or first is None:
            return ()
        meter = first[1]
        slots = queue.meters.pop(meter).slots
        for slot in slots:
            del self._where[slot]
        self._count += 1
        self._taken[meter] = self._count
        self._tidy(channel, urgency)
        return slots

    def _tidy(self, channel: str, urgency: Urgency) -> None:
        queues = self._queues[channel]
        if not queues[urgency].meters:
            del queues[urgency]
            if not queues:
                del self._queues[channel]
