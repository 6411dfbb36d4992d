"""Which slots have a value, which are missing, and how many of each: the accounting of promise 3, in one place.

A slot is counted once for ever, in the day and the group (channel, terminal, area …) where it was first seen: collected
or missing. Pure: the adapters give it the state, and write down what it changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from datetime import date, datetime
from typing import NamedTuple

from storage.dues import Filling
from storage.ledger.deciding import later
from storage.records import DayCount, Missing, Slot
from storage.registry import Registered


class Group(NamedTuple):
    """What a count is grouped by, beside day, plan and reason: as the registry had it when the slot was first seen."""

    channel: str = ""
    terminal: str = ""
    area: str = ""
    station: str = ""
    class_: str = ""
    profile: str = ""


def group_of(registered: Registered | None) -> Group:
    """Of a meter; all empty for one that the registry does not know."""
    if registered is None:
        return Group()
    meter, point = registered.meter, registered.point
    return Group(meter.channel, meter.terminal, point.area, point.station, point.class_, meter.profile)


class Counter(NamedTuple):
    """One row of the day counters. `reason` empty: collected."""

    day: date
    plan: str
    group: Group
    reason: str


class Tally:
    """What is to be added to a counter."""

    __slots__ = ("first_round", "slots")

    def __init__(self) -> None:
        self.slots = 0
        self.first_round = 0

    def add(self, slots: int, first_round: int = 0) -> None:
        """Either may be negative."""
        self.slots += slots
        self.first_round += first_round


class Slots:
    """The state of some slots and its changes. `was_filled` and `was_missing` are what is stored; both stay as they are."""

    def __init__(
        self,
        was_filled: Container[Slot],
        was_missing: Mapping[Slot, tuple[Missing, Group]],
        group: Callable[[str], Group],
    ) -> None:
        self._was_filled = was_filled
        self._was_missing = was_missing
        self._group = group
        self.filled: dict[Slot, Filling] = {}
        """Newly filled, in order."""
        self.gone: set[Slot] = set()
        """Stored as missing, and missing no more."""
        self.missing: dict[Slot, tuple[Missing, Group]] = {}
        """Missing now: new, or with another reason."""
        self.counts: defaultdict[Counter, Tally] = defaultdict(Tally)

    def fill(self, slot: Slot, day: date | None, at: datetime, *, late: bool) -> bool:
        """A value has come, at this instant; `late`: after its plan's cut-off. False: the slot had one already."""
        if slot in self.filled or slot in self._was_filled:
            return False
        stored = self._was_missing.get(slot)
        self.filled[slot] = Filling(slot, at, first_round=stored is None and not late)
        if stored:
            missing, group = stored
            self.gone.add(slot)
            self._count(missing, group, -1)
            self._collect(slot, missing.data_day, group, first_round=0)
        else:
            self._collect(slot, day, self._group(slot.meter), first_round=0 if late else 1)
        return True

    def miss(self, missing: Missing) -> None:
        """It was due and there is no value. After `fill`, never before it: what has a value is not missing."""
        slot = missing.slot
        if slot in self.filled or slot in self._was_filled:
            return
        before = self.missing.get(slot) or self._was_missing.get(slot)
        if before:
            old, group = before
            self._count(old, group, -1)
            missing = later(old, missing)
        else:
            group = self._group(slot.meter)
        self._count(missing, group, +1)
        self.missing[slot] = missing, group

    def _collect(self, slot: Slot, day: date | None, group: Group, *, first_round: int) -> None:
        if slot.plan and day is not None:
            self.counts[Counter(day, slot.plan, group, "")].add(1, first_round)

    def _count(self, missing: Missing, group: Group, number: int) -> None:
        if missing.slot.plan:
            self.counts[Counter(missing.data_day, missing.slot.plan, group, missing.reason)].add(number)


def day_count(counter: Counter, slots: int, first_round: int) -> DayCount:
    """The record of one counter."""
    group = counter.group
    return DayCount(
        day=counter.day,
        plan=counter.plan,
        channel=group.channel,
        terminal=group.terminal,
        area=group.area,
        station=group.station,
        class_=group.class_,
        profile=group.profile,
        reason=counter.reason,
        slots=slots,
        first_round=first_round,
    )
