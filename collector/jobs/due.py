"""How many values were due, without making each slot: the count that rates are measured by, quick for a hundred thousand meters.

The same computation as `collector.acquisition.plan.owed`, by timetable and installation instead of slot by slot; a test
holds the two equal.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from collector.acquisition.calendar import timetable
from collector.acquisition.plan import Gives, takes
from storage.days import data_day
from storage.records import PlanVersion
from storage.registry import Registered

Due = tuple[date, str, str]
"""Data day, plan, meter."""


def count_due(
    versions: Iterable[PlanVersion],
    registered: Sequence[Registered],
    start: datetime,
    end: datetime,
    *,
    zone: ZoneInfo,
    gives: Gives,
) -> Counter[Due]:
    """Slots due in [start, end), by data day, plan and meter."""
    counts: Counter[Due] = Counter()
    for version in versions:
        plan = version.plan
        first = max(start, version.valid_from)
        last = end if version.valid_to is None else min(end, version.valid_to)
        if first >= last:
            continue
        by_day: dict[date, list[datetime]] = {}
        for instant in timetable(plan, first, last, zone):
            by_day.setdefault(data_day(instant.at, plan.basis, zone), []).append(instant.at)
        of_profile = {
            profile: sum(gives(profile, quantity, plan.basis) for quantity in plan.read)
            for profile in {one.meter.profile for one in registered}
        }
        for one in registered:
            quantities = of_profile[one.meter.profile]
            if not quantities or not takes(plan, one):
                continue
            for day, instants in by_day.items():
                if slots := _while_installed(one, instants) * quantities:
                    counts[day, plan.name, one.meter.meter] += slots
    return counts


def one_a_meter(installations: Iterable[Registered]) -> list[list[Registered]]:
    """Apart, so that none has a meter twice: a meter that was moved owed its values at the old place until then."""
    apart: list[dict[str, Registered]] = []
    for one in installations:
        free = next((there for there in apart if one.meter.meter not in there), None)
        if free is None:
            free = {}
            apart.append(free)
        free[one.meter.meter] = one
    return [list(there.values()) for there in apart]


def _while_installed(one: Registered, instants: Sequence[datetime]) -> int:
    ended = one.installation.end
    until = len(instants) if ended is None else bisect_left(instants, ended)
    return max(0, until - bisect_left(instants, one.installation.start))
