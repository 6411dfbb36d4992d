"""The SQL ledger's half of `care_port`: each verb one transaction, the files beside say how."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from storage.care import ClockChange, ClockCheck, EventCount, MeterEvent, StatusWords
from storage.ledger import caring, happenings
from storage.ledger.sessions import Sessions


class SqlCare:
    """See the port."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._words = sessions.words

    async def clock_checks(
        self,
        *,
        meters: Collection[str] = (),
        since: datetime | None = None,
        shown: tuple[datetime, datetime] | None = None,
    ) -> tuple[ClockCheck, ...]:
        """By meter and time."""
        return await self._sessions.read(
            lambda connection: caring.clock_checks(connection, meters=meters, since=since, shown=shown)
        )

    async def last_clock_checks(self) -> tuple[ClockCheck, ...]:
        """The latest of each meter."""
        return await self._sessions.read(caring.last_clock_checks)

    async def begin_clock_changes(self, changes: Sequence[ClockChange]) -> None:
        """Before the frame leaves."""
        await self._sessions.write(lambda connection: caring.begin(connection, self._words, changes))

    async def end_clock_changes(self, changes: Sequence[ClockChange]) -> None:
        """What became of them."""
        await self._sessions.write(lambda connection: caring.end(connection, self._words, changes))

    async def clock_changes(
        self, *, meters: Collection[str] = (), since: datetime | None = None
    ) -> tuple[ClockChange, ...]:
        """By meter and time."""
        return await self._sessions.read(
            lambda connection: caring.clock_changes(connection, meters=meters, since=since)
        )

    async def events(
        self,
        *,
        meters: Collection[str] = (),
        kinds: Collection[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> tuple[MeterEvent, ...]:
        """By start."""
        return await self._sessions.read(
            lambda connection: happenings.events(connection, meters=meters, kinds=kinds, start=start, end=end)
        )

    async def event_counts(self, meter: str) -> tuple[EventCount, ...]:
        """The latest of one meter."""
        return await self._sessions.read(lambda connection: happenings.event_counts(connection, meter))

    async def last_statuses(self) -> tuple[StatusWords, ...]:
        """The latest of each meter."""
        return await self._sessions.read(happenings.last_statuses)
