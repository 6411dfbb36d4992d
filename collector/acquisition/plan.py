"""What a plan owes: the one computation of slots. Pure: versions of plans, the registry and a zone in, slots out.

A slot is owed from its *due* instant and stays open until its window ends:

    basis instant, every 15m      due at each grid point of the local day; open until the next grid point
    basis instant, at 09:00       due at 09:00 local; open for an hour, for the value would soon be another one
    basis freeze, at 00:05        belongs to 00:00 of that day, due at 00:05, open until the next freeze is due

The grid begins anew at every local midnight and runs in real elapsed time, so a day of 23 or 25 hours has 92 or 100
quarter hours. A local time that a day skips is due when the clock jumps past it; one that it has twice is due the first
time (`storage.days` knows both).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from protocols.profile import Profile
from storage.days import day_start, from_local
from storage.records import Basis, Plan, PlanVersion, Slot
from storage.registry import Registered

Gives = Callable[[str, str, Basis], bool]
"""Whether a profile (by id) has a quantity on a basis."""

_EVER = datetime.min.replace(tzinfo=UTC)
INSTANT_WINDOW = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Owed:
    """A slot with its window: due (closed) to closes (open)."""

    due: datetime
    closes: datetime
    slot: Slot


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """One entry of a plan's timetable."""

    due: datetime
    closes: datetime
    at: datetime


def gives_by(profiles: Mapping[str, Profile]) -> Gives:
    """As these profiles say; one that is not among them gives nothing."""
    return lambda profile, quantity, basis: profile in profiles and profiles[profile].gives(quantity, basis)


def timetable(plan: Plan, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[Instant]:
    """The plan's instants that are due in [start, end), in order."""
    day = start.astimezone(zone).date() - DAY
    last = end.astimezone(zone).date()
    while day <= last:
        for instant in _of_day(plan, day, zone, since=start):
            if instant.due >= end:
                return
            if instant.due >= start:
                yield instant
        day += DAY


def owed(
    versions: Iterable[PlanVersion],
    registered: Sequence[Registered],
    start: datetime,
    end: datetime,
    *,
    zone: ZoneInfo,
    gives: Gives,
    open_after: datetime | None = None,
) -> Iterator[Owed]:
    """Every slot due in [start, end): each version for the time it was valid, each installation for the time it stood.
    With `open_after` only those whose window is still open after that instant.

    The time of a slot decides, not the time of the question: a plan that came at noon owes nothing for the morning, and a
    meter owes nothing for a freeze before its installation.
    """
    for version in versions:
        first = max(start, version.valid_from)
        last = end if version.valid_to is None else min(end, version.valid_to)
        if first >= last:
            continue
        instants = [
            entry
            for entry in timetable(version.plan, first, last, zone)
            if open_after is None or entry.closes > open_after
        ]
        if not instants:
            continue  # mostly: asked every moment, and a plan is due now and then; a hundred thousand meters need no look
        members = list(_members(version.plan, registered, gives))
        for instant in instants:
            for one, quantities in members:
                if one.installation.start <= instant.at and not _ended(one, instant.at):
                    for quantity in quantities:
                        slot = Slot(version.plan.name, one.meter.meter, quantity, version.plan.basis, instant.at)
                        yield Owed(instant.due, instant.closes, slot)


def slots_for(
    versions: Iterable[PlanVersion],
    one: Registered,
    quantity: str,
    basis: Basis,
    instant: datetime,
    *,
    zone: ZoneInfo,
    gives: Gives,
) -> Iterator[Slot]:
    """The slots that a value pushed by a meter fills: the grid point it came after, or the freeze of its own stamp.

    More than one where several plans owe the same value; none that nobody owes, as before the meter was installed.
    """
    for version in versions:
        plan = version.plan
        if plan.basis != basis or quantity not in plan.read or not takes(plan, one):
            continue
        entry = _entry_of(plan, instant, zone)
        if entry is None or not _valid(version, entry.due):
            continue
        if (
            one.installation.start <= entry.at
            and not _ended(one, entry.at)
            and gives(one.meter.profile, quantity, basis)
        ):
            yield Slot(plan.name, one.meter.meter, quantity, basis, entry.at)


@lru_cache(maxsize=4096)  # many meters push the same instant
def _entry_of(plan: Plan, instant: datetime, zone: ZoneInfo) -> Instant | None:
    """The entry of the timetable that a value of this instant belongs to."""
    day = instant.astimezone(zone).date()
    if day_start(day + DAY, zone) <= instant:  # an hour that the clock shows twice, around midnight
        day += DAY
    if plan.every_s is not None:
        today, step = day_start(day, zone), timedelta(seconds=plan.every_s)
        at = today + (instant - today) // step * step
        entries = [Instant(at, min(at + step, day_start(day + DAY, zone)), at)]
    else:
        entries = [entry for near in (day - DAY, day) for entry in _of_day(plan, near, zone)]
    kept_by_meter = plan.basis is Basis.FREEZE
    for entry in entries:
        if entry.at == instant if kept_by_meter else entry.at <= instant < entry.closes:
            return entry
    return None


def _valid(version: PlanVersion, instant: datetime) -> bool:
    return version.valid_from <= instant and (version.valid_to is None or instant < version.valid_to)


def takes(plan: Plan, one: Registered) -> bool:
    """Whether a plan's selectors take this installation; an absent selector takes all."""
    return (
        (not plan.channels or one.meter.channel in plan.channels)
        and (not plan.areas or one.point.area in plan.areas)
        and (not plan.classes or one.point.class_ in plan.classes)
        and (not plan.profiles or one.meter.profile in plan.profiles)
    )


def _members(plan: Plan, registered: Sequence[Registered], gives: Gives) -> Iterator[tuple[Registered, list[str]]]:
    for one in registered:
        if takes(plan, one):
            quantities = [quantity for quantity in plan.read if gives(one.meter.profile, quantity, plan.basis)]
            if quantities:
                yield one, quantities


def _ended(one: Registered, at: datetime) -> bool:
    return one.installation.end is not None and at >= one.installation.end


def _of_day(plan: Plan, day: date, zone: ZoneInfo, *, since: datetime = _EVER) -> Iterator[Instant]:
    """In order. What is due before `since` may be left out: a grid of seconds has 86,400 points a day."""
    today, tomorrow = day_start(day, zone), day_start(day + DAY, zone)
    if plan.every_s is not None:
        step = timedelta(seconds=plan.every_s)
        at = today + max(0, -((today - since) // step)) * step
        while at < tomorrow:
            after = min(at + step, tomorrow)
            yield Instant(at, after, at)
            at = after
        return
    hour, minute = divmod(plan.at_minute or 0, 60)
    due = from_local(datetime.combine(day, time(hour, minute)), zone)
    if plan.basis is Basis.FREEZE:
        yield Instant(due, from_local(datetime.combine(day + DAY, time(hour, minute)), zone), today)
    else:
        yield Instant(due, due + INSTANT_WINDOW, due)
