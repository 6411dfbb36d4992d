"""What a plan owes: the one computation of slots. Pure: versions of plans, the registry and a zone in, slots out.

A slot is owed from its *due* instant and stays open until its window ends (`calendar` knows both, for each kind of plan).
Owed is what the meter's profile can give, and nothing else: a curve of meters with curve memory, a freeze of meters that
freeze; a running value never stands in for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from collector.acquisition.calendar import cutoff_of, entry_of, spread, timetable
from protocols.profile import Profile
from storage.records import Basis, Plan, PlanVersion, Slot
from storage.registry import Registered

Gives = Callable[[str, str, Basis], bool]
"""Whether a profile (by id) has a quantity (or can do one of `storage.records.WORDS`) on a basis."""


@dataclass(frozen=True, slots=True, order=True)
class Owed:
    """A slot with its window: due (closed) to closes (open). `due` is the meter's own: with its share of the plan's jitter.
    `cutoff`: until when (open) a value counts as first round; None = always.
    """

    due: datetime
    closes: datetime
    slot: Slot
    cutoff: datetime | None = field(default=None, compare=False)


def gives_by(profiles: Mapping[str, Profile]) -> Gives:
    """As these profiles say; one that is not among them gives nothing."""
    return lambda profile, quantity, basis: profile in profiles and profiles[profile].gives(quantity, basis)


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
    With `open_after` only those whose window is still open after that instant. Jitter moves nothing into or out of a range:
    by then the slot is owed, and its own `due` says when its meter is first asked.

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
        plan = version.plan
        for instant in instants:
            cutoff = cutoff_of(plan, instant.at, zone)
            for one, quantities in members:
                if one.installation.start <= instant.at and not _ended(one, instant.at):
                    due = spread(plan, one.meter.meter, instant)
                    for quantity in quantities:
                        slot = Slot(plan.name, one.meter.meter, quantity, plan.basis, instant.at)
                        yield Owed(due, instant.closes, slot, cutoff)


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
        entry = entry_of(plan, instant, zone)
        if entry is None or not _valid(version, entry.due):
            continue
        if (
            one.installation.start <= entry.at
            and not _ended(one, entry.at)
            and gives(one.meter.profile, quantity, basis)
        ):
            yield Slot(plan.name, one.meter.meter, quantity, basis, entry.at)


def cutoff_for(versions: Iterable[PlanVersion], slot: Slot, zone: ZoneInfo) -> datetime | None:
    """The cut-off of a slot, by the version of its plan that owes it."""
    for version in versions:
        plan = version.plan
        if plan.cutoff_minute is None or plan.name != slot.plan:
            continue
        entry = entry_of(plan, slot.at, zone)
        if entry is not None and _valid(version, entry.due):
            return cutoff_of(plan, slot.at, zone)
    return None


def _valid(version: PlanVersion, instant: datetime) -> bool:
    return version.valid_from <= instant and (version.valid_to is None or instant < version.valid_to)


def takes(plan: Plan, one: Registered) -> bool:
    """Whether a plan's selectors take this installation; an absent selector takes all."""
    return (
        (not plan.channels or one.meter.channel in plan.channels)
        and (not plan.areas or one.point.area in plan.areas)
        and (not plan.stations or one.point.station in plan.stations)
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
