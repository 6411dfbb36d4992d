"""What goes first on a line that cannot do everything at once (召测 before 例日 before 冻结 before 曲线 before 补采).

An order of preference, not of exclusion: whoever serves by it sees to it that the last is served too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from storage.records import Basis


class Urgency(IntEnum):
    """Smaller goes first."""

    ON_DEMAND = 0
    """A person waits for it."""
    READING_DAY = 1
    """A billing group's reading day: a bill hangs on it, backfilled or not."""
    FREEZE = 2
    """Registers that the meter keeps by itself at midnight and at a settlement."""
    CURVE = 3
    """Values at grid instants, and registers as they run."""
    CARE = 4
    """Clock, status, events."""
    BACKFILL = 5
    """What the meter still has of days that are gone."""


BY_BASIS: Mapping[Basis, Urgency] = {
    Basis.FREEZE: Urgency.FREEZE,
    Basis.SETTLEMENT: Urgency.FREEZE,
    Basis.CURVE: Urgency.CURVE,
    Basis.INSTANT: Urgency.CURVE,
}
