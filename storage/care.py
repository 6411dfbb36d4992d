"""Records of what a meter is, beside what it measures: what its clock showed, who changed it, and what happened to it.

Times are aware and in UTC; drifts are in microseconds, the meter's time less ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Occasion(StrEnum):
    """Why a clock was read."""

    PLAN = "plan"
    DEMAND = "demand"
    BEFORE = "before"
    """A change."""
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class ClockCheck:
    """A meter's clock as it was read. `at`: our time in the middle of the exchange that said `shown`.

    `uncertainty_us`: half of that exchange. What the meter shows is cut off to its own step (DL/T 645: a second) beside that.
    """

    meter: str
    at: datetime
    shown: datetime
    uncertainty_us: int
    occasion: Occasion = Occasion.PLAN

    @property
    def drift(self) -> timedelta:
        """The meter's time less ours: positive where it is fast."""
        return self.shown - self.at


class ClockHow(StrEnum):
    """How a clock was changed."""

    SET = "set"
    """Written to one meter, by password."""
    BROADCAST = "broadcast"
    """Told to every meter of a line at once."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """One change of one meter's clock (审计). Written down before the frame leaves, with `outcome` empty; completed once.

    `at` is when it was begun; (meter, at) is its key. `outcome`: `ok` where the clock was read back and stands right, `sent`
    where nobody read it back, `unchanged` where it stands as before, else the reason code. A change whose outcome stays empty
    was interrupted: nobody knows whether the meter heard of it. `before`, `after`: the drifts read, None where none was.
    """

    meter: str
    at: datetime
    how: ClockHow
    channel: str
    who: str
    why: str
    before: timedelta | None = None
    outcome: str = ""
    detail: str = ""
    ended_at: datetime | None = None
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class StatusWords:
    """A meter's run status words (运行状态字) as they were read, in order."""

    meter: str
    at: datetime
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MeterEvent:
    """What a meter wrote down (事件): `kind` as `protocols.witness.KINDS` has it; start and end by the meter's own clock.

    (meter, kind, phase, start) is its key. `end` None: it has not ended, or is of a kind without end. `seen_at`: when we
    first read it.
    """

    meter: str
    kind: str
    phase: str
    start: datetime
    end: datetime | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class EventCount:
    """How often something has happened since the meter was made, by its own counter, when last read."""

    meter: str
    kind: str
    phase: str
    count: int
    at: datetime
