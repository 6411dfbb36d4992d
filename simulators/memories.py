"""What a meter keeps by itself beside its midnight freezes: settlement copies and a load curve, and when it had no power.

A copy is made when the meter's own clock gets there; without power then, none is. Settlements that fell into the dark are made
up when power returns, with the registers of that moment (DL/T 614), under the time that they should have had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulators.meter import Meter

SETTLEMENTS = 12
QUARTER_S = 900
MOST_RECORDS = 3840
"""Forty days of quarters of an hour."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Registers that were kept: under which stamp, and when that really was."""

    stamp: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Memories:
    """As a meter is set. `settlement_days`: day and hour; `every_s` 0: no curve."""

    settlement_days: Sequence[tuple[int, int]] = ((1, 0),)
    every_s: int = QUARTER_S
    records: int = MOST_RECORDS

    def settlement(self, meter: Meter, back: int, at: datetime) -> Copy | None:
        """The `back`-th last settlement (1 = the latest); None beyond the memory and before the meter was there."""
        if not 1 <= back <= SETTLEMENTS:
            return None
        made = (copy for copy in self._settled(meter, at))
        return next((copy for n, copy in enumerate(made, 1) if n == back), None)

    def _settled(self, meter: Meter, at: datetime) -> Iterator[Copy]:
        shown = meter.clock(at).replace(tzinfo=meter.zone)
        month = shown.year * 12 + shown.month - 1
        for past in range(SETTLEMENTS + 1):
            year, of_year = divmod(month - past, 12)
            for day, hour in sorted(self.settlement_days, reverse=True):
                stamp = datetime(year, of_year + 1, day, hour, tzinfo=meter.zone)
                really = meter.timepiece.showed(stamp, at)
                if really is not None and really >= meter.mounted and meter.power_back(really) <= at:
                    yield Copy(stamp, meter.power_back(really))

    def curve(self, meter: Meter, since: datetime, count: int, at: datetime) -> list[Copy]:
        """As many records as are asked for from a stamp on, oldest first: it begins with the first that there is."""
        step = timedelta(seconds=self.every_s)
        if not step:
            return []
        shown = meter.clock(at).replace(tzinfo=meter.zone)
        latest = _grid(shown, step)
        oldest = max(latest - (self.records - 1) * step, _grid(meter.mounted.astimezone(meter.zone) + step, step))
        stamp = max(_grid(since.replace(tzinfo=meter.zone) + step - timedelta(microseconds=1), step), oldest)
        found: list[Copy] = []
        while stamp <= latest and len(found) < count:
            really = meter.timepiece.showed(stamp, at)
            if really is not None and meter.power_back(really) == really:
                found.append(Copy(stamp, really))
            stamp += step
        return found


def _grid(at: datetime, step: timedelta) -> datetime:
    """The last grid point of its day up to an instant."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // step * step
