"""Collecting: a task of the planner goes to its line, what the meter said is translated, and one batch is committed.

What a visit did not bring is committed as missing, with its reason, in the same batch: a slot that was asked for is never
without one or the other. A freeze is known by its own stamp: when the latest one is not the one owed, the copy
that must hold it is asked for once more; another stamp than the owed one never fills the slot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from collector.acquisition.line import Line
from collector.acquisition.outcome import rule
from collector.acquisition.tasks import Collected, Task
from collector.acquisition.timing import Timing
from collector.acquisition.visit import Visit, read_meter
from collector.clock import Clock
from collector.normalise.slots import SlotChooser, among
from collector.normalise.translate import Rejected, translate
from protocols.dialect import Dialect, Wanted
from protocols.profile import Profile
from storage.days import data_day
from storage.ledger.port import Ledger
from storage.records import Attempt, Basis, Batch, Missing, RawFrame, Reading, Slot
from storage.registry import Registered

BackOf = Callable[[Slot], int]

NO_FREEZE = "no_freeze"
"""The meter answered, and among its freezes there is none with the stamp that is owed (yet)."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a channel's meters are reached."""

    channel: str
    line: Line
    dialect: Dialect
    timing: Timing


class Collect:
    """Reads one meter at a time and commits what it said; keeps nothing between two tasks."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        zone: ZoneInfo,
        routes: Mapping[str, Route],
        profiles: Mapping[str, Profile],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._zone = zone
        self.change(routes, profiles)

    def change(self, routes: Mapping[str, Route], profiles: Mapping[str, Profile]) -> None:
        """Channels and profiles as they are from now on; a visit under way ends as it began."""
        self._routes = routes
        self._profiles = profiles

    async def task(self, task: Task) -> Collected:
        """Ask for the slots of a task. Slots without a plan (on demand) are kept as missing too, out of the rates."""
        one = task.registered
        profile = self._profiles[one.meter.profile]
        route = self._routes[one.meter.channel]
        visit, readings, rejects = await self._visit(task, profile, route)
        readings = list(_one_a_slot(readings, task.slots))
        filled = {reading.slot for reading in readings if reading.slot is not None}
        missing = [self._missing(slot, visit, profile, rejects, readings) for slot in task.slots if slot not in filled]
        batch = Batch(
            attempts=visit.attempts,
            readings=tuple(_planned(reading) for reading in readings),
            missing=tuple(missing),
            frames=tuple(_frames(visit, one, route)),
            late=frozenset(_late(readings, task.cutoffs)),
        )
        receipt = await self._ledger.append(batch)
        return Collected(task, batch, receipt, tuple(sorted(filled)))

    async def _visit(self, task: Task, profile: Profile, route: Route) -> tuple[Visit, list[Reading], list[Rejected]]:
        one, slots = task.registered, task.slots
        choose = among(slots)
        wanted = dict.fromkeys(Wanted(slot.quantity, slot.basis, self._back(slot)) for slot in slots)
        plan = min((slot.plan for slot in slots), default="")
        visit = await read_meter(route.line, route.dialect, profile, one.meter, tuple(wanted), route.timing, plan=plan)
        readings, rejects = self._translate(visit, task, profile, choose)
        if older := _copies_owed(slots, readings, self._back, self._zone):
            again = await read_meter(route.line, route.dialect, profile, one.meter, older, route.timing, plan=plan)
            more, worse = self._translate(again, task, profile, choose)
            readings, rejects = [*readings, *more], [*rejects, *worse]
            visit = _together(visit, again)
        return visit, readings, rejects

    def _back(self, slot: Slot) -> int:
        """Which copy holds a freeze, if the meter kept one each midnight: the latest for today's, and so on."""
        if slot.basis is not Basis.FREEZE:
            return 1
        today = self._clock.now().astimezone(self._zone).date()
        return max(1, (today - slot.at.astimezone(self._zone).date()).days + 1)

    def _translate(
        self, visit: Visit, task: Task, profile: Profile, choose: SlotChooser
    ) -> tuple[list[Reading], list[Rejected]]:
        readings: list[Reading] = []
        rejects: list[Rejected] = []
        for received_at, items in visit.arrivals():
            made = translate(
                items,
                profile=profile,
                meter=task.registered.meter,
                zone=self._zone,
                source=task.source,
                received_at=received_at,
                choose_slot=choose,
            )
            readings += made.readings
            rejects += made.rejects
        return readings, rejects

    def _missing(
        self,
        slot: Slot,
        visit: Visit,
        profile: Profile,
        rejects: Iterable[Rejected],
        readings: Iterable[Reading],
    ) -> Missing:
        reason, detail = _reason(slot, visit, profile, rejects, readings, self._zone)
        register = profile.find(slot.quantity, slot.basis)
        failed = visit.failure(register.id) if register else None
        return Missing(
            slot,
            data_day(slot.at, slot.basis, self._zone),
            reason,
            failed.owner if failed and failed.reason == reason else rule(reason).owner,
            detail,
            attempts=max(1, failed.attempts) if failed else 1,
            since=_first(visit.attempts, self._clock.now()),
        )


def _frames(visit: Visit, one: Registered, route: Route) -> Iterator[RawFrame]:
    for answered in visit.answered:
        for telegram in answered.exchange.telegrams:
            yield RawFrame(answered.received_at, one.meter.channel, one.meter.meter, route.dialect.name, telegram.frame)


def _copies_owed(
    slots: Iterable[Slot], readings: Iterable[Reading], back: BackOf, zone: ZoneInfo
) -> tuple[Wanted, ...]:
    """The copies to ask for when freezes came with other stamps than owed: a day too new means one copy further back."""
    stamps = {(reading.quantity, reading.time) for reading in readings if reading.basis is Basis.FREEZE}
    older: dict[Wanted, None] = {}
    for slot in slots:
        if slot.basis is not Basis.FREEZE or (slot.quantity, slot.at) in stamps:
            continue
        newest = max((time for quantity, time in stamps if quantity == slot.quantity), default=None)
        if newest is not None and newest > slot.at:
            days = (newest.astimezone(zone).date() - slot.at.astimezone(zone).date()).days
            older[Wanted(slot.quantity, slot.basis, back(slot) + max(1, days))] = None
    return tuple(older)


def _one_a_slot(readings: Iterable[Reading], slots: Iterable[Slot]) -> Iterator[Reading]:
    """Each reading once for every slot it fills: two plans may owe the same value, and both are served by it."""
    owed = tuple(slots)
    for reading in readings:
        yield reading
        if reading.slot is not None:
            for slot in owed:
                same = (slot.quantity, slot.basis, slot.at) == (
                    reading.slot.quantity,
                    reading.slot.basis,
                    reading.slot.at,
                )
                if same and slot != reading.slot:
                    yield replace(reading, slot=slot)


def _late(readings: Iterable[Reading], cutoffs: Mapping[Slot, datetime]) -> Iterator[Slot]:
    """Slots whose value came at the cut-off of their plan or after it."""
    for reading in readings:
        cutoff = cutoffs.get(reading.slot) if reading.slot is not None else None
        if reading.slot is not None and cutoff is not None and reading.received_at >= cutoff:
            yield reading.slot


def _planned(reading: Reading) -> Reading:
    """What was asked on demand fills no slot that anybody owes."""
    on_demand = reading.slot is not None and not reading.slot.plan
    return replace(reading, slot=None, data_day=None) if on_demand else reading


def _reason(
    slot: Slot,
    visit: Visit,
    profile: Profile,
    rejects: Iterable[Rejected],
    readings: Iterable[Reading],
    zone: ZoneInfo,
) -> tuple[str, str]:
    register = profile.find(slot.quantity, slot.basis)
    if register is None:
        return "not_in_profile", f"the profile {profile.id} has no {slot.quantity} ({slot.basis})"
    if failed := visit.failure(register.id):
        return failed.reason, failed.detail
    for reject in rejects:
        if reject.quantity == slot.quantity or reject.id == register.id:
            return reject.reason, reject.detail
    stamps = sorted(reading.time for reading in readings if reading.quantity == slot.quantity)
    if stamps:
        shown = ", ".join(f"{stamp.astimezone(zone):%Y-%m-%d %H:%M}" for stamp in stamps)
        return NO_FREEZE, f"owed is the freeze of {slot.at.astimezone(zone):%Y-%m-%d %H:%M}, the meter has {shown}"
    return "no_value", "the meter answered, and this value was not among what it said"


def _first(attempts: Iterable[Attempt], now: datetime) -> datetime:
    return min((attempt.started_at for attempt in attempts), default=now)


def _together(first: Visit, second: Visit) -> Visit:
    return Visit(
        first.meter,
        first.attempts + second.attempts,
        first.answered + second.answered,
        first.items + second.items,
        first.failed + second.failed,
    )
