"""The ledger's port, continued: clocks and their changes. See `storage.ledger.port` for what holds of every verb."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from storage.care import ClockChange, ClockCheck, EventCount, MeterEvent, StatusWords


class CareLedger(Protocol):
    """What is kept of meters beside their readings. Checks themselves come in a `Batch`, with the slots they serve."""

    async def clock_checks(
        self,
        *,
        meters: Collection[str] = (),
        since: datetime | None = None,
        shown: tuple[datetime, datetime] | None = None,
    ) -> tuple[ClockCheck, ...]:
        """By meter and time; of no meter named: of all. `since`: our time. `shown`: [start, end) of the meter's own."""

    async def last_clock_checks(self) -> tuple[ClockCheck, ...]:
        """The latest of each meter, by meter."""

    async def begin_clock_changes(self, changes: Sequence[ClockChange]) -> None:
        """Write down what is about to be done, all or none; `outcome` and what follows it are not looked at.

        :raises AuditRefused: a change of this meter that began at this very instant is there already.
        """

    async def end_clock_changes(self, changes: Sequence[ClockChange]) -> None:
        """Write down what became of changes that were begun, all or none. Repeating the same has no effect.

        :raises AuditRefused: one that was never begun, or that has ended otherwise.
        """

    async def clock_changes(
        self, *, meters: Collection[str] = (), since: datetime | None = None
    ) -> tuple[ClockChange, ...]:
        """By meter and time; of no meter named: of all. Those begun at `since` or later."""

    async def events(
        self,
        *,
        meters: Collection[str] = (),
        kinds: Collection[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> tuple[MeterEvent, ...]:
        """By start, meter, kind and phase; those begun in [start, end). What was stored twice is there once; an event whose end
        came later has it.
        """

    async def event_counts(self, meter: str) -> tuple[EventCount, ...]:
        """The latest of one meter, by kind and phase."""

    async def last_statuses(self) -> tuple[StatusWords, ...]:
        """The latest of each meter, by meter."""
