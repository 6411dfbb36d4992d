"""The ledger's port, for senders that number their messages."""

from __future__ import annotations

from typing import Protocol

from storage.senders import Progress


class SenderLedger(Protocol):
    """What `Batch.numbered` makes of them; a receipt has the progress of those that a batch has heard."""

    async def senders(self) -> tuple[Progress, ...]:
        """All that ever numbered a message, each boot by itself, by channel, sender and boot."""
