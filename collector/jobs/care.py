"""What a plan reads by a word instead of a quantity: a clock. What came is stored as what it is, and its slot is served.

Beside `collect`, in the same visit and the same batch. A meter that has just been silent is not asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from collector.acquisition.clock_visit import read_clock
from collector.acquisition.outcome import rule
from collector.acquisition.tasks import Task
from collector.acquisition.visit import Answered, Failed
from collector.clock import Clock
from collector.jobs.route import Route
from protocols.dialects import TIMEKEEPERS
from storage.care import ClockCheck, Occasion
from storage.days import data_day
from storage.records import WORDS, Attempt, Batch, Done, Missing, RawFrame, Slot

CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class _Said:
    """What came of one word."""

    attempts: tuple[Attempt, ...] = ()
    answered: tuple[Answered, ...] = ()
    failed: Failed | None = None
    checks: tuple[ClockCheck, ...] = ()


def parted(slots: Iterable[Slot]) -> tuple[tuple[Slot, ...], tuple[Slot, ...]]:
    """Slots of words, and those of quantities."""
    every = tuple(slots)
    return (
        tuple(slot for slot in every if slot.quantity in WORDS),
        tuple(slot for slot in every if slot.quantity not in WORDS),
    )


async def care(
    task: Task, slots: Sequence[Slot], route: Route, zone: ZoneInfo, clock: Clock, silent: Failed | None
) -> Batch:
    """Ask for each word among `slots` once. `silent`: why the meter is asked no more in this visit."""
    made = Batch()
    for word in sorted({slot.quantity for slot in slots}):
        of_word = [slot for slot in slots if slot.quantity == word]
        said = _Said(failed=silent) if silent else await _ask(word, task, of_word[0].plan, route, zone)
        if said.failed is not None and rule(said.failed.reason).leave:
            silent = said.failed
        made = _with(made, said, of_word, task, route, zone, clock.now())
    return made


async def _ask(word: str, task: Task, plan: str, route: Route, zone: ZoneInfo) -> _Said:
    meter, occasion = task.registered.meter, Occasion.PLAN if plan else Occasion.DEMAND
    keeper = TIMEKEEPERS.get(route.dialect.name)
    if word == CLOCK and keeper is not None:
        seen = await read_clock(
            route.line, route.dialect, keeper, meter, route.timing, zone, occasion=occasion, plan=plan
        )
        return _Said(seen.attempts, seen.answered, seen.failed, (seen.check,) if seen.check else ())
    detail = f"{word} cannot be read over {route.dialect.name}"
    return _Said(failed=Failed((), "not_in_profile", rule("not_in_profile").owner, detail, 0))


def _with(
    made: Batch, said: _Said, slots: Sequence[Slot], task: Task, route: Route, zone: ZoneInfo, now: datetime
) -> Batch:
    meter = task.registered.meter
    frames = tuple(frames_of(said.answered, meter.channel, meter.meter, route.dialect.name))
    batch = replace(
        made,
        attempts=made.attempts + said.attempts,
        frames=made.frames + frames,
        clock_checks=made.clock_checks + said.checks,
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
