"""The ledger's port, the part that accounts for days: pauses, fillings, denominators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Protocol

from storage.dues import Filling, MeterDay, Pause, Paused
from storage.records import Basis


class DayLedger(Protocol):
    """Part of `storage.ledger.port.Ledger`."""

    async def begin_pause(self, one: Pause) -> bool:
        """Leave something out from now on. False: it is left out already, and the pause that there is stays as it is."""

    async def end_pause(self, kind: Paused, name: str, *, at: datetime, who: str) -> bool:
        """Take it up again. False: it was not left out."""

    async def pauses(self, start: datetime, end: datetime) -> tuple[Pause, ...]:
        """In force at any time in [start, end), oldest first; none is ever forgotten."""

    async def fillings(self, start: datetime, end: datetime, bases: Collection[Basis]) -> tuple[Filling, ...]:
        """Slots of these bases with `at` in [start, end) that have a value, and since when; in no order."""

    async def keep_meter_days(self, day: date, rows: Sequence[MeterDay]) -> bool:
        """Write down a day's denominators, once for ever. False: that was done before, and they stay as they are."""

    async def meter_days(self, first: date, last: date) -> tuple[MeterDay, ...]:
        """The denominators of days that are written down, by day and meter."""
