"""The operations figures: what was due (computed from plans and installations) beside what the ledger has.

Reads only. Invariant: over the same days, `missing` has as many lines with a plan as `success` says are missing, as long as
the registry is the one under which they were due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.gaps import Remembers, remembered_by
from collector.acquisition.plan import Owed, gives_by, owed
from collector.clock import Clock
from collector.jobs.due import count_due, one_a_meter
from collector.kpi.success import Due, Success, success
from protocols.profile import Profile
from storage.days import data_day, day_bounds
from storage.dues import Pause
from storage.ledger.port import Ledger
from storage.records import Conflict, Missing, Owner
from storage.registry import Registered

NOT_YET, NOT_TRIED = "not_yet", "not_tried"
"""Due, and without a value or a reason: its window is still open; it has closed and nobody asked."""
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Reporter:
    """The job with what it needs. `protocols`: what each channel speaks."""

    ledger: Ledger
    clock: Clock
    zone: ZoneInfo
    profiles: Mapping[str, Profile]
    protocols: Mapping[str, str]

    def today(self) -> date:
        """The civil day it is."""
        return self.clock.now().astimezone(self.zone).date()

    async def success(self, first: date, last: date, *, by: str) -> tuple[Success, ...]:
        """Read success of the data days first to last, both included, by day and group."""
        as_of = self.clock.now()
        start, end = self._span(first, last, as_of)
        versions = await self.ledger.plan_versions(start, end) if start < end else ()
        due = []
        for rows in one_a_meter(await self.ledger.installations(start, end)):
            there = {one.meter.meter: one for one in rows}
            slots = count_due(versions, rows, start, end, zone=self.zone, gives=gives_by(self.profiles))
            due += [
                _counted(there[meter], day, plan, count)
                for (day, plan, meter), count in slots.items()
                if first <= day <= last
            ]
        return success(
            due,
            await self.ledger.day_counts(first, last),
            by=by,
            as_of=as_of,
            protocols=self.protocols,
        )

    async def missing(self, first: date, last: date) -> tuple[Missing, ...]:
        """What is missing of the data days first to last and why, what was asked on demand too; one day at a time."""
        now = self.clock.now()
        profiles = {one.meter.meter: one.meter.profile for one in await self.ledger.registry()}
        remembers = remembered_by(self.profiles)
        found: list[Missing] = []
        day = first
        while day <= last:
            start, end = day_bounds(day, self.zone)
            noted = [one for one in await self.ledger.closed(start, end + _TICK) if one.data_day == day]
            settled = {one.slot for one in noted} | await self.ledger.filled(start, end + _TICK)
            found += noted
            found += (
                Missing(one.slot, day, NOT_YET if now < one.closes else NOT_TRIED, Owner.OURS, since=one.due)
                for one in await self._due(day, now)
                if one.slot not in settled
            )
            day += _DAY
        found = [_until(one, remembers, profiles.get(one.slot.meter, ""), self.zone) for one in found]
        return tuple(sorted(found, key=lambda one: (one.slot.meter, one.slot.quantity, one.slot.basis, one.slot.at)))

    async def conflicts(self) -> tuple[Conflict, ...]:
        """Keys with more than one value, oldest first."""
        return await self.ledger.conflicts()

    async def paused(self, first: date, last: date) -> tuple[Pause, ...]:
        """What was left out on purpose at any time of these days, oldest first."""
        return await self.ledger.pauses(day_bounds(first, self.zone)[0], day_bounds(last, self.zone)[1])

    async def points(self) -> Mapping[str, str]:
        """Which point each meter is at."""
        return {one.meter.meter: one.point.point for one in await self.ledger.registry()}

    async def _due(self, day: date, now: datetime) -> Iterator[Owed]:
        """Slots of this data day that were due by now."""
        start, end = self._span(day, day, now)
        if end <= start:
            return iter(())
        versions = await self.ledger.plan_versions(start, end)
        registered = await self.ledger.installations(start, end)
        every = owed(versions, registered, start, end, zone=self.zone, gives=gives_by(self.profiles))
        return (one for one in every if data_day(one.slot.at, one.slot.basis, self.zone) == day)

    def _span(self, first: date, last: date, now: datetime) -> tuple[datetime, datetime]:
        """When slots of these data days are due, up to now. A freeze closes the day before, so it is due a day later."""
        return day_bounds(first, self.zone)[0], min(day_bounds(last, self.zone)[1] + _DAY, now + _TICK)


def _counted(one: Registered, day: date, plan: str, slots: int) -> Due:
    return Due(
        day=day,
        plan=plan,
        channel=one.meter.channel,
        terminal=one.meter.terminal,
        area=one.point.area,
        station=one.point.station,
        class_=one.point.class_,
        profile=one.meter.profile,
        slots=slots,
    )


def _until(one: Missing, remembers: Remembers, profile: str, zone: ZoneInfo) -> Missing:
    """With the day on which the meter overwrites it, where nobody has noted it yet."""
    memory = remembers(profile, one.slot.quantity, one.slot.basis) if one.expires is None and one.slot.plan else None
    return one if memory is None else replace(one, expires=memory.keeps_until(one.slot.at, zone))
