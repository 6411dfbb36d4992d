"""Which meters have gaps, and the few tasks that are ready for their lines: a source of tasks of the lowest urgency.

For each meter only its days with gaps are remembered (a bit each), not its slots: a hundred thousand meters after three days'
outage are a few megabytes. What is asked is prepared meter by meter, by who can look into the ledger (`jobs.backfill`), a
few tasks ahead of each line. Pure state, no clock.

A meter's round: its gaps are asked for in order until each was asked once. Then it rests, twice as long each time; a meter that
did not answer rests too, until it answers anything.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from collector.acquisition.gaps import Rank
from collector.acquisition.outcome import OK
from collector.acquisition.tasks import Collected, Task
from collector.acquisition.urgency import Urgency
from storage.records import Basis, Slot

AHEAD = 2
"""Tasks ready for each channel: one to ask now, and one behind it."""
FIRST_REST, LONGEST_REST = timedelta(minutes=30), timedelta(hours=12)


@dataclass(slots=True)
class Lead:
    """A meter with gaps. `days`: for each of `BASES` the data days, a bit for each ordinal above `FIRST_DAY`.

    There may be a hundred thousand, and the garbage collector walks over all that holds other objects. So it is numbers, texts
    and times, a rank that many share, and a set only while its meter is being asked.
    """

    meter: str
    channel: str
    rank: Rank
    days: tuple[int, ...] = (0, 0, 0)
    tried: set[Slot] | frozenset[Slot] = frozenset()
    """Asked for in this round."""
    rests: int = 0
    silent: bool = False
    """It rests because it did not answer."""
    not_before: datetime | None = None
    busy: bool = False
    """Being prepared, ready or in hand."""


BASES = (Basis.FREEZE, Basis.SETTLEMENT, Basis.CURVE)
FIRST_DAY = date(2020, 1, 1).toordinal()


_Entry = tuple[int, bool, datetime, str]
"""A rank and a meter, in a heap."""


class Leads:
    """`collector.acquisition.tasks.TaskSource`."""

    def __init__(self) -> None:
        self._leads: dict[str, Lead] = {}
        self._heaps: dict[str, list[_Entry]] = {}
        self._resting: list[tuple[datetime, str]] = []
        self._ready: dict[str, list[tuple[Rank, int, Task]]] = {}
        self._count = 0
        self.silent: set[str] = set()
        """Channels on which a backfill was last asked for in vain."""

    def __len__(self) -> int:
        """Meters with gaps, as far as is known."""
        return len(self._leads)

    # --- found, prepared ---

    def found(self, meter: str, channel: str, rank: Rank, days: Iterable[tuple[Basis, date]]) -> None:
        """A meter has gaps on these days; those that are known stay."""
        lead = self._leads.get(meter)
        if lead is None or lead.channel != channel:
            lead = self._leads[meter] = Lead(meter, channel, rank)
            fresh = True
        else:
            fresh = rank < lead.rank
        lead.rank = min(lead.rank, rank)
        for basis, day in days:
            lead.days = _with_bit(lead.days, basis, day, on=True)
        if fresh and not lead.busy and lead.not_before is None:
            self._push(lead)

    def wanting(self) -> Iterator[str]:
        """Channels that have leads and room for a task."""
        return (channel for channel in list(self._heaps) if self.wants(channel))

    def wants(self, channel: str) -> bool:
        """Whether this one has."""
        heap = self._heaps.get(channel, [])
        while heap and self._waiting(heap[0]) is None:
            heapq.heappop(heap)
        return bool(heap) and len(self._ready.get(channel, ())) < AHEAD

    def next(self, channel: str) -> Lead | None:
        """The lead whose turn it is, busy from now on: it comes back by `prepared` or `over`."""
        heap = self._heaps.get(channel, [])
        while heap:
            lead = self._waiting(heapq.heappop(heap))
            if lead is not None:
                lead.busy = True
                return lead
        return None

    def prepared(self, lead: Lead, task: Task, rank: Rank) -> None:
        """What its meter is to be asked now."""
        lead.rank = rank
        lead.tried = lead.tried | set(task.slots)
        self._make_ready(rank, task)

    def over(self, lead: Lead, now: datetime) -> None:
        """There is nothing to ask that was not asked in this round: it rests, or is gone when it has no gap left."""
        lead.busy = False
        if not any(lead.days):
            if self._leads.get(lead.meter) is lead:
                del self._leads[lead.meter]
            return
        self._rest(lead, now)

    def days(self, lead: Lead) -> list[tuple[Basis, date]]:
        """The days on which it has gaps, oldest first."""
        found = []
        for basis, bits in zip(BASES, lead.days, strict=True):
            written = f"{bits:b}"[::-1]
            found += [(basis, date.fromordinal(FIRST_DAY + n)) for n, bit in enumerate(written) if bit == "1"]
        return sorted(found, key=lambda one: one[1])

    def whole(self, lead: Lead, basis: Basis, day: date) -> None:
        """There is no gap left on this day."""
        lead.days = _with_bit(lead.days, basis, day, on=False)

    def forget(self, lead: Lead) -> None:
        """Its meter is not where it was: it has no gaps here."""
        lead.days = (0, 0, 0)

    def answered(self, meter: str, channel: str) -> bool:
        """A meter answered something: its rest ends. True: its channel had been silent."""
        lead = self._leads.get(meter)
        if lead is not None and lead.silent and not lead.busy:
            lead.not_before, lead.rests, lead.silent = None, 0, False
            self._push(lead)
        was_silent = channel in self.silent
        self.silent.discard(channel)
        return was_silent

    def forget_ready(self) -> None:
        """Meters, channels or plans have changed: what is ready may be none any more. Its meters wait to be prepared anew."""
        for entries in self._ready.values():
            for _, _, task in entries:
                lead = self._leads.get(task.registered.meter.meter)
                if lead is not None:
                    lead.busy = False
                    lead.tried = lead.tried - set(task.slots)
                    self._push(lead)
        self._ready.clear()

    # --- the port ---

    def channels(self) -> Collection[str]:
        """Those with a task that is ready."""
        return self._ready.keys()

    def waiting(self, channel: str, now: datetime) -> Mapping[Urgency, datetime]:
        """By urgency: when the first gap will be overwritten."""
        found: dict[Urgency, datetime] = {}
        for rank, _, _ in self._ready.get(channel, ()):
            found[rank.urgency] = min(found.get(rank.urgency, rank.expires), rank.expires)
        return found

    def take(self, channel: str, urgency: Urgency, now: datetime) -> Task | None:
        """The first of that urgency."""
        entries = self._ready.get(channel, [])
        first = min((entry for entry in entries if entry[0].urgency is urgency), default=None, key=lambda one: one[:2])
        if first is None:
            return None
        entries.remove(first)
        if not entries:
            del self._ready[channel]
        return first[2]

    def ended(self, collected: Collected, now: datetime) -> None:
        """A meter that answers is asked on, one that does not rests."""
        lead = self._leads.get(collected.task.registered.meter.meter)
        if lead is None:
            return
        lead.busy = False
        lead.silent = all(attempt.outcome != OK for attempt in collected.batch.attempts)
        if lead.silent:
            self.silent.add(lead.channel)
            self._rest(lead, now)
            return
        self.silent.discard(lead.channel)
        if collected.filled:
            lead.rests = 0
        self._push(lead)

    def put_off(self, task: Task, until: datetime) -> None:
        """Its meter is left alone until then, and its line is free for others."""
        lead = self._leads.get(task.registered.meter.meter)
        if lead is not None:
            lead.busy = False
            lead.tried = lead.tried - set(task.slots)
            self._rest_until(lead, until)

    def released(self, task: Task) -> None:
        """It waits as before."""
        lead = self._leads.get(task.registered.meter.meter)
        if lead is not None:
            self._make_ready(lead.rank, task)

    def next_alarm(self, now: datetime) -> datetime | None:
        """When a rest is over; then a task may be prepared."""
        while self._resting and self._resting[0][0] <= now:
            until, meter = heapq.heappop(self._resting)
            lead = self._leads.get(meter)
            if lead is not None and lead.not_before == until and not lead.busy:
                lead.not_before = None
                self._push(lead)
        return self._resting[0][0] if self._resting else None

    # --- inside ---

    def _waiting(self, entry: _Entry) -> Lead | None:
        """The lead that an entry of a heap stands for; None if it is out of date."""
        lead = self._leads.get(entry[-1])
        current = lead is not None and not lead.busy and lead.not_before is None and _entry(lead) == entry
        return lead if current else None

    def _push(self, lead: Lead) -> None:
        heapq.heappush(self._heaps.setdefault(lead.channel, []), _entry(lead))

    def _make_ready(self, rank: Rank, task: Task) -> None:
        self._count += 1
        self._ready.setdefault(task.registered.meter.channel, []).append((rank, self._count, task))

    def _rest(self, lead: Lead, now: datetime) -> None:
        lead.tried = frozenset()
        doublings: int = 2 ** min(lead.rests, 10)
        lead.rests += 1
        self._rest_until(lead, now + min(FIRST_REST * doublings, LONGEST_REST))

    def _rest_until(self, lead: Lead, until: datetime) -> None:
        lead.not_before = until
        heapq.heappush(self._resting, (until, lead.meter))


def _entry(lead: Lead) -> _Entry:
    rank = lead.rank
    return int(rank.urgency), rank.later_than_yesterday, rank.expires, lead.meter


def _with_bit(days: tuple[int, ...], basis: Basis, day: date, *, on: bool) -> tuple[int, ...]:
    place, bit = BASES.index(basis), 1 << max(0, day.toordinal() - FIRST_DAY)
    bits = days[place] | bit if on else days[place] & ~bit
    return (*days[:place], bits, *days[place + 1 :])
