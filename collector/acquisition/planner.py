"""What to read now: slots owed, not yet filled, not in hand, and not waiting for their next try. Pure state, no clock.

The planner's memory is a cache of the ledger: `restore` rebuilds it at start from what is filled and what was tried.
Its one invariant: a slot is in exactly one of *open* (may be tried), *in hand* (a visit asks for it now) or gone (filled,
or its window has closed), and no slot leaves without a value or a reason. Nothing here looks at every open slot: the daemon
asks after each visit, and a hundred thousand may be open (what comes next is at the head of `_retries` and `_ends`). When a
hundred thousand come due at once they are made a slice at a time (`advance`), and the first are asked before the last are made.

It is a source of tasks (`tasks.py`): lines pull from it, most urgent first.

A round is a first try and, once all meters have had theirs, the retries of those that failed (fault matrix F29: first round
first, retries at its end). A meter whose last round brought nothing has one try a round. After a failed round a slot waits,
twice as long each time, with a spread that differs from meter to meter, so that many silent meters do not come back in step.
"""

from __future__ import annotations

import heapq
import zlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.breaker import Breakers
from collector.acquisition.calendar import timetable
from collector.acquisition.pauses import LeftOut, is_left_out
from collector.acquisition.plan import Gives, Owed, owed
from collector.acquisition.ready import Ready
from collector.acquisition.tasks import Before, Collected, Task
from collector.acquisition.urgency import Urgency, urgency_of
from storage.records import PlanVersion, Slot
from storage.registry import Registered

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=15)
"""As a breaker's: a line that is back is noticed within a quarter of an hour, which is most of an hourly value's window."""
LONGEST_WINDOW = timedelta(days=2)
"""How far back a restart looks for slots that are still open; no window of `calendar.timetable` is longer."""
MOMENT = timedelta(microseconds=1)
"""Ranges are half open; what is due at this very instant is due."""
SET_BACK = timedelta(minutes=1)
"""A clock that goes back by more was wrong before; by less, it is being adjusted, and nothing is read anew."""
HORIZON = timedelta(days=1)
"""How far ahead the next due slot is looked for; an empty plan wakes the planner once a day."""


MOST_EXPIRED = 512
"""Slots that are given up at once."""
SLICE = 64
"""Meters whose slots are made at once: a few milliseconds, and then whoever else waits is served."""


@dataclass(slots=True)
class _Open:
    owed: Owed
    urgency: Urgency
    tries: int = 0
    next_try: datetime | None = None
    in_hand: bool = False
    overdue: bool = False
    """Its window closed while it was in hand."""
    before: Before | None = None
    """What this round has said of it so far; the ledger does not know it yet."""


@dataclass(frozen=True, slots=True)
class Expired:
    """A slot whose window has closed without a value. `tries`: failed rounds that the ledger knows of. `before`: what it does
    not know yet, of a round that was not over.
    """

    slot: Slot
    tries: int
    before: Before | None = None


@dataclass(slots=True)
class Planner:
    """Holds the open slots. `polled` names the channels that are asked; slots of the others only wait for messages."""

    zone: ZoneInfo
    gives: Gives
    polled: frozenset[str]
    breakers: Breakers = field(default_factory=Breakers)
    """Meters that are left alone for a while, whatever is owed of them."""
    reading_days: Mapping[str, int] = field(default_factory=dict)
    """Of each billing group: what a bill hangs on outranks all else."""
    _left_out: LeftOut = frozenset()
    """Slots of these are open as any other, and are not asked for."""
    _versions: tuple[PlanVersion, ...] = ()
    _registered: Mapping[str, Registered] = field(default_factory=dict)
    _open: dict[Slot, _Open] = field(default_factory=dict)
    _ready: Ready = field(default_factory=Ready)
    """Open, not in hand and waiting for nothing; slots of channels that are not polled are never here."""
    _until: datetime | None = None
    """Up to here everything is made, or stands in `_making`."""
    _making: deque[Iterator[Iterable[Owed]]] = field(default_factory=deque)
    """Slices of what is due, for each time something came due."""
    _retries: list[tuple[datetime, Slot]] = field(default_factory=list)
    """A heap, in which slots stay until their instant although they are filled meanwhile."""
    _closing: dict[datetime, dict[Slot, None]] = field(default_factory=dict)
    """Open slots by the end of their window, and those ends as a heap: a hundred thousand may end at once."""
    _ends: list[datetime] = field(default_factory=list)

    def load(self, versions: Sequence[PlanVersion], registered: Sequence[Registered], now: datetime) -> None:
        """Take plans and registry as they are now; slots that nobody owes any more are dropped, tries are kept."""
        self._versions = tuple(versions)
        self._registered = {one.meter.meter: one for one in registered}
        kept = {entry.slot for entry in self._still_open(now)}
        self._open = {slot: state for slot, state in self._open.items() if slot in kept or state.in_hand}
        rested = [
            slot
            for slot, state in self._open.items()
            if state.next_try is None or state.next_try <= now or slot in self._ready
        ]
        self._ready.clear()
        self._ready.keep_meters(self._registered)
        for slot in rested:
            if not self._open[slot].in_hand:
                self._make_ready(slot, self._open[slot])
        self._closing.clear()
        self._ends.clear()
        for slot, state in self._open.items():
            if not state.overdue:
                self._close_at(state.owed.closes, slot)
        self._making.clear()
        self._until = now - LONGEST_WINDOW

    def restore(self, filled: Iterable[Slot], tried: Mapping[Slot, int], now: datetime) -> None:
        """After `load`: what the ledger knows of slots that are still open. `tried`: failed rounds by slot."""
        done = set(filled)
        for entry in self._still_open(now):
            if entry.slot not in done:
                self._take_up(entry, now)
                self._open[entry.slot].tries = tried.get(entry.slot, 0)
        self.filled(done)
        self._until = now

    def leave_out(self, left_out: LeftOut, now: datetime) -> bool:
        """What is not asked for from now on; a visit under way ends as it began. False: nothing has changed."""
        if left_out == self._left_out:
            return False
        self._left_out = left_out
        for slot, state in self._open.items():
            if not state.in_hand and (state.next_try is None or state.next_try <= now):
                self._ready.discard(slot)
                self._make_ready(slot, state)
        return True

    def is_left_out(self, slot: Slot) -> bool:
        """Whether nobody asks for it now, on purpose."""
        one = self._registered.get(slot.meter)
        return one is not None and is_left_out(slot.plan, one, self._left_out)

    def advance(self, now: datetime) -> bool:
        """Make the next slice of what is due. True: there is more to make."""
        self._generate(now)
        while self._making:
            part = next(self._making[0], None)
            if part is None:
                self._making.popleft()
                continue
            for entry in part:
                self._take_up(entry, now)
            break
        return bool(self._making)

    def channels(self) -> Collection[str]:
        """See `TaskSource`."""
        return self._ready.channels()

    def waiting(self, channel: str, now: datetime) -> Mapping[Urgency, datetime]:
        """See `TaskSource`."""
        return self._ready.waiting(channel)

    def take(self, channel: str, urgency: Urgency, now: datetime) -> Task | None:
        """All that waits of one meter with this urgency; what has closed meanwhile is left out."""
        while slots := self._ready.pop(channel, urgency):
            wanted = [slot for slot in slots if self._open[slot].owed.closes > now]
            for slot in wanted:
                self._open[slot].in_hand = True
            if wanted:
                return self._task(wanted, urgency)
        return None

    def _task(self, slots: Sequence[Slot], urgency: Urgency) -> Task:
        meter, states = slots[0].meter, [(slot, self._open[slot]) for slot in slots]
        cutoffs = {slot: state.owed.cutoff for slot, state in states if state.owed.cutoff}
        before = {slot: state.before for slot, state in states if state.before}
        in_rounds = None if self.breakers.doubted(meter) else before
        return Task(self._registered[meter], tuple(sorted(slots)), urgency, cutoffs=cutoffs, before=in_rounds)

    def ended(self, collected: Collected, now: datetime) -> None:
        """What may still come in this round waits for its end, the rest for its next try."""
        done = set(collected.filled)
        self.filled(done)
        for one in collected.again:
            slot = one.missing.slot
            done.add(slot)
            if state := self._open.get(slot):
                state.before = one
                self._let_go(slot, state)
                self._make_ready(slot, state)
        self.failed([slot for slot in collected.task.slots if slot not in done], now)

    def put_off(self, task: Task, until: datetime) -> None:
        """They rest; the ledger knows of no try, so none is counted."""
        for slot in task.slots:
            if state := self._open.get(slot):
                self._rest(slot, state, until)

    def released(self, task: Task) -> None:
        """They are ready as before."""
        for slot in task.slots:
            if state := self._open.get(slot):
                self._let_go(slot, state)
                self._make_ready(slot, state)

    def filled(self, slots: Iterable[Slot]) -> None:
        """These have their value."""
        for slot in slots:
            if state := self._open.pop(slot, None):
                self._ready.discard(slot)
                self._closing.get(state.owed.closes, {}).pop(slot, None)

    def failed(self, slots: Iterable[Slot], now: datetime) -> None:
        """These were asked for and not got; they wait for their next try."""
        for slot in slots:
            if state := self._open.get(slot):
                state.tries += 1
                state.before = None
                self._rest(slot, state, now + pause(slot.meter, state.tries))

    def expired(self, now: datetime) -> list[Expired]:
        """Slots whose window has closed without a value; they are gone afterwards.

        A slice of them: ask again until there is none.
        """
        gone: list[Expired] = []
        while self._ends and self._ends[0] <= now and len(gone) < MOST_EXPIRED:
            slots = self._closing[self._ends[0]]
            while slots and len(gone) < MOST_EXPIRED:
                slot, _ = slots.popitem()
                state = self._open[slot]
                if state.in_hand:
                    state.overdue = True  # `_let_go` puts it back
                else:
                    self.filled([slot])
                    gone.append(Expired(slot, state.tries, state.before))
            self._tidy_ends()
        return gone

    def _tidy_ends(self) -> None:
        while self._ends and not self._closing[self._ends[0]]:
            del self._closing[heapq.heappop(self._ends)]

    def _close_at(self, end: datetime, slot: Slot) -> None:
        if end not in self._closing:
            self._closing[end] = {}
            heapq.heappush(self._ends, end)
        self._closing[end][slot] = None

    def next_alarm(self, now: datetime) -> datetime:
        """When there will next be something to do. What rests no longer waits for its turn from now on."""
        self._rested(now)
        if self._making:
            return now
        ahead = now + HORIZON
        instants = [ahead]
        for version in self._versions:
            first = next(timetable(version.plan, now + MOMENT, ahead, self.zone), None)
            if first is not None:
                instants.append(first.due)
        self._tidy_ends()
        instants += self._ends[:1]
        while self._retries and self._retries[0][1] not in self._open:
            heapq.heappop(self._retries)
        instants += [instant for instant, _ in self._retries[:1]]
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
            if versions := self._due(self._until + MOMENT, now + MOMENT):
                rows = tuple(self._registered.values())
                self._making.append(self._slices(versions, rows, self._until + MOMENT, now + MOMENT))
            self._until = now

    def _due(self, start: datetime, end: datetime) -> tuple[PlanVersion, ...]:
        """Mostly none: asked every moment, and a plan is due now and then; a hundred thousand meters need no look."""
        return tuple(one for one in self._versions if next(timetable(one.plan, start, end, self.zone), None))

    def _slices(
        self, versions: Sequence[PlanVersion], rows: Sequence[Registered], start: datetime, end: datetime
    ) -> Iterator[Iterable[Owed]]:
        for first in range(0, len(rows), SLICE):
            yield owed(versions, rows[first : first + SLICE], start, end, zone=self.zone, gives=self.gives)

    def _take_up(self, entry: Owed, now: datetime) -> None:
        if entry.slot not in self._open:
            urgency = urgency_of(entry.slot, self._registered[entry.slot.meter], self.reading_days, self.zone)
            state = self._open[entry.slot] = _Open(entry, urgency)
            self._close_at(entry.closes, entry.slot)
            if entry.due > now:  # by the jitter of its plan
                self._rest(entry.slot, state, entry.due)
            else:
                self._make_ready(entry.slot, state)

    def _make_ready(self, slot: Slot, state: _Open) -> None:
        one = self._registered.get(slot.meter)
        if one is None or one.meter.channel not in self.polled or is_left_out(slot.plan, one, self._left_out):
            return
        late = state.tries > 0 or state.before is not None or self.breakers.rests_until(slot.meter) is not None
        self._ready.put(slot, one.meter.channel, state.urgency, state.owed.closes, late=late)

    def _rest(self, slot: Slot, state: _Open, until: datetime) -> None:
        state.next_try = until
        self._ready.discard(slot)
        if until < state.owed.closes:
            heapq.heappush(self._retries, (until, slot))
        self._let_go(slot, state)

    def _let_go(self, slot: Slot, state: _Open) -> None:
        state.in_hand = False
        if state.overdue:
            state.overdue = False
            self._close_at(state.owed.closes, slot)

    def _rested(self, now: datetime) -> None:
        """Slots whose next try has come are ready again."""
        while self._retries and self._retries[0][0] <= now:
            instant, slot = heapq.heappop(self._retries)
            state = self._open.get(slot)
            if state is not None and state.next_try == instant and not state.in_hand:
                self._make_ready(slot, state)

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
    whole = min(FIRST_PAUSE * doublings, LONGEST_PAUSE * 4 / 5)
    spread = zlib.crc32(f"{meter}/{tries}".encode()) % 256
    return whole + whole * spread // 1024
