"""What goes wrong, from when to when, and what a good collector is expected to find.

Two sorts. *Register faults* change what the meter counts: they are pure functions of time, so that the running register
and every freeze agree with each other. *Line faults* change what leaves the meter: silence, a spoilt checksum. Both are
written into the truth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from simulators.load import Counts
from simulators.shapes import FLAT


class FaultKind(StrEnum):
    """What can be planted."""

    SILENT = "silent"
    """Nothing is answered or published."""
    POWER_DOWN = "power_down"
    """No supply: nothing is answered, and a DL/T 645 meter writes it down."""
    BAD_CHECKSUM = "bad_checksum"
    """The answer's checksum does not fit."""
    WRONG_VALUE = "wrong_value"
    """The import register shows `kwh` too much, far above what can have flowed."""
    DECREASED = "decreased"
    """All registers fall back to what they were `back` before, and count on from there (an old backup restored)."""
    STOPPED = "stopped"
    """No register counts; what flows meanwhile is lost."""


LINE_FAULTS = (FaultKind.SILENT, FaultKind.POWER_DOWN, FaultKind.BAD_CHECKSUM)
EXPECTED: dict[FaultKind, dict[str, str]] = {
    FaultKind.SILENT: {"missing": "no_answer"},
    FaultKind.POWER_DOWN: {"missing": "no_supply"},
    FaultKind.BAD_CHECKSUM: {"missing": "bad_checksum"},
    FaultKind.WRONG_VALUE: {"rule": "out_of_range"},
    FaultKind.DECREASED: {"rule": "register_decreased"},
    FaultKind.STOPPED: {},  # no rule of the first three sees it: it takes knowledge of the customer
}
"""What is to be found: slots missing for a reason, or values that a rule speaks about."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one meter, from `start` (closed) to `end` (open; None = for good).

    `share`: of a line fault, how many of 1000 exchanges it spoils. `kwh` and `back` as the kinds say.
    """

    meter: str
    kind: FaultKind
    start: datetime
    end: datetime | None = None
    share: int = 1000
    kwh: int = 0
    back: timedelta = timedelta()

    def active(self, at: datetime) -> bool:
        """Whether it acts at an instant."""
        return self.start <= at and (self.end is None or at < self.end)

    def spoils(self, at: datetime, exchange: int) -> bool:
        """Whether the n-th exchange falls to it: by chance, and the same chance every time."""
        if not self.active(at):
            return False
        dice = hashlib.blake2b(f"{self.meter}/{self.kind}/{exchange}".encode(), digest_size=4).digest()
        return int.from_bytes(dice, "big") * 1000 < self.share << 32


def spoilt(faults: Iterable[Fault], at: datetime, exchange: int) -> FaultKind | None:
    """The line fault that this exchange falls to, if any."""
    return next((f.kind for f in faults if f.kind in LINE_FAULTS and f.spoils(at, exchange)), None)


def distort(faults: Iterable[Fault], at: datetime, counted: Callable[[datetime], Counts], uj_per_kwh: int) -> Counts:
    """What a meter with these faults has counted at an instant, from what a good one would have."""
    row = counted(at)
    for fault in faults:
        if at < fault.start:
            continue
        match fault.kind:
            case FaultKind.STOPPED:
                until = at if fault.end is None else min(at, fault.end)
                row -= counted(until) - counted(fault.start)
            case FaultKind.DECREASED:
                row -= counted(fault.start) - counted(fault.start - fault.back)
            case FaultKind.WRONG_VALUE if fault.active(at):
                extra = [0] * len(row.row)
                extra[FLAT - 1] = fault.kwh * uj_per_kwh
                row += Counts(tuple(extra))
            case _:
                pass
    return row
