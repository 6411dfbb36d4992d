"""Gaps (漏点): slots whose window has closed without a value, and until when the meter itself still has it. Pure.

    slots owed (plan versions × installations)  −  filled  −  not yet closed  =  gaps
    what the meter keeps by itself, and how much of it: its profile
    until when: a memory of n copies overwrites a value when the n-th after it is made

What a meter does not keep (basis instant) leaves no gap here: nothing brings it back. Order of filling: the reading day of a
billing group, for a bill hangs on it; yesterday, for people look at it this morning; then what is soonest overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from collector.acquisition.plan import Owed
from collector.acquisition.urgency import Urgency
from protocols.profile import Profile, Register
from storage.days import day_start, from_local
from storage.records import Basis, Missing, Slot

DAY = timedelta(days=1)
OVERWRITTEN, NO_FREEZE, NO_RECORD, NO_SETTLEMENT = "overwritten", "no_freeze", "no_record", "no_settlement"
FINAL = (OVERWRITTEN, NO_FREEZE, NO_RECORD, NO_SETTLEMENT)
"""Reasons that nothing will change once the value's time in the meter is over."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a meter keeps of one quantity on one basis: `depth` values, of a curve one every `every_s` seconds.

    Of settlements one a month is reckoned with; a meter that settles more often forgets sooner.
    """

    basis: Basis
    depth: int
    every_s: int = 0

    @lru_cache(maxsize=4096)  # noqa: B019 - a memory is a few numbers, and many meters owe the same instant
    def keeps_until(self, at: datetime, zone: ZoneInfo) -> datetime:
        """When a value of this instant is overwritten at the earliest: the meter makes a copy whenever one is due."""
        match self.basis:
            case Basis.CURVE:
                return at + self.depth * timedelta(seconds=self.every_s)
            case Basis.SETTLEMENT:
                return _months_later(at, self.depth, zone)
            case _:
                return day_start(at.astimezone(zone).date() + self.depth * DAY, zone)


Remembers = Callable[[str, str, Basis], Memory | None]
"""What the meters of a profile (by id) keep of a quantity on a basis; None for nothing."""


def remembered_by(profiles: Mapping[str, Profile]) -> Remembers:
    """As these profiles say."""

    @lru_cache(maxsize=4096)
    def remembers(profile: str, quantity: str, basis: Basis) -> Memory | None:
        return memory_of(profiles[profile].find(quantity, basis)) if profile in profiles else None

    return remembers


def memory_of(register: Register | None) -> Memory | None:
    """What a meter keeps of one register, and can be asked for: freezes by their stamp, more than the last settlement, a curve by
    time. A meter that only pushes its freeze keeps none for us.
    """
    if register is None:
        return None
    asked = {"freeze": register.time_id, "settlement": register.depth > 1, "curve": register.every_s}
    if not asked.get(register.basis):
        return None
    return Memory(Basis(register.basis), register.depth, register.every_s or 0)


@dataclass(frozen=True, slots=True)
class Gap:
    """A slot to be filled from the meter's memory. `expires`: when the meter overwrites it, at the earliest."""

    slot: Slot
    expires: datetime


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """Smaller goes first."""

    urgency: Urgency
    later_than_yesterday: bool
    expires: datetime


def gaps(
    owed: Iterable[Owed],
    unfilled: Mapping[Slot, Missing | None],
    memory: Callable[[Slot], Memory | None],
    *,
    zone: ZoneInfo,
    now: datetime,
) -> Iterator[Gap]:
    """Of slots owed those that wait for a value which the meter has, or had, in its memory, in the order owed.

    `unfilled`: the slots without a value, each with its `Missing` where one is noted. Those that are still open belong to the
    planner; those that were given up stay so. A gap whose `expires` has passed is to be closed as overwritten.
    """
    for entry in owed:
        slot = entry.slot
        if entry.closes > now or slot not in unfilled or given_up(unfilled[slot], now):
            continue
        if (kept := memory(slot)) is not None:
            yield Gap(slot, kept.keeps_until(slot.at, zone))


def given_up(missing: Missing | None, now: datetime) -> bool:
    """It was looked for, and the meter has it no more or never had: its `expires` is past."""
    return missing is not None and missing.reason in FINAL and missing.expires is not None and missing.expires <= now


def rank(gap: Gap, *, reading_day: bool, zone: ZoneInfo, now: datetime) -> Rank:
    """When a gap's turn is. `reading_day`: its value is the one that a billing group is charged by."""
    recent = gap.slot.at >= _yesterday(now, zone)
    return _rank(Urgency.READING_DAY if reading_day else Urgency.BACKFILL, not recent, gap.expires)


_rank = lru_cache(maxsize=4096)(Rank)
"""Many meters share one."""


@lru_cache(maxsize=16)
def _yesterday(now: datetime, zone: ZoneInfo) -> datetime:
    return day_start(now.astimezone(zone).date() - DAY, zone)


def _months_later(at: datetime, months: int, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    return from_local(local.replace(year=year, month=month + 1, day=min(local.day, 28), tzinfo=None), zone)
