"""The ledger in SQL, the part that accounts for days."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime

from storage.dues import Counted, MeterDay, Pause, Paused, Tried
from storage.ledger import days
from storage.ledger.sessions import Sessions
from storage.records import Basis


class SqlDays:
    """Pauses, counts, denominators: see `storage.ledger.day_port`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._words = sessions.words

    async def begin_pause(self, one: Pause) -> bool:
        """Leave something out."""
        return await self._sessions.write(lambda connection: days.begin_pause(connection, one))

    async def end_pause(self, kind: Paused, name: str, *, at: datetime, who: str) -> bool:
        """Take it up again."""
        return await self._sessions.write(lambda connection: days.end_pause(connection, kind, name, at=at, who=who))

    async def pauses(self, start: datetime, end: datetime) -> tuple[Pause, ...]:
        """In force in [start, end)."""
        return await self._sessions.read(lambda connection: days.pauses(connection, start, end))

    async def counted(
        self, start: datetime, end: datetime, *, basis: Basis, quantities: Collection[str], as_of: datetime
    ) -> tuple[Counted, ...]:
        """Slots that had their value, by meter."""
        return await self._sessions.read(
            lambda connection: days.counted(connection, start, end, basis, quantities, as_of)
        )

    async def tried(self, start: datetime, end: datetime) -> tuple[Tried, ...]:
        """Attempts by meter and channel."""
        return await self._sessions.read(lambda connection: days.tried(connection, start, end))

    async def keep_meter_days(self, day: date, rows: Sequence[MeterDay]) -> bool:
        """A day's denominators."""
        return await self._sessions.write(lambda connection: days.keep_meter_days(connection, self._words, day, rows))

    async def meter_days(self, first: date, last: date) -> tuple[MeterDay, ...]:
        """Denominators that are written down."""
        return await self._sessions.read(lambda connection: days.meter_days(connection, first, last))
