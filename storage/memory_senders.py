"""Senders' progress, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from storage.ledger.progress import Key, advanced, by_sender
from storage.senders import Numbered, Progress


class MemorySenders:
    """The part of `MemoryLedger` that knows senders."""

    def __init__(self) -> None:
        self._senders: dict[Key, Progress] = {}

    def _hear(self, numbered: Sequence[Numbered]) -> tuple[Progress, ...]:
        now = advanced(self._senders, by_sender(numbered))
        self._senders.update({(one.channel, one.sender, one.boot): one for one in now})
        return now

    async def senders(self) -> tuple[Progress, ...]:
        """See the port."""
        return tuple(self._senders[key] for key in sorted(self._senders))
