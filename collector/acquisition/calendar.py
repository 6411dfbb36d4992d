"""When a plan is due: its timetable, windows, spread and cut-off. Pure: a plan, instants and a zone in, instants out.

    basis       plan                at (to what the slot belongs)    due            open (unless `window` says)
    instant     every 15m           each grid point                  then           until the next grid point
    instant     at 09:00            09:00                            then           an hour: the value would soon be another
    (words)     at 03:00            03:00                            then           until the next is due
    curve       every 15m           each grid point                  then           6 hours: the meter keeps it
    freeze      at 00:05            00:00 of that day                00:05          until the next freeze is due
    settlement  at 00:05, days [1]  00:00 of those days of a month   00:05 then     a day; after that backfill has it

The grid begins anew at every local midnight and runs in real elapsed time, so a day of 23 or 25 hours has 92 or 100
quarter hours. A local time that a day skips is due when the clock jumps past it; one that it has twice is due the first
time (`storage.days` knows both).

*Due* is the same for all meters of a plan and decides what is owed. When a meter is first asked is its due instant and its
own share of the jitter, always within the window.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from storage.days import data_day, day_start, from_local
from storage.records import WORDS, Basis, Plan

INSTANT_WINDOW = timedelta(hours=1)
CURVE_WINDOW = timedelta(hours=6)
SETTLEMENT_WINDOW = timedelta(days=1)
DAY = timedelta(days=1)
FIRST_OF_MONTH = (1,)
"""The usual settlement day of DL/T 645 meters (DI 04000B01 as delivered: the 1st, 00:00)."""
_EVER = datetime.min.replace(tzinfo=UTC)
_SHARES = 1 << 16


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """One entry of a plan's timetable: due (closed) to closes (open)."""

    due: datetime
    closes: datetime
    at: datetime


def timetable(plan: Plan, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[Instant]:
    """The plan's instants that are due in [start, end), in order."""
    day = start.astimezone(zone).date() - DAY
    last = end.astimezone(zone).date()
    while day <= last:
        for instant in _of_day(plan, day, zone, since=start):
            if instant.due >= end:
                return
            if instant.due >= start:
                yield instant
        day += DAY


@lru_cache(maxsize=4096)  # many meters push the same instant
def entry_of(plan: Plan, instant: datetime, zone: ZoneInfo) -> Instant | None:
    """The entry of the timetable that a value of this instant belongs to."""
    day = instant.astimezone(zone).date()
    if day_start(day + DAY, zone) <= instant:  # an hour that the clock shows twice, around midnight
        day += DAY
    if plan.every_s is not None:
        today, step = day_start(day, zone), timedelta(seconds=plan.every_s)
        at = today + (instant - today) // step * step
        entries = [_grid_point(plan, at, min(at + step, day_start(day + DAY, zone)))]
    else:
        entries = [entry for near in (day - DAY, day) for entry in _of_day(plan, near, zone)]
    kept_by_meter = plan.basis is not Basis.INSTANT
    for entry in entries:
        if entry.at == instant if kept_by_meter else entry.at <= instant < entry.closes:
            return entry
    return None


def latest_at(plan: Plan, now: datetime, zone: ZoneInfo) -> datetime:
    """To which instant the newest value belongs that a meter can have for this plan: now for one that runs, else the last
    grid point, midnight or settlement.
    """
    if plan.basis is Basis.INSTANT:
        return now
    today = now.astimezone(zone).date()
    if plan.every_s is not None:
        midnight, step = day_start(today, zone), timedelta(seconds=plan.every_s)
        return midnight + (now - midnight) // step * step
    days = plan.days or FIRST_OF_MONTH
    while plan.basis is Basis.SETTLEMENT and today.day not in days:
        today -= DAY
    return day_start(today, zone)


def spread(plan: Plan, meter: str, entry: Instant) -> datetime:
    """When a meter is first asked: due, and its share of the jitter. The same at every start, and in every plan with this
    jitter, so that a meter is asked for all of them at once. Never past the window.
    """
    if not plan.jitter_s:
        return entry.due
    width = min(timedelta(seconds=plan.jitter_s), entry.closes - entry.due)
    return entry.due + width * (zlib.crc32(meter.encode()) % _SHARES) // _SHARES


def cutoff_of(plan: Plan, at: datetime, zone: ZoneInfo) -> datetime | None:
    """Until when (open) a slot's value counts as first round: `cutoff` of the day after its data day, by the zone's clock."""
    if plan.cutoff_minute is None:
        return None
    return _clock_time(data_day(at, plan.basis, zone) + DAY, plan.cutoff_minute, zone)


@lru_cache(maxsize=1024)
def _clock_time(day: date, minute: int, zone: ZoneInfo) -> datetime:
    return from_local(datetime.combine(day, time(*divmod(minute, 60))), zone)


def _of_day(plan: Plan, day: date, zone: ZoneInfo, *, since: datetime = _EVER) -> Iterator[Instant]:
    """In order. What is due before `since` may be left out: a grid of seconds has 86,400 points a day."""
    if plan.every_s is not None:
        today, tomorrow = day_start(day, zone), day_start(day + DAY, zone)
        step = timedelta(seconds=plan.every_s)
        at = today + max(0, -((today - since) // step)) * step
        while at < tomorrow:
            after = min(at + step, tomorrow)
            yield _grid_point(plan, at, after)
            at = after
        return
    if plan.basis is Basis.SETTLEMENT and day.day not in (plan.days or FIRST_OF_MONTH):
        return
    minute = plan.at_minute or 0
    due = _clock_time(day, minute, zone)
    at = due if plan.basis in (Basis.INSTANT, Basis.CURVE) else day_start(day, zone)
    if plan.window_s is not None:
        closes = due + timedelta(seconds=plan.window_s)
    elif plan.basis is Basis.SETTLEMENT:
        closes = due + SETTLEMENT_WINDOW
    elif plan.basis is Basis.FREEZE or _only_words(plan):
        closes = _clock_time(day + DAY, minute, zone)
    else:
        closes = due + INSTANT_WINDOW
    yield Instant(due, closes, at)


def _grid_point(plan: Plan, at: datetime, after: datetime) -> Instant:
    """`after`: the next one. A value as it runs is the next point's from then on; what the meter kept can be had later."""
    if plan.basis is Basis.INSTANT:
        closes = after if plan.window_s is None else min(after, at + timedelta(seconds=plan.window_s))
    elif plan.window_s is not None:
        closes = at + timedelta(seconds=plan.window_s)
    else:
        closes = at + CURVE_WINDOW if plan.basis is Basis.CURVE else after
    return Instant(at, closes, at)


def _only_words(plan: Plan) -> bool:
    return all(wanted in WORDS for wanted in plan.read)
