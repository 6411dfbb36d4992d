"""Collecting: a task of the planner goes to its line, what the meter said is translated, and one batch is committed.

What a round did not bring is committed as missing, with its reason, in the same batch as its last visit: a slot that was asked
for is never without one or the other, but for those that its source asks for again at the end of the round. What a meter kept
is known by its own stamp and looked for until it is found, or shown not to be there (`acquisition.recall`); another stamp than
the owed one never fills the slot. Where the meter may still have a missing value later, its `Missing` says until when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from collector.acquisition.gaps import OVERWRITTEN, memory_of
from collector.acquisition.outcome import rule
from collector.acquisition.recall import REFUSED, FailureOf, Lost, recalls
from collector.acquisition.tasks import Before, Collected, Task
from collector.acquisition.urgency import Urgency
from collector.acquisition.visit import Failed, GiveWay, Visit, read_meter
from collector.clock import Clock
from collector.jobs.care import Carer, frames_of, parted
from collector.jobs.route import Route as Route  # so that whoever collects finds both here
from collector.normalise.slots import SlotChooser, among
from collector.normalise.translate import Rejected, Translation, translate
from protocols.profile import Profile, Register
from storage.days import data_day
from storage.ledger.port import Ledger
from storage.records import Attempt, Batch, Missing, Reading, Slot

ROUNDS = 8
"""Questions that follow from answers, in one visit: what is not known then waits for the next."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a visit said. `lost`: what the meter's memory was shown not to have."""

    visit: Visit
    readings: list[Reading]
    rejects: list[Rejected]
    lost: Mapping[Slot, Lost]


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

    async def task(self, task: Task, give_way: GiveWay | None = None) -> Collected:
        """Ask for the slots of a task. Slots without a plan (on demand) are kept as missing too, out of the rates.
        `give_way`: called between two questions.
        """
        one = task.registered
        profile = self._profiles[one.meter.profile]
        route = self._routes[one.meter.channel]
        words, slots = parted(task.slots)
        seen = await self._visit(task, slots, profile, route, give_way)
        visit = seen.visit
        by = replace(route, timing=replace(route.timing, retries=0)) if _later(task) and not visit.answered else route
        carer = Carer(self._ledger, self._clock, self._zone)
        cared = await carer.care(task, words, by, profile.phases, _silent(visit)) if words else Batch()
        readings = list(_one_a_slot(seen.readings, slots))
        filled = {reading.slot for reading in readings if reading.slot is not None}
        lacking = [self._missing(slot, seen, profile) for slot in slots if slot not in filled]
        again, missing = _round(task, lacking, route.timing.retries, alive=bool(readings))
        batch = replace(
            cared,
            attempts=visit.attempts + cared.attempts,
            readings=tuple(_planned(reading) for reading in readings),
            missing=(*missing, *cared.missing),
            frames=(*frames_of(visit.answered, one.meter.channel, one.meter.meter, route.dialect.name), *cared.frames),
            late=frozenset(_late(readings, task.cutoffs)) | cared.late,
        )
        receipt = await self._ledger.append(batch)
        return Collected(task, batch, receipt, tuple(sorted(filled | {done.slot for done in cared.done})), again)

    async def _visit(
        self, task: Task, slots: Sequence[Slot], profile: Profile, route: Route, give_way: GiveWay | None
    ) -> _Seen:
        """Ask, and go on asking where the meter's memory has to be looked through."""
        recall = recalls(slots, profile, zone=self._zone, now=self._clock.now())
        memories = tuple(dict.fromkeys(recall.values()))
        choose = among(slots)
        plan = min((slot.plan for slot in slots), default="")
        whole = Visit(task.registered.meter, (), (), lambda: (), ())
        readings: list[Reading] = []
        rejects: list[Rejected] = []
        for _ in range(ROUNDS):
            wanted = tuple(dict.fromkeys(want for memory in memories for want in memory.ask()))
            if not wanted:
                break
            visit = await read_meter(
                *(route.line, route.dialect, profile, task.registered.meter, wanted, route.timing),
                plan=plan,
                later=_later(task) and not whole.answered,
                give_way=give_way,
            )
            made = self._translate(visit, task, profile, choose)
            readings += made.readings
            rejects += made.rejects
            whole = _together(whole, visit)
            for memory in memories:
                memory.told(visit.items, _failures(visit))
        lost = {slot: why for slot, memory in recall.items() if (why := memory.lost(slot)) is not None}
        return _Seen(whole, readings, rejects, lost)

    def _translate(self, visit: Visit, task: Task, profile: Profile, choose: SlotChooser) -> Translation:
        parts = [
            translate(
                items,
                profile=profile,
                meter=task.registered.meter,
                zone=self._zone,
                source=task.source,
                received_at=received_at,
                choose_slot=choose,
            )
            for received_at, items in visit.arrivals()
        ]
        readings = tuple(reading for part in parts for reading in part.readings)
        return Translation(readings, tuple(reject for part in parts for reject in part.rejects))

    def _missing(self, slot: Slot, seen: _Seen, profile: Profile) -> Before:
        register = profile.find(slot.quantity, slot.basis)
        lost = seen.lost.get(slot)
        reason, detail = (lost.reason, lost.detail) if lost else _reason(slot, seen, profile, self._zone)
        failed = seen.visit.failure(register.id) if register else None
        now = self._clock.now()
        missing = Missing(
            slot,
            data_day(slot.at, slot.basis, self._zone),
            reason,
            failed.owner if failed and failed.reason == reason else rule(reason).owner,
            detail,
            attempts=max(1, failed.attempts) if failed else 1,
            since=_first(seen.visit.attempts, now),
            expires=_expires(slot, lost, register, now, self._zone),
        )
        return Before(missing.attempts if failed is None or failed.asked else 0, missing)


def _later(task: Task) -> bool:
    """Who waits in person has retries at once; for all others those of a meter that gives nothing are their source's affair."""
    return task.urgency is not Urgency.ON_DEMAND


def _round(
    task: Task, lacking: Iterable[Before], retries: int, *, alive: bool
) -> tuple[tuple[Before, ...], tuple[Missing, ...]]:
    """What a retry at the end of the round may still bring, and what is missing: all, where it is over for a meter that gave
    nothing in it.
    """
    if task.before is None:
        return (), tuple(one.missing for one in lacking)
    alive = alive or any(one.alive for one in task.before.values())
    so_far: list[Before] = []
    for one in lacking:
        tries, missing = one.tries, one.missing
        if before := task.before.get(missing.slot):
            tries += before.tries
            attempts = missing.attempts + before.missing.attempts
            missing = replace(missing, attempts=attempts, since=before.missing.since)
        so_far.append(Before(tries, missing, alive))
    over = not alive and any(one.tries > retries for one in so_far)
    again = [one for one in so_far if not over and one.tries <= retries and rule(one.missing.reason).again]
    return tuple(again), tuple(one.missing for one in so_far if one not in again)


def _silent(visit: Visit) -> Failed | None:
    """Why the meter was asked no more, if it was."""
    return next((failed for failed in visit.failed if rule(failed.reason).leave), None)


def _failures(visit: Visit) -> FailureOf:
    """Why a register's questions failed; that the meter was not reached weighs more than that it said no."""
    reasons: dict[str, str] = {}
    for failed in visit.failed:
        for id_ in failed.ids:
            if reasons.get(id_, REFUSED) == REFUSED:
                reasons[id_] = failed.reason
    return reasons.get


def _expires(
    slot: Slot, lost: Lost | None, register: Register | None, now: datetime, zone: ZoneInfo
) -> datetime | None:
    """Until when the meter has it; of what it never had, or has no more, an instant that is past."""
    memory = memory_of(register)
    if memory is None:
        return None
    until = memory.keeps_until(slot.at, zone)
    if lost is None or not lost.final:
        return until
    return min(until, now) if lost.reason == OVERWRITTEN else slot.at


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


def _reason(slot: Slot, seen: _Seen, profile: Profile, zone: ZoneInfo) -> tuple[str, str]:
    register = profile.find(slot.quantity, slot.basis)
    if register is None:
        return "not_in_profile", f"the profile {profile.id} has no {slot.quantity} ({slot.basis})"
    if failed := seen.visit.failure(register.id):
        return failed.reason, failed.detail
    for reject in seen.rejects:
        if reject.quantity == slot.quantity or reject.id == register.id:
            return reject.reason, reject.detail
    stamps = sorted(reading.time for reading in seen.readings if reading.quantity == slot.quantity)
    if stamps:
        shown = ", ".join(f"{stamp.astimezone(zone):%Y-%m-%d %H:%M}" for stamp in stamps)
        return "no_value", f"owed is that of {slot.at.astimezone(zone):%Y-%m-%d %H:%M}, the meter gave {shown}"
    return "no_value", "the meter answered, and this value was not among what it said"


def _first(attempts: Iterable[Attempt], now: datetime) -> datetime:
    return min((attempt.started_at for attempt in attempts), default=now)


def _together(first: Visit, second: Visit) -> Visit:
    return Visit(
        first.meter,
        first.attempts + second.attempts,
        first.answered + second.answered,
        lambda: first.items + second.items,
        first.failed + second.failed,
    )
