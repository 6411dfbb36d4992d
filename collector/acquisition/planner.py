"""What to read now: slots owed, not yet filled, not in hand, and not waiting for their next try. Pure state, no clock.

The planner's memory is a cache of the ledger: `restore` rebuilds it at start from what is filled and what was tried.
Its one invariant: a slot is in exactly one of *open* (may be tried), *in hand* (a visit asks for it now) or gone (filled,
or its window has closed), and no slot leaves without a value or a reason. Nothing here looks at every open slot: the daemon
asks after each visit, and a hundred thousand may be open (what comes next is at the head of `_retries` and `_closing`).

After a failed round a slot waits, twice as long each time, with a spread that differs from meter to meter, so that many
silent meters do not come back in step.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.breaker import Breakers
from collector.acquisition.calendar import timetable
from collector.acquisition.plan import Gives, Owed, owed
from storage.records import PlanVersion, Slot
from storage.registry import Registered

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=30)
LONGEST_WINDOW = timedelta(days=2)
"""How far back a restart looks for slots that are still open; no window of `calendar.timetable` is longer."""
MOMENT = timedelta(microseconds=1)
"""Ranges are half open; what is due at this very instant is due."""
SET_BACK = timedelta(minutes=1)
"""A clock that goes back by more was wrong before; by less, it is being adjusted, and nothing is read anew."""
HORIZON = timedelta(days=1)
"""How far ahead the next due slot is looked for; an empty plan wakes the planner once a day."""


@dataclass(frozen=True, slots=True)
class Task:
    """All that one meter is asked for at once."""

    registered: Registered
    slots: tuple[Slot, ...]
    cutoffs: Mapping[Slot, datetime] = field(default_factory=dict)
    """Until when (open) a value of theirs counts as first round; without one: always."""


@dataclass(slots=True)
class _Open:
    owed: Owed
    tries: int = 0
    next_try: datetime | None = None
    in_hand: bool = False
    overdue: bool = False
    """Its window closed while it was in hand."""


@dataclass(slots=True)
class Planner:
    """Holds the open slots. `polled` names the channels that are asked; slots of the others only wait for messages."""

    zone: ZoneInfo
    gives: Gives
    polled: frozenset[str]
    breakers: Breakers = field(default_factory=Breakers)
    """Meters that are left alone for a while, whatever is owed of them."""
    _versions: tuple[PlanVersion, ...] = ()
    _registered: Mapping[str, Registered] = field(default_factory=dict)
    _open: dict[Slot, _Open] = field(default_factory=dict)
    _ready: dict[Slot, None] = field(default_factory=dict)
    """Open, not in hand and waiting for nothing."""
    _until: datetime | None = None
    _retries: list[tuple[datetime, Slot]] = field(default_factory=list)
    _closing: list[tuple[datetime, Slot]] = field(default_factory=list)
    """Both are heaps, in which slots stay until their instant although they are filled meanwhile."""

    def load(self, versions: Sequence[PlanVersion], registered: Sequence[Registered], now: datetime) -> None:
        """Take plans and registry as they are now; slots that nobody owes any more are dropped, tries are kept."""
        self._versions = tuple(versions)
        self._registered = {one.meter.meter: one for one in registered}
        kept = {entry.slot for entry in self._still_open(now)}
        self._open = {slot: state for slot, state in self._open.items() if slot in kept or state.in_hand}
        rested = [slot for slot, state in self._open.items() if state.next_try is None or slot in self._ready]
        self._ready = {slot: None for slot in rested if not self._open[slot].in_hand}
        self._until = now - LONGEST_WINDOW

    def restore(self, filled: Iterable[Slot], tried: Mapping[Slot, int], now: datetime) -> None:
        """After `load`: what the ledger knows of slots that are still open. `tried`: failed rounds by slot."""
        done = set(filled)
        for entry in self._still_open(now):
            if entry.slot not in done:
                self._take_up(entry, now)
                self._open[entry.slot].tries = tried.get(entry.slot, 0)
        for slot in done:
            self._open.pop(slot, None)
        self._until = now

    def tasks(self, now: datetime) -> list[Task]:
        """What to ask now, a task a meter, taken in hand: report each slot by `filled` or `failed`."""
        self._rested(now)
        self._generate(now)
        by_meter: dict[str, list[Slot]] = {}
        ready, self._ready = self._ready, {}
        for slot in ready:
            state = self._open.get(slot)
            if state is None or state.owed.closes <= now or not self._is_polled(slot):
                continue
            resting = self.breakers.rests_until(slot.meter)
            if resting is not None and resting > now:
                self._rest(slot, state, resting)
            else:
                state.in_hand = True
                by_meter.setdefault(slot.meter, []).append(slot)
        return [self._task(meter, tuple(sorted(slots))) for meter, slots in by_meter.items()]

    def _task(self, meter: str, slots: tuple[Slot, ...]) -> Task:
        cutoffs = {slot: cutoff for slot in slots if (cutoff := self._open[slot].owed.cutoff)}
        return Task(self._registered[meter], slots, cutoffs)

    def filled(self, slots: Iterable[Slot]) -> None:
        """These have their value."""
        for slot in slots:
            self._open.pop(slot, None)

    def failed(self, slots: Iterable[Slot], now: datetime) -> None:
        """These were asked for and not got; they wait for their next try."""
        for slot in slots:
            if state := self._open.get(slot):
                state.tries += 1
                self._rest(slot, state, now + pause(slot.meter, state.tries))

    def postponed(self, slots: Iterable[Slot], now: datetime) -> None:
        """These were asked for and nothing of it could be stored: the ledger knows of no try, so none is counted."""
        for slot in slots:
            if state := self._open.get(slot):
                self._rest(slot, state, now + pause(slot.meter, state.tries + 1))

    def released(self, slots: Iterable[Slot]) -> None:
        """These were taken in hand and not asked for after all (the daemon drains); nothing is counted against them."""
        for slot in slots:
            if state := self._open.get(slot):
                self._ready[slot] = None
                self._let_go(slot, state)

    def expired(self, now: datetime) -> list[tuple[Slot, int]]:
        """Slots whose window has closed without a value, with the number of failed rounds; they are gone afterwards."""
        self._generate(now)
        gone: list[tuple[Slot, int]] = []
        while self._closing and self._closing[0][0] <= now:
            _, slot = heapq.heappop(self._closing)
            state = self._open.get(slot)
            if state is None:
                continue
            if state.in_hand:
                state.overdue = True  # `_let_go` puts it back
            else:
                del self._open[slot]
                gone.append((slot, state.tries))
        return gone

    def next_alarm(self, now: datetime) -> datetime:
        """When there will next be something to do."""
        ahead = now + HORIZON
        instants = [ahead]
        for version in self._versions:
            first = next(timetable(version.plan, now + MOMENT, ahead, self.zone), None)
            if first is not None:
                instants.append(first.due)
        for heap in (self._closing, self._retries):
            while heap and heap[0][1] not in self._open:
                heapq.heappop(heap)
            if heap:
                instants.append(heap[0][0])
        return max(min(instants), now)

    @property
    def meters(self) -> tuple[Registered, ...]:
        """All that stand in the registry."""
        return tuple(self._registered.values())

    def registered(self, meter: str) -> Registered | None:
        """Where a meter stands."""
        return self._registered.get(meter)

    @property
    def versions(self) -> tuple[PlanVersion, ...]:
        """The plans as they were loaded."""
        return self._versions

    def _is_polled(self, slot: Slot) -> bool:
        one = self._registered.get(slot.meter)
        return one is not None and one.meter.channel in self.polled

    def _generate(self, now: datetime) -> None:
        long_ago = now - LONGEST_WINDOW
        if (
            self._until is None or self._until < long_ago
        ):  # the clock leapt, or the host slept: what closed since is not made
            self._until = long_ago
        if self._until > now + SET_BACK:
            # The clock was ahead and has been put right. What is filled already is read once more, which fills nothing twice.
            self._until = now - MOMENT
        if self._until < now:
            for entry in self._owed(self._until + MOMENT, now):
                self._take_up(entry, now)
            self._until = now

    def _take_up(self, entry: Owed, now: datetime) -> None:
        if entry.slot not in self._open:
            state = self._open[entry.slot] = _Open(entry)
            heapq.heappush(self._closing, (entry.closes, entry.slot))
            if entry.due > now:  # by the jitter of its plan
                self._rest(entry.slot, state, entry.due)
            else:
                self._ready[entry.slot] = None

    def _rest(self, slot: Slot, state: _Open, until: datetime) -> None:
        state.next_try = until
        self._ready.pop(slot, None)
        if until < state.owed.closes:
            heapq.heappush(self._retries, (until, slot))
        self._let_go(slot, state)

    def _let_go(self, slot: Slot, state: _Open) -> None:
        state.in_hand = False
        if state.overdue:
            heapq.heappush(self._closing, (state.owed.closes, slot))

    def _rested(self, now: datetime) -> None:
        """Slots whose next try has come are ready again."""
        while self._retries and self._retries[0][0] <= now:
            instant, slot = heapq.heappop(self._retries)
            state = self._open.get(slot)
            if state is not None and state.next_try == instant and not state.in_hand:
                self._ready[slot] = None

    def _still_open(self, now: datetime) -> Iterable[Owed]:
        return self._owed(now - LONGEST_WINDOW, now, open_after=now)

    def _owed(self, start: datetime, last: datetime, *, open_after: datetime | None = None) -> Iterable[Owed]:
        """Due from `start` to `last`, both included."""
        rows = tuple(self._registered.values())
        end = last + MOMENT
        return owed(self._versions, rows, start, end, zone=self.zone, gives=self.gives, open_after=open_after)


def pause(meter: str, tries: int) -> timedelta:
    """How long a slot rests after its n-th failed round: doubled each time, up to a quarter more by the meter's name."""
    doublings: int = 2 ** min(tries - 1, 10)
    whole = min(FIRST_PAUSE * doublings, LONGEST_PAUSE)
    spread = zlib.crc32(f"{meter}/{tries}".encode()) % 256
    return whole + whole * spread // 1024
