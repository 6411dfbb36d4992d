"""When settlement copies (结算日转存, last byte 01..0C) were made. They carry no stamp of their own in the 2007 edition.

So their instant is reckoned: the meter's settlement days (04000B01..03, day and hour, up to three a month) and its own clock say
when it last made copies, and copy 1 is the last, copy 2 the one before … That holds if the days were not changed since and if
the meter made a copy at each; a meter that was without power then makes it up when power returns (DL/T 614). What is not plain
gets no time, and so no value becomes a reading: days that cannot be read or make no sense, two that are the same, a clock so near
behind a settlement that its copy may not be there, a settlement while we read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from protocols.dlt645.pictures import stamp

DAYS = ("04000B01", "04000B02", "04000B03")
DATE, TIME = "04000101", "04000102"
BEFORE, AFTER = (*DAYS, DATE, TIME), (DATE, TIME)
"""What is asked around the copies: a copy is only what it was if the clock has passed no settlement meanwhile."""
UNUSED = ("9999", "0000")
LAST_DAY = 28
SETTLING = timedelta(minutes=10)
"""How soon after its time a copy may not be there yet."""
LONGEST_VISIT = timedelta(hours=1)
MISSING, UNSTEADY, AMBIGUOUS = "no_time_stamp", "freeze_moved", "ambiguous_settlement"


def clock(date: bytes | None, time: bytes | None) -> datetime | None:
    """The meter's clock from its two halves; None where one is missing or nonsense."""
    day = stamp("YYMMDDWW", date) if date is not None else None
    hour = stamp("hhmmss", time) if time is not None else None
    return None if day is None or hour is None else datetime.combine(day.date(), hour.time())


def instants(
    days: Sequence[bytes | None], before: datetime | None, after: datetime | None
) -> tuple[datetime, ...] | str:
    """The times of copies 1, 2 … (naive, the meter's own), thirty-six of them, or the reason why none can be said.

    `days`: what the meter answered for its three settlement days; `before`, `after`: its clock around the copies.
    """
    if None in days or before is None or after is None:
        return MISSING
    told = [_day(data) for data in days if data is not None]
    used = [one for one in told if one is not None]
    if (
        not used
        or len(set(used)) < len(used)
        or any(day not in range(1, LAST_DAY + 1) or hour > 23 for day, hour in used)
    ):
        return AMBIGUOUS
    if not timedelta() <= after - before <= LONGEST_VISIT:
        return UNSTEADY
    made = tuple(_made(used, after))
    return made if before - made[0] >= SETTLING else UNSTEADY


def _day(data: bytes) -> tuple[int, int] | None:
    """Day and hour; None for a day that is not used. What is no number is day 0, which is no day."""
    digits = data[::-1].hex()
    if digits in UNUSED:
        return None
    return (int(digits[:2]), int(digits[2:])) if len(digits) == 4 and digits.isdecimal() else (0, 0)


def _made(used: Sequence[tuple[int, int]], until: datetime) -> Iterator[datetime]:
    """Settlements up to a time, latest first."""
    month = until.year * 12 + until.month - 1
    for back in range(37):
        year, of_year = divmod(month - back, 12)
        for day, hour in sorted(used, reverse=True):
            made = until.replace(year=year, month=of_year + 1, day=day, hour=hour, minute=0, second=0, microsecond=0)
            if made <= until:
                yield made
