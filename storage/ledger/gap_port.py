"""The ledger's port, the part that finds gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from storage.records import Missing, Slot
from storage.registry import Registered


class GapLedger(Protocol):
    """Part of `storage.ledger.port.Ledger`."""

    async def left_places(self, since: datetime) -> tuple[Registered, ...]:
        """The installations that ended after an instant, by meter and start: where meters stood before they were moved."""

    async def unfilled(self, slots: Sequence[Slot]) -> Mapping[Slot, Missing | None]:
        """Of these slots those without a value, each with the reason that is noted for it, or None. What it costs goes by how
        many are asked for, not by how many are kept: ask for some hundreds at a time.
        """
