"""Records of the accounting: what was due on a day, what was left out on purpose, and when each slot got its value.

A day's denominator is written down once, when the day is over, with the groups as they then were: a rate of last month stays
what it was, whatever becomes of the registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from storage.records import Slot


class Paused(StrEnum):
    """What may be left out for a while."""

    PLAN = "plan"
    METER = "meter"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Pause:
    """Left out on purpose from `since` to `until` (half open; None: until somebody resumes it), by whom, and why."""

    kind: Paused
    name: str
    since: datetime
    who: str
    why: str
    until: datetime | None = None
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class Filling:
    """A slot that has its value: since when, and whether the first round brought it."""

    slot: Slot
    at: datetime
    first_round: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """How many slots of a meter have their value, and how many of them the first round brought."""

    meter: str
    slots: int
    first_round: int


@dataclass(frozen=True, slots=True)
class Tried:
    """How often a meter was asked over a channel, and how often it answered as it should."""

    meter: str
    channel: str
    tries: int
    answers: int


@dataclass(frozen=True, slots=True)
class MeterDay:
    """What one meter owed of one data day, and where it stood then. Numbers are slots.

    `freezes`: registers that the meter keeps itself (freeze, settlement). `points`: values at grid instants (curve, instant).
    `total`: the freeze of the total import is among them. `reading_day`: that freeze is the one its billing group bills.
    `automatic`: some plan reads it, over a channel that is there. Each `paused_…` is part of the number of the same name.
    """

    day: date
    meter: str
    point: str
    channel: str = ""
    terminal: str = ""
    area: str = ""
    station: str = ""
    class_: str = ""
    profile: str = ""
    total: bool = False
    freezes: int = 0
    points: int = 0
    reading_day: bool = False
    automatic: bool = False
    paused_total: bool = False
    paused_freezes: int = 0
    paused_points: int = 0
