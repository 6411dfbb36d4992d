"""The SQL ledger's half of `gap_port`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from storage.ledger import counting, registry
from storage.ledger.sessions import Sessions
from storage.records import Missing, Slot
from storage.registry import Registered


class SqlGaps:
    """See the port."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._words = sessions.words

    async def left_places(self, since: datetime) -> tuple[Registered, ...]:
        """Installations that ended."""
        return await self._sessions.read(lambda connection: registry.left_places(connection, since))

    async def unfilled(self, slots: Sequence[Slot]) -> Mapping[Slot, Missing | None]:
        """Those without a value."""
        return await self._sessions.read(lambda connection: counting.unfilled(connection, self._words, slots))
