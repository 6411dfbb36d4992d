"""The ledger's port, the part that accounts for days: pauses, counts as of an instant, denominators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Protocol

from storage.dues import Counted, MeterDay, Pause, Paused, Tried
from storage.records import Basis


class DayLedger(Protocol):
    """Part of `storage.ledger.port.Ledger`."""

    async def begin_pause(self, one: Pause) -> bool:
        """Leave something out from now on. False: it is left out already, and the pause that there is stays as it is."""

    async def end_pause(self, kind: Paused, name: str, *, at: datetime, who: str) -> bool:
        """Take it up again. False: it was not left out."""

    async def pauses(self, start: datetime, end: datetime) -> tuple[Pause, ...]:
        """In force at any time in [start, end), oldest first; none is ever forgotten."""

    async def counted(
        self, start: datetime, end: datetime, *, basis: Basis, quantities: Collection[str], as_of: datetime
    ) -> tuple[Counted, ...]:
        """By meter, the slots of plans with `at` in [start, end) that had their value at `as_of` (that instant included)."""

    async def tried(self, start: datetime, end: datetime) -> tuple[Tried, ...]:
        """Attempts begun in [start, end), by meter and channel; what nobody's plan asked for is counted too."""

    async def keep_meter_days(self, day: date, rows: Sequence[MeterDay]) -> bool:
        """Write down a day's denominators, once for ever. False: that was done before, and they stay as they are."""

    async def meter_days(self, first: date, last: date) -> tuple[MeterDay, ...]:
        """The denominators of days that are written down, by day and meter."""
