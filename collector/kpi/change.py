"""Why a rate moved against the day before: every meter whose part in it has changed, by name.

    recovered        failed the day before, is there now
    newly_failed     was there the day before, failed now
    newly_due        owed nothing the day before
    no_longer_due    owed something the day before and nothing now
    suspended        left out on purpose since
    resumed          no longer left out

Pure. Invariant: from the figures of the day before, these lists give the figures of the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from collector.kpi.rates import SHARES, Day, Metric, Share
from storage.dues import MeterDay


class Change(StrEnum):
    """What became of a meter."""

    RECOVERED = "recovered"
    NEWLY_FAILED = "newly_failed"
    NEWLY_DUE = "newly_due"
    NO_LONGER_DUE = "no_longer_due"
    SUSPENDED = "suspended"
    RESUMED = "resumed"


PER_METER = (Metric.READ, Metric.ALL_ITEMS, Metric.READING_DAY)
"""Rates in which each meter counts once, so that it can be said what became of it."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One meter. `was_there`, `there`: it had, it has all that it owes; False where it owes nothing."""

    change: Change
    meter: str
    point: str
    was_there: bool
    there: bool


_ABSENT = Share(0, 0, 0)


def moved(metric: Metric, before: Day, after: Day) -> tuple[Moved, ...]:
    """By kind of change, then by meter."""
    share = SHARES[metric]
    old = {due.meter: share(due, before) for due in before.dues}
    new = {due.meter: share(due, after) for due in after.dues}
    points = {due.meter: due.point for day in (before, after) for due in day.dues}
    order = list(Change)
    found = [
        Moved(change, meter, points[meter], was_there=then.final > 0, there=now.final > 0)
        for meter in points
        for then, now in ((old.get(meter, _ABSENT), new.get(meter, _ABSENT)),)
        for change in _changes(then, now)
    ]
    return tuple(sorted(found, key=lambda one: (order.index(one.change), one.meter)))


def _changes(old: Share, new: Share) -> Iterator[Change]:
    if old.expected and new.expected:
        if new.final > old.final:
            yield Change.RECOVERED
        elif new.final < old.final:
            yield Change.NEWLY_FAILED
    elif new.expected:
        yield Change.RESUMED if old.paused else Change.NEWLY_DUE
    elif old.expected:
        yield Change.SUSPENDED if new.paused else Change.NO_LONGER_DUE


def failing(metric: Metric, day: Day) -> tuple[MeterDay, ...]:
    """Meters that owe and have not, by name."""
    share = SHARES[metric]
    found = (due for due in day.dues if (one := share(due, day)).final < one.expected)
    return tuple(sorted(found, key=lambda due: due.meter))
