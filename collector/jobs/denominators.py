"""What each meter owed of a data day: from plans, installations and pauses; of a day that is over, as it was written down."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from collector.acquisition.pauses import Interval, Pauses
from collector.acquisition.plan import Gives, gives_by, takes
from collector.jobs.due import count_due, one_a_meter
from protocols.errors import ObisError
from protocols.obis import Obis
from protocols.profile import Profile
from storage.days import data_day, day_bounds, day_start
from storage.dues import MeterDay
from storage.ledger.port import Ledger
from storage.records import Basis, PlanVersion
from storage.registry import Registered

TOTAL_IMPORT = "1-0:1.8.0"
FREEZES = frozenset({Basis.FREEZE, Basis.SETTLEMENT})
FIELDS = ("total", "freezes", "points", "paused_total", "paused_freezes", "paused_points")
"""Numbers of `MeterDay`."""
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Denominators:
    """The job with what it needs. `reading_days`: day of the month by billing group. `channels`: those that are there."""

    ledger: Ledger
    zone: ZoneInfo
    profiles: Mapping[str, Profile]
    reading_days: Mapping[str, int]
    channels: Container[str]

    async def of(self, day: date, now: datetime) -> tuple[MeterDay, ...]:
        """Of one data day, every meter that stood then; what is not due yet at `now` is not in it."""
        return await self.ledger.meter_days(day, day) or await self._reckoned(day, now)

    async def keep(self, day: date, now: datetime) -> bool:
        """Write down a day that is over. False: it is not over yet, it was written down before, or there was no meter."""
        if now < day_start(day + 2 * _DAY, self.zone):  # its freezes are due on the day after
            return False
        if await self.ledger.meter_days(day, day):
            return False
        return await self.ledger.keep_meter_days(day, await self._reckoned(day, now))

    async def _reckoned(self, day: date, now: datetime) -> tuple[MeterDay, ...]:
        begin, end = day_bounds(day, self.zone)
        until = min(end + _DAY, now + _TICK)  # a freeze closes the day before, so it is due a day later
        if until <= begin:
            return ()
        versions = await self.ledger.plan_versions(begin, until)
        stood = await self.ledger.installations(begin, until)
        pauses = Pauses(await self.ledger.pauses(begin, until))
        reckoning = _Reckoning(day, begin, until, self.zone, gives_by(self.profiles), pauses)
        owed: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for rows in one_a_meter(stood):
            for field, counts in reckoning.counts(versions, rows).items():
                owed[field] += counts
        last = {one.meter.meter: one for one in stood if one.installation.start < end}  # where it stood last that day
        read = _read_by(versions, gives_by(self.profiles))
        return tuple(self._row(day, end, last[meter], owed, read) for meter in sorted(last))

    def _row(
        self,
        day: date,
        midnight: datetime,
        one: Registered,
        owed: Mapping[str, Counter[str]],
        read: Callable[[Registered], bool],
    ) -> MeterDay:
        meter, point = one.meter, one.point
        slots = {field: owed[field][meter.meter] if field in owed else 0 for field in FIELDS}
        bills = self.reading_days.get(point.billing_group)
        return MeterDay(
            *(day, meter.meter, point.point, meter.channel, meter.terminal, point.area, point.station, point.class_),
            profile=meter.profile,
            total=slots["total"] > 0,
            freezes=slots["freezes"],
            points=slots["points"],
            reading_day=slots["total"] > 0 and midnight.astimezone(self.zone).day == bills,
            automatic=meter.channel in self.channels and read(one),
            paused_total=slots["paused_total"] > 0,
            paused_freezes=slots["paused_freezes"],
            paused_points=slots["paused_points"],
        )


@dataclass(frozen=True)
class _Reckoning:
    """One day's slots by meter, [begin, until) being when they are due."""

    day: date
    begin: datetime
    until: datetime
    zone: ZoneInfo
    gives: Gives
    pauses: Pauses

    def counts(self, versions: Sequence[PlanVersion], rows: Sequence[Registered]) -> Mapping[str, Counter[str]]:
        """`MeterDay`'s number → meter → slots."""
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for version in map(_values, versions):
            kind = "freezes" if version.plan.basis in FREEZES else "points"
            self._count(found, kind, version, rows)
            if version.plan.basis is Basis.FREEZE and TOTAL_IMPORT in version.plan.read:
                self._count(found, "total", _reading(version, (TOTAL_IMPORT,)), rows)
        return found

    def _count(
        self, found: defaultdict[str, Counter[str]], kind: str, version: PlanVersion, rows: Sequence[Registered]
    ) -> None:
        found[kind] += self._due(version, rows, self.begin, self.until)
        if not self.pauses:
            return
        by_interval: defaultdict[Interval, list[Registered]] = defaultdict(list)
        for one in rows:
            for interval in self.pauses.of(version.plan.name, one):
                by_interval[interval].append(one)
        for (since, until), paused in by_interval.items():
            found[f"paused_{kind}"] += self._due(version, paused, max(since, self.begin), min(until, self.until))

    def _due(self, version: PlanVersion, rows: Sequence[Registered], start: datetime, end: datetime) -> Counter[str]:
        counts: Counter[str] = Counter()
        if start < end:
            due = count_due([version], rows, start, end, zone=self.zone, gives=self.gives)
            for (day, _, meter), slots in due.items():
                if day == self.day:
                    counts[meter] += slots
        return counts


def _read_by(versions: Sequence[PlanVersion], gives: Gives) -> Callable[[Registered], bool]:
    """Whether some plan reads a meter, due by now or not."""

    @cache
    def can(version: PlanVersion, profile: str) -> bool:
        return any(gives(profile, quantity, version.plan.basis) for quantity in version.plan.read)

    kept = [_values(version) for version in versions]
    return lambda one: any(takes(version.plan, one) and can(version, one.meter.profile) for version in kept)


def _values(version: PlanVersion) -> PlanVersion:
    """Only what the plan reads as values: a clock, a status or events are no item of the day."""
    return _reading(version, tuple(one for one in version.plan.read if is_quantity(one)))


def _reading(version: PlanVersion, read: tuple[str, ...]) -> PlanVersion:
    return replace(version, plan=replace(version.plan, read=read))


def is_quantity(name: str) -> bool:
    """An OBIS code, and not a word such as "clock"."""
    try:
        Obis.parse(name)
    except ObisError:
        return False
    return True


def span_of(day: date, basis: Basis, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The `at` of a data day's slots, half open: (00:00, 00:00] for what closes, [00:00, 00:00) for instants."""
    begin, end = day_bounds(day, zone)
    shift = _TICK if data_day(begin, basis, zone) < day else timedelta(0)
    return begin + shift, end + shift
