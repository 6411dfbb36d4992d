"""What the ledger in memory keeps of one reading, and of one installation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from storage.ledger.series import Value
from storage.records import Conflict, DeliveryRow, Quality, Reading, Revision
from storage.registry import Registered


@dataclass(slots=True)
class Kept:
    """One reading and all that lies beside it."""

    raw: Reading
    served: Reading
    kept: set[tuple[int, int]]
    others: list[Conflict] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    waits: bool = True
    delivered: DeliveryRow | None = None

    @property
    def quality(self) -> Quality:
        if self.waits:
            return Quality.SUSPECT if self.others else Quality.RAW
        return self.revisions[-1].quality

    @property
    def own_value(self) -> int | None:
        """What an estimate or edit put beside the raw value."""
        return self.revisions[-1].value if self.revisions else None

    @property
    def value(self) -> int:
        return self.served.value if self.own_value is None else self.own_value

    def column(self, value: int) -> Value:
        return Value(self.raw.time, value, self.served.resolution, bool(self.others), len(self.revisions))


@dataclass(slots=True)
class Stay:
    """An installation, and from when on readings belong to it."""

    since: datetime
    end: datetime | None
    registered: Registered
