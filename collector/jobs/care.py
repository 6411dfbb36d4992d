"""What a plan reads by a word instead of a quantity: clock, status, events. What came is stored as what it is.

Beside `collect`, in the same visit and the same batch. A meter that has just been silent is not asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.clock_visit import read_clock
from collector.acquisition.event_visit import Known, Place, read_events, read_status
from collector.acquisition.outcome import rule
from collector.acquisition.tasks import Task
from collector.acquisition.visit import Answered, Failed
from collector.clock import Clock
from collector.jobs.route import Route
from protocols.dialects import TIMEKEEPERS, WITNESSES
from protocols.witness import WITHOUT_END, Sort
from storage.care import Occasion
from storage.days import data_day
from storage.ledger.port import Ledger
from storage.records import WORDS, Attempt, Batch, Done, Missing, RawFrame, Slot

CLOCK, STATUS, EVENTS = "clock", "status", "events"


@dataclass(frozen=True, slots=True)
class _Said:
    """What came of one word."""

    attempts: tuple[Attempt, ...] = ()
    answered: tuple[Answered, ...] = ()
    failed: Failed | None = None
    brought: Batch = field(default_factory=Batch)


def parted(slots: Iterable[Slot]) -> tuple[tuple[Slot, ...], tuple[Slot, ...]]:
    """Slots of words, and those of quantities."""
    every = tuple(slots)
    return (
        tuple(slot for slot in every if slot.quantity in WORDS),
        tuple(slot for slot in every if slot.quantity not in WORDS),
    )


@dataclass(frozen=True, slots=True)
class Carer:
    """What is asked of, beside the meter."""

    ledger: Ledger
    clock: Clock
    zone: ZoneInfo

    async def care(self, task: Task, slots: Sequence[Slot], route: Route, phases: int, silent: Failed | None) -> Batch:
        """Ask for each word among `slots` once. `silent`: why the meter is asked no more in this visit."""
        made = Batch()
        for word in sorted({slot.quantity for slot in slots}):
            of_word = [slot for slot in slots if slot.quantity == word]
            said = _Said(failed=silent) if silent else await self._ask(word, task, of_word[0].plan, route, phases)
            if said.failed is not None and rule(said.failed.reason).leave:
                silent = said.failed
            made = _with(made, said, of_word, task, route, self.zone, self.clock.now())
        return made

    async def _ask(self, word: str, task: Task, plan: str, route: Route, phases: int) -> _Said:
        keeper, witness = TIMEKEEPERS.get(route.dialect.name), WITNESSES.get(route.dialect.name)
        if word == CLOCK and keeper is not None:
            occasion = Occasion.PLAN if plan else Occasion.DEMAND
            over = route.line, route.dialect, keeper, task.registered.meter, route.timing, self.zone
            read = await read_clock(*over, occasion=occasion, plan=plan)
            brought = Batch(clock_checks=(read.check,) if read.check else ())
            return _Said(read.attempts, read.answered, read.failed, brought)
        place = Place(route.line, route.dialect, route.timing, task.registered.meter, plan)
        if word == STATUS and witness is not None:
            seen = await read_status(place, witness)
        elif word == EVENTS and witness is not None:
            seen = await read_events(place, witness, await self._known(place.meter.meter), phases, self.zone)
        else:
            detail = f"{word} cannot be read over {route.dialect.name}"
            return _Said(failed=Failed((), "not_in_profile", rule("not_in_profile").owner, detail, 0))
        statuses = (seen.status,) if seen.status else ()
        brought = Batch(statuses=statuses, events=seen.events, event_counts=seen.counts)
        return _Said(seen.attempts, seen.answered, seen.failed, brought)

    async def _known(self, meter: str) -> Known:
        counts = await self.ledger.event_counts(meter)
        since = self.clock.now() - STILL_OPEN
        events = await self.ledger.events(meters=[meter], start=since)
        unended = {Sort(one.kind, one.phase) for one in events if one.end is None and one.kind not in WITHOUT_END}
        return Known({Sort(one.kind, one.phase): one.count for one in counts}, unended)


STILL_OPEN = timedelta(days=31)
"""So long the end of an event is asked for."""


def _with(
    made: Batch, said: _Said, slots: Sequence[Slot], task: Task, route: Route, zone: ZoneInfo, now: datetime
) -> Batch:
    meter = task.registered.meter
    frames = tuple(frames_of(said.answered, meter.channel, meter.meter, route.dialect.name))
    batch = replace(
        made,
        attempts=made.attempts + said.attempts,
        frames=made.frames + frames,
        clock_checks=made.clock_checks + said.brought.clock_checks,
        statuses=made.statuses + said.brought.statuses,
        events=made.events + said.brought.events,
        event_counts=made.event_counts + said.brought.event_counts,
    )
    if said.failed is None:
        done = tuple(Done(slot, data_day(slot.at, slot.basis, zone), now) for slot in slots if slot.plan)
        cutoffs = ((one.slot, task.cutoffs.get(one.slot)) for one in done)
        late = frozenset(slot for slot, cutoff in cutoffs if cutoff is not None and now >= cutoff)
        return replace(batch, done=batch.done + done, late=batch.late | late)
    since = min((attempt.started_at for attempt in said.attempts), default=now)
    return replace(batch, missing=batch.missing + tuple(_missing(slots, said.failed, zone, since)))


def _missing(slots: Iterable[Slot], why: Failed, zone: ZoneInfo, since: datetime) -> Iterator[Missing]:
    for slot in slots:
        day = data_day(slot.at, slot.basis, zone)
        yield Missing(slot, day, why.reason, why.owner, why.detail, max(1, why.attempts), since=since)


def frames_of(answered: Iterable[Answered], channel: str, meter: str, protocol: str) -> Iterator[RawFrame]:
    """The bytes of all answers, to be kept."""
    for one in answered:
        for telegram in one.exchange.telegrams:
            yield RawFrame(one.received_at, channel, meter, protocol, telegram.frame)
