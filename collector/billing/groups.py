"""Billing groups (例日): which instants of a group may be handed over by now.

A group reads on one day of the month: the register at 00:00 of that day is the one that is billed. It is handed over from
its release time on, so that re-reading and correcting come first. Pure: now and the zone are passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from storage.days import day_start

MONTHS_BACK = 36
"""How old a value may be and still be handed over for the first time; disputes reach back three years at most."""


@dataclass(frozen=True, slots=True)
class ReadingDay:
    """A group as the configuration has it. `day` 1 to 28; `release` counts from 00:00 of that day."""

    group: str
    day: int
    release: timedelta


def released_instants(groups: Iterable[ReadingDay], *, now: datetime, zone: tzinfo) -> dict[str, frozenset[datetime]]:
    """For each group, its reading days at 00:00 whose release time has come, newest 36 months."""
    return {one.group: frozenset(_instants(one, now, zone)) for one in groups}


def _instants(one: ReadingDay, now: datetime, zone: tzinfo) -> Iterator[datetime]:
    today = now.astimezone(zone).date()
    month = today.year * 12 + today.month - 1
    for back in range(-1, MONTHS_BACK):
        year, month_of_year = divmod(month - back, 12)
        instant = day_start(date(year, month_of_year + 1, one.day), zone)
        if instant + one.release <= now:
            yield instant
