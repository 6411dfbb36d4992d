"""What goes first on a line that cannot do everything at once (召测 before 例日 before 冻结 before 曲线 before 补采).

An order of preference, not of exclusion: whoever serves by it sees to it that the last is served too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from protocols.catalogue import Kind, describe
from protocols.errors import ObisError
from protocols.obis import Obis
from storage.days import day_start
from storage.records import WORDS, Basis, Slot
from storage.registry import Registered


class Urgency(IntEnum):
    """Smaller goes first."""

    ON_DEMAND = 0
    """A person waits for it."""
    READING_DAY = 1
    """A billing group's reading day: a bill hangs on it, backfilled or not."""
    FREEZE = 2
    """Registers that the meter keeps by itself at midnight and at a settlement."""
    CURVE = 3
    """Values at grid instants, and registers as they run."""
    CARE = 4
    """Clock, status, events."""
    BACKFILL = 5
    """What the meter still has of days that are gone."""


BY_BASIS: Mapping[Basis, Urgency] = {
    Basis.FREEZE: Urgency.FREEZE,
    Basis.SETTLEMENT: Urgency.FREEZE,
    Basis.CURVE: Urgency.CURVE,
    Basis.INSTANT: Urgency.CURVE,
}

USUAL_READING_DAY = 1
"""Of points that are in no group."""


def urgency_of(slot: Slot, registered: Registered, groups: Mapping[str, int], zone: ZoneInfo) -> Urgency:
    """Where a slot stands in the order, whenever it is asked for. `groups`: the reading day of each billing group, 1 to 28.

    A bill hangs on the register at 00:00 of its group's reading day, on whatever basis it is read; on nothing else. That a
    day is gone and the slot is backfilled is for the caller to know: only a reading day keeps its place then.
    """
    if not slot.plan:
        return Urgency.ON_DEMAND
    if slot.quantity in WORDS:
        return Urgency.CARE
    if _is_billed(slot.quantity):
        day = groups.get(registered.point.billing_group, USUAL_READING_DAY)
        if _midnight_of(slot.at, zone) == day:
            return Urgency.READING_DAY
    return BY_BASIS[slot.basis]


@lru_cache(maxsize=1024)
def _is_billed(quantity: str) -> bool:
    try:
        return describe(Obis.parse(quantity)).kind is Kind.REGISTER
    except ObisError:
        return False


@lru_cache(maxsize=4096)
def _midnight_of(instant: datetime, zone: ZoneInfo) -> int:
    """Of which day of the month this is 00:00; 0 for other instants."""
    day = instant.astimezone(zone).date()
    return day.day if day_start(day, zone) == instant else 0
