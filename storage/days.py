"""Which civil day an instant belongs to, and when a civil day begins: the one place where days are labelled.

Pure: the utility's zone is passed in. Instants that go in and come out are aware; those that come out are UTC.
Days have 23, 24 or 25 hours where the zone says so, and a midnight that the clocks skip (Havana, Beirut, Cairo) is still
the start of its day: the instant at which they skip it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from storage.records import Basis

CLOSING = frozenset({Basis.FREEZE, Basis.SETTLEMENT, Basis.CURVE})
"""Bases whose instant closes what lies before it: the 00:00 of day D is the last instant of D−1 (DESIGN §4)."""
_TICK = timedelta(microseconds=1)


def data_day(instant: datetime, basis: Basis, zone: tzinfo) -> date:
    """The data day (数据日) of an instant: a freeze at 00:00 of D closes D−1, an instant value at 00:00 of D is of D."""
    local = instant.astimezone(UTC) - _TICK if basis in CLOSING else instant
    return local.astimezone(zone).date()


def day_start(day: date, zone: tzinfo) -> datetime:
    """The first instant of a civil day; it is also the instant of the freeze that closes the day before."""
    return from_local(datetime.combine(day, time.min), zone)


def day_bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """First instant of the day and of the next: [start, end) for instants, (start, end] for what closes."""
    return day_start(day, zone), day_start(day + timedelta(days=1), zone)


def from_local(stamp: datetime, zone: tzinfo) -> datetime:
    """A wall-clock stamp (naive) as the instant it means.

    A stamp that the clocks skipped is the instant at which they skipped it. One that they showed twice is the earlier: a
    register is kept once, when the wall clock first gets there. An aware stamp has said already what it means.
    """
    if stamp.tzinfo is not None:
        return stamp.astimezone(UTC)
    instant = stamp.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == stamp:
        return instant
    return _change_between(stamp.replace(tzinfo=zone, fold=1).astimezone(UTC), instant, zone)


def utc_text(instant: datetime) -> str:
    """An instant as it leaves the house: RFC 3339 in UTC, `2026-03-14T16:00:00Z`; a fraction only where there is one."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _change_between(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The instant in (low, high] at which the zone's offset changes, to the second."""
    before = low.astimezone(zone).utcoffset()
    low, high = low.replace(microsecond=0), high.replace(microsecond=0)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
