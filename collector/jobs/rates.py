"""The rates of operations over a ledger: as of a cut-off, why they moved, and who has been failing for how long. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from collector.clock import Clock
from collector.jobs.denominators import FREEZES, TOTAL_IMPORT, Denominators, is_quantity, span_of
from collector.kpi.change import Moved, failing, moved
from collector.kpi.cutoffs import NOW, as_of
from collector.kpi.rates import Day, Metric, grouping, rates
from collector.kpi.success import Success
from storage.days import day_bounds
from storage.dues import Counted, MeterDay
from storage.records import Basis, Missing

LONGEST_DAYS = 62
"""How far back a row of failures is followed: as long as a meter keeps its daily freezes (DL/T 645-2007)."""
_DAY = timedelta(days=1)
_POINTS = frozenset(Basis) - FREEZES


@dataclass(frozen=True, slots=True)
class Failing:
    """A meter without its total import freeze on `days` data days in a row, `since` the first of them.

    `at_least`: it was followed back no further. `last`: what is known of the latest day's value.
    """

    due: MeterDay
    days: int
    since: date
    at_least: bool
    last: Missing | None


@dataclass(frozen=True, slots=True)
class Explained:
    """A rate of a day against the day before."""

    before: Success | None
    after: Success | None
    moved: tuple[Moved, ...]


@dataclass(frozen=True)
class Rates:
    """The job with what it needs. `protocols`: what each channel speaks. `makers`: who made each profile's meters."""

    denominators: Denominators
    clock: Clock
    protocols: Mapping[str, str]
    makers: Mapping[str, str]

    async def of(
        self,
        first: date,
        last: date,
        *,
        by: str,
        metrics: Sequence[Metric] = tuple(Metric),
        cutoff: str = NOW,
        summed: bool = False,
    ) -> tuple[Success, ...]:
        """The rates of the data days first to last, both included; `summed`: Σ/Σ over them."""
        key = grouping(by, self.protocols, self.makers)
        days = [await self._day(day, metrics, cutoff) for day in _days(first, last)]
        return rates(days, metrics, by=by, key=key, summed=summed)

    async def why(self, day: date, metric: Metric, *, cutoff: str = NOW) -> Explained:
        """Why the rate of a day is not that of the day before."""
        before, after = [await self._day(one, (metric,), cutoff) for one in (day - _DAY, day)]
        line = {
            one.day: one
            for one in rates((before, after), (metric,), by="day", key=grouping("day", {}, {}), summed=False)
        }
        return Explained(line.get(day - _DAY), line.get(day), moved(metric, before, after))

    async def failing(self, day: date, *, at_least: int = 1) -> tuple[Failing, ...]:
        """Meters without their total import freeze of a data day, the longest first; those for `at_least` days in a row."""
        names = {due.meter: due for due in failing(Metric.READ, await self._day(day, (Metric.READ,), NOW))}
        since = dict.fromkeys(names, day)
        still, back = set(names), day
        while still and back > day - timedelta(days=LONGEST_DAYS):
            back -= _DAY
            still &= {due.meter for due in failing(Metric.READ, await self._day(back, (Metric.READ,), NOW))}
            since |= dict.fromkeys(still, back)
        reasons = await self._reasons(day)
        found = (
            Failing(due, (day - since[meter]).days + 1, since[meter], meter in still, reasons.get(meter))
            for meter, due in names.items()
        )
        return tuple(sorted((one for one in found if one.days >= at_least), key=lambda one: (-one.days, one.due.meter)))

    async def _reasons(self, day: date) -> Mapping[str, Missing]:
        begin, end = span_of(day, Basis.FREEZE, self.denominators.zone)
        closed = await self.denominators.ledger.closed(begin, end)
        return {
            one.slot.meter: one for one in closed if (one.slot.quantity, one.slot.basis) == (TOTAL_IMPORT, Basis.FREEZE)
        }

    async def _day(self, day: date, metrics: Sequence[Metric], cutoff: str) -> Day:
        now, ledger = self.clock.now(), self.denominators.ledger
        begin, end = day_bounds(day, self.denominators.zone)
        instant = as_of(cutoff, day, now, self.denominators.zone)
        dues = await self.denominators.of(day, now)
        totals: Mapping[str, Counted] = {}
        freezes: Mapping[str, Counted] = {}
        points: Mapping[str, Counted] = {}
        if {Metric.READ, Metric.READING_DAY} & set(metrics):
            totals = await self._counted(day, {Basis.FREEZE}, (TOTAL_IMPORT,), instant)
        if {Metric.ALL_ITEMS, Metric.CURVE} & set(metrics):
            versions = await ledger.plan_versions(begin, end + _DAY)
            asked = {name for version in versions for name in version.plan.read if is_quantity(name)}
            freezes = await self._counted(day, FREEZES, asked, instant)
            points = await self._counted(day, _POINTS, asked, instant)
        tries = await ledger.tried(begin, end) if Metric.MESSAGE in metrics else ()
        return Day(day, instant, dues, totals, freezes, points, tries)

    async def _counted(
        self, day: date, bases: Iterable[Basis], quantities: Iterable[str], instant: datetime
    ) -> Mapping[str, Counted]:
        asked = frozenset(quantities)
        found: dict[str, Counted] = {}
        for basis in sorted(bases):
            begin, end = span_of(day, basis, self.denominators.zone)
            for one in await self.denominators.ledger.counted(begin, end, basis=basis, quantities=asked, as_of=instant):
                was = found.get(one.meter, Counted(one.meter, 0, 0))
                found[one.meter] = Counted(one.meter, was.slots + one.slots, was.first_round + one.first_round)
        return found


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
