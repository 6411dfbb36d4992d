"""Backfill (补采): finds what is missing of days gone by, and has it asked from the meters' memory when lines have time for it.

    look      at start, every hour, and when a silent line answers again: slots owed whose windows closed since the last look,
              minus those that have a value → per meter, the days with gaps (`leads`); what the meter can't have any more is
              closed as overwritten. At the start days that the counters show to be whole are left out.
    prepare   for each channel a few tasks ahead: one meter's most urgent gaps, as many as a visit should ask for
    Poll      takes them like any other task, at the lowest urgency; `Collect` searches the memory and commits

Everything is done in slices of some hundred slots, so that nothing holds the loop; no list of all gaps is ever made. Invariant:
what is filled here is marked as backfilled and late, so that the first round stays what it was.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate

from collector.acquisition.calendar import Instant, timetable
from collector.acquisition.gaps import DAY, OVERWRITTEN, Gap, Memory, Rank, gaps, rank, remembered_by
from collector.acquisition.leads import Lead, Leads
from collector.acquisition.plan import owed, takes
from collector.acquisition.planner import Planner
from collector.acquisition.recall import RECORDS_AT_ONCE
from collector.acquisition.tasks import Collected, Task
from collector.acquisition.urgency import Urgency, urgency_of
from collector.clock import Clock, sleep_until_or_set
from protocols.profile import Profile
from storage.days import data_day, day_bounds
from storage.errors import DatabaseBusy, DatabaseUnusable
from storage.ledger.port import Ledger
from storage.records import Basis, Batch, Missing, Owner, PlanVersion, Slot, Source
from storage.registry import Registered

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(hours=1)
BUSY_PAUSE = timedelta(minutes=1)
SLICE = 250
"""Slots that are looked at together: some milliseconds."""
MOST_QUESTIONS = 12
"""In one visit, about: a line that has live slots to ask again soon is not held for minutes."""
HORIZON: Mapping[Basis, timedelta] = {
    Basis.FREEZE: timedelta(days=93),
    Basis.CURVE: timedelta(days=93),
    Basis.SETTLEMENT: timedelta(days=400),
}
"""How far back a start looks. What is older is left as it was."""
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Day:
    """Instants of one version of a plan that belong to one data day and have closed."""

    version: PlanVersion
    day: date
    first: datetime
    last: datetime
    count: int


class Backfill:
    """The job, and with `leads` the source of its tasks. `wake`: called when there is something to take."""

    def __init__(
        self,
        planner: Planner,
        profiles: Mapping[str, Profile],
        ledger: Ledger,
        clock: Clock,
        *,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.leads = Leads()
        self._planner = planner
        self._profiles = profiles
        self._ledger = ledger
        self._clock = clock
        self.wake = wake
        self._remembers = remembered_by(profiles)
        self._looked: datetime | None = None
        """Windows that closed up to then have been looked at."""
        self._next_look = clock.now()
        self._something = asyncio.Event()
        self._settled = asyncio.Event()
        self._ended: tuple[Registered, ...] = ()

    # --- for others ---

    def seen(self, collected: Collected) -> None:
        """Told of every task that was committed: who answers again is asked for what is missing."""
        if collected.batch.readings:
            meter = collected.task.registered.meter
            if self.leads.answered(meter.meter, meter.channel):
                self._next_look = self._clock.now()
        if len(self.leads):
            self._something.set()
            self._settled.clear()

    def changed(self) -> None:
        """Meters, channels or plans are others now: look at all anew."""
        self.leads.forget_ready()
        self._remembers = remembered_by(self._profiles)
        self._looked, self._next_look = None, self._clock.now()
        self._something.set()
        self._settled.clear()

    def is_settled(self) -> bool:
        """There is nothing to look for and nothing to prepare now."""
        return self._settled.is_set() and not self._something.is_set()

    async def settled(self) -> datetime:
        """Wait for that; the instant of the next look or of the end of a rest. For whoever drives the clock."""
        while not self.is_settled() or self._alarm() <= self._clock.now():
            self._settled.clear()
            self._something.set()
            await self._settled.wait()
        return self._alarm()

    # --- the job ---

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                self._something.clear()
                await self._turn()
                if not self._something.is_set():
                    self._settled.set()
                sleeping = asyncio.ensure_future(sleep_until_or_set(self._clock, self._alarm(), self._something))
                try:
                    await asyncio.wait((sleeping, stopping), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    sleeping.cancel()
                self._settled.clear()
        finally:
            stopping.cancel()

    async def _turn(self) -> None:
        try:
            if self._next_look <= self._clock.now():
                await self.look()
            await self.prepare()
        except (DatabaseBusy, DatabaseUnusable) as error:
            log.warning("backfill waits for the database: %s", error)
            self._next_look = max(self._next_look, self._clock.now() + BUSY_PAUSE)

    def _alarm(self) -> datetime:
        rest = self.leads.next_alarm(self._clock.now())
        return min(self._next_look, rest) if rest is not None else self._next_look

    async def look(self) -> None:
        """Find gaps among the windows that closed since the last look; at the first, as far back as meters remember."""
        now = self._clock.now()
        at_start = self._looked is None
        before, found = len(self.leads), 0
        since = self._looked or now - max(HORIZON.values())
        versions = await self._ledger.plan_versions(since - 2 * DAY, now + _TICK)
        if at_start:
            self._ended = await self._earlier(now)
        async for part in self._days(versions, since, now, at_start=at_start):
            found += await self._scan(part, self._rows(), now)
        self._looked = now
        self._next_look = now + LOOK_EVERY
        if found or len(self.leads) != before:
            log.info(
                "backfill: %d meters have gaps that their memory may fill; %d values are overwritten",
                len(self.leads),
                found,
            )

    async def _earlier(self, now: datetime) -> tuple[Registered, ...]:
        """Where meters stood before they were moved: what they owed there is in their memory still."""
        left = await self._ledger.left_places(now - max(HORIZON.values()))
        return tuple(one for one in left if self._planner.registered(one.meter.meter))

    async def _days(
        self, versions: Iterable[PlanVersion], since: datetime, now: datetime, *, at_start: bool
    ) -> AsyncIterator[_Day]:
        """What closed in (since, now], by plan and data day; at the start without the days of which every value is there."""
        zone = self._planner.zone
        for version in versions:
            plan = version.plan
            if plan.basis is Basis.INSTANT:
                continue
            reach = max(since - 2 * DAY, now - HORIZON[plan.basis], version.valid_from)
            until = now if version.valid_to is None else min(now, version.valid_to)
            by_day: dict[date, list[Instant]] = {}
            for instant in timetable(plan, reach, until, zone) if reach < until else ():
                if since < instant.closes <= now:
                    by_day.setdefault(data_day(instant.at, plan.basis, zone), []).append(instant)
            due = await self._due(version, by_day) if at_start else {}
            for day, instants in by_day.items():
                if not at_start or due[day] != await self._collected(day, plan.name):
                    yield _Day(version, day, instants[0].due, instants[-1].due, len(instants))

    async def _due(self, version: PlanVersion, by_day: Mapping[date, Sequence[Instant]]) -> dict[date, int]:
        """How many values all meters owed on each day. Of a day that two versions share neither count fits: it is looked at."""
        days = [day for day, instants in by_day.items() for _ in instants]
        ats = [instant.at for instants in by_day.values() for instant in instants]
        steps = [0] * (len(ats) + 1)
        plan, gives = version.plan, self._planner.gives
        quantities: dict[str, int] = {}
        rows = self._rows()
        for start in range(0, len(rows), 2 * SLICE):
            await asyncio.sleep(0)
            for one in rows[start : start + 2 * SLICE]:
                if takes(plan, one):
                    profile = one.meter.profile
                    if profile not in quantities:
                        quantities[profile] = sum(gives(profile, quantity, plan.basis) for quantity in plan.read)
                    end = one.installation.end
                    steps[bisect_left(ats, one.installation.start)] += quantities[profile]
                    steps[len(ats) if end is None else bisect_left(ats, end)] -= quantities[profile]
        due = dict.fromkeys(by_day, 0)
        for day, slots in zip(days, accumulate(steps), strict=False):
            due[day] += slots
        return due

    async def _collected(self, day: date, plan: str) -> int:
        counts = await self._ledger.day_counts(day, day)
        return sum(one.slots for one in counts if one.plan == plan and not one.reason)

    def _rows(self) -> tuple[Registered, ...]:
        """Where meters stand, and where those that were moved stood before."""
        return (*self._planner.meters, *self._ended)

    async def _scan(self, part: _Day, rows: Sequence[Registered], now: datetime) -> int:
        """Lead to the gaps of one day; how many values are overwritten."""
        size = max(1, SLICE // max(1, part.count * len(part.version.plan.read)))
        lost = 0
        for start in range(0, len(rows), size):
            await asyncio.sleep(0)
            found = await self._gaps((part.version,), rows[start : start + size], part.first, part.last, now)
            by_meter: dict[str, list[Gap]] = {}
            overwritten: list[Missing] = []
            for gap, missing in found:
                if gap.expires <= now:
                    overwritten.append(self._overwritten(gap, missing, now))
                else:
                    by_meter.setdefault(gap.slot.meter, []).append(gap)
            for meter, its in by_meter.items():
                one = self._planner.registered(meter)
                if one is not None and one.meter.channel in self._planner.polled:
                    first = min(self._rank(gap, one, now) for gap in its)
                    self.leads.found(meter, one.meter.channel, first, [(part.version.plan.basis, part.day)])
            if overwritten:
                await self._ledger.append(Batch(missing=tuple(overwritten)))
                lost += len(overwritten)
        return lost

    async def _gaps(
        self,
        versions: Iterable[PlanVersion],
        rows: Sequence[Registered],
        first: datetime,
        last: datetime,
        now: datetime,
    ) -> list[tuple[Gap, Missing | None]]:
        """Due in [first, last], of these meters; with what is noted of each."""
        planner = self._planner
        entries = list(owed(versions, rows, first, last + _TICK, zone=planner.zone, gives=planner.gives))
        unfilled: dict[Slot, Missing | None] = {}
        for start in range(0, len(entries), SLICE):
            unfilled |= await self._ledger.unfilled([entry.slot for entry in entries[start : start + SLICE]])
        profile_of = {one.meter.meter: one.meter.profile for one in rows}
        remembers = self._remembers

        def memory(slot: Slot) -> Memory | None:
            return remembers(profile_of[slot.meter], slot.quantity, slot.basis)

        found = gaps(entries, unfilled, memory, zone=planner.zone, now=now)
        return [(gap, unfilled[gap.slot]) for gap in found]

    def _rank(self, gap: Gap, one: Registered, now: datetime) -> Rank:
        planner = self._planner
        bill = urgency_of(gap.slot, one, planner.reading_days, planner.zone) is Urgency.READING_DAY
        return rank(gap, reading_day=bill, zone=planner.zone, now=now)

    def _overwritten(self, gap: Gap, missing: Missing | None, now: datetime) -> Missing:
        """Whose fault it is: that of whoever kept it from being read while it was there."""
        slot, zone = gap.slot, self._planner.zone
        detail = f"the meter had it until {gap.expires.astimezone(zone):%Y-%m-%d %H:%M}"
        if missing is not None:
            detail += (
                f"; it was missing for {missing.reason}: {missing.detail}" if missing.detail else f"; {missing.reason}"
            )
        owner = missing.owner if missing is not None else Owner.OURS
        since = missing.since if missing is not None else slot.at
        day = data_day(slot.at, slot.basis, zone)
        return Missing(slot, day, OVERWRITTEN, owner, detail, attempts=0, since=since, expires=gap.expires)

    # --- tasks ---

    async def prepare(self) -> None:
        """Tasks for the lines that have room for some."""
        for channel in self.leads.wanting():
            while self.leads.wants(channel) and (lead := self.leads.next(channel)) is not None:
                await self._task(lead)

    async def _task(self, lead: Lead) -> None:
        """What a meter is asked next, its most urgent gaps first; closes what is overwritten meanwhile."""
        now, planner = self._clock.now(), self._planner
        one = planner.registered(lead.meter)
        if one is None or one.meter.channel != lead.channel or lead.channel not in planner.polled:
            self.leads.forget(lead)
            self.leads.over(lead, now)
            return
        rows = (one, *(row for row in self._ended if row.meter.meter == lead.meter))
        chosen: list[tuple[Rank, Gap]] = []
        overwritten: list[Missing] = []
        size = _Size(self._profiles[one.meter.profile])
        for basis, day in self._in_order(lead, one, now):
            found = await self._of_day(rows, basis, day, now)
            if not found:
                self.leads.whole(lead, basis, day)
            overwritten += [self._overwritten(gap, missing, now) for gap, missing in found if gap.expires <= now]
            left = [gap for gap, _ in found if gap.expires > now and gap.slot not in lead.tried]
            left = [gap for gap in left if not planner.is_left_out(gap.slot)]
            chosen += [(self._rank(gap, one, now), gap) for gap in left]
            if size.with_(gap.slot for gap in left) >= MOST_QUESTIONS:
                break
        if overwritten:
            await self._ledger.append(Batch(missing=tuple(overwritten)))
        if not chosen:
            self.leads.over(lead, now)
            return
        chosen.sort(key=lambda entry: (entry[0], entry[1].slot))
        first, urgency = chosen[0][0], chosen[0][0].urgency
        slots = self._visit(one, [gap.slot for its, gap in chosen if its.urgency is urgency])
        late = {slot: slot.at for slot in slots}
        task = Task(one, tuple(sorted(slots)), urgency, source=Source.BACKFILL, cutoffs=late)
        self.leads.prepared(lead, task, first)
        self.wake()

    def _in_order(self, lead: Lead, one: Registered, now: datetime) -> list[tuple[Basis, date]]:
        """Days by what is most urgent on them: the closing midnight of a day is what a bill may hang on."""
        remembers = self._remembers

        def first(entry: tuple[Basis, date]) -> Rank:
            basis, day = entry
            closing = day_bounds(day, self._planner.zone)[1]
            quantity = next((r.quantity for r in self._profiles[one.meter.profile].registers if r.basis == basis), "")
            memory = remembers(one.meter.profile, quantity, basis)
            expires = memory.keeps_until(closing, self._planner.zone) if memory is not None else closing
            return self._rank(Gap(Slot("-", lead.meter, quantity, basis, closing), expires), one, now)

        return sorted(self.leads.days(lead), key=first)

    async def _of_day(
        self, rows: Sequence[Registered], basis: Basis, day: date, now: datetime
    ) -> list[tuple[Gap, Missing | None]]:
        start, end = day_bounds(day, self._planner.zone)
        end += 2 * DAY  # a freeze that closes the day is due on the next
        versions = await self._ledger.plan_versions(start, end)
        kept = [version for version in versions if version.plan.basis is basis]
        found = await self._gaps(kept, rows, start, end, now)
        return [(gap, why) for gap, why in found if data_day(gap.slot.at, basis, self._planner.zone) == day]

    def _visit(self, one: Registered, wanted: Sequence[Slot]) -> list[Slot]:
        """As many of the first as one visit should ask for; one at least."""
        size = _Size(self._profiles[one.meter.profile])
        return [slot for place, slot in enumerate(wanted) if size.with_([slot]) <= MOST_QUESTIONS or place == 0]


class _Size:
    """About how many questions it takes to ask for some slots."""

    def __init__(self, profile: Profile) -> None:
        self._register_of = {(one.quantity, Basis(one.basis)): one.id for one in profile.registers}
        self._copies: set[tuple[str, datetime]] = set()
        self._stamps: set[tuple[Basis, datetime]] = set()
        self._records: set[tuple[str, datetime]] = set()

    def with_(self, slots: Iterable[Slot]) -> int:
        """With these, too: each stamp is asked before and after its values, records are asked in rows."""
        for slot in slots:
            register = self._register_of.get((slot.quantity, slot.basis), "")
            if slot.basis is Basis.CURVE:
                self._records.add((register, slot.at))
            else:
                self._copies.add((register, slot.at))
                self._stamps.add((slot.basis, slot.at))
        return len(self._copies) + 2 * len(self._stamps) + -(-len(self._records) // RECORDS_AT_ONCE)
