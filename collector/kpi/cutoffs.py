"""As of when a rate is judged: the named cut-offs of operations, counted from 00:00 of the day after the data day.

    08:00, 24:00   of the day on which the freeze is collected
    +3d, +7d       so many days after that day began
    now            whatever is there

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, tzinfo

from storage.days import day_start, from_local

NOW = "now"
_DAY = timedelta(days=1)
_HOURS: Mapping[str, int] = {"08:00": 8}
_DAYS: Mapping[str, int] = {"24:00": 1, "+3d": 3, "+7d": 7}
CUTOFFS = (*_HOURS, *_DAYS, NOW)


def as_of(cutoff: str, day: date, now: datetime, zone: tzinfo) -> datetime:
    """The instant of a cut-off for a data day; one that has not come yet is now."""
    if cutoff in _HOURS:
        instant = from_local(datetime.combine(day + _DAY, time(_HOURS[cutoff])), zone)
    elif cutoff in _DAYS:
        instant = day_start(day + _DAY + timedelta(days=_DAYS[cutoff]), zone)
    else:
        return now
    return min(instant, now)
