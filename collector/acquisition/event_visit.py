"""Asking one meter what happened to it: its counters first, then only the records that are new.

A record that was still open when it was last read is asked for again, until it has its end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from collector.acquisition.line import Line
from collector.acquisition.outcome import rule
from collector.acquisition.timing import Timing
from collector.acquisition.visit import Answered, Failed, Visit, ask_unknown
from protocols.dialect import Dialect
from protocols.errors import RequestError
from protocols.telegram import Request
from protocols.witness import Sort, Witness
from storage.care import EventCount, MeterEvent, StatusWords
from storage.days import from_local
from storage.records import Attempt
from storage.registry import Meter


@dataclass(frozen=True, slots=True)
class EventVisit:
    """What came of it, or why nothing did."""

    attempts: tuple[Attempt, ...] = ()
    answered: tuple[Answered, ...] = ()
    events: tuple[MeterEvent, ...] = ()
    counts: tuple[EventCount, ...] = ()
    status: StatusWords | None = None
    failed: Failed | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger has of a meter: its counters when they were last read, and sorts of which a record had no end yet."""

    counts: Mapping[Sort, int] = field(default_factory=dict)
    open: Collection[Sort] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Who is asked, and over what."""

    line: Line
    dialect: Dialect
    timing: Timing
    meter: Meter
    plan: str = ""

    async def ask(self, requests: Collection[Request]) -> Visit:
        """These questions, in order."""
        return await ask_unknown(self.line, self.dialect, tuple(requests), self.timing, self.meter, plan=self.plan)


async def read_status(place: Place, witness: Witness) -> EventVisit:
    """All status words, the shortest way that the meter knows."""
    attempts: tuple[Attempt, ...] = ()
    answered: tuple[Answered, ...] = ()
    failed = Failed((), "no_value", rule("no_value").owner, "its status words are not what they should be", 1)
    try:
        ways = witness.ask_status(place.meter.address)
    except RequestError as error:
        return EventVisit(failed=_bad_address(error))
    for requests in ways:
        seen = await place.ask(requests)
        attempts, answered = attempts + seen.attempts, answered + seen.answered
        if not seen.failed:
            words = witness.status(tuple(one.exchange for one in seen.answered))
            if words is not None:
                status = StatusWords(place.meter.meter, seen.answered[-1].received_at, words)
                return EventVisit(attempts, answered, status=status)
            continue
        failed = seen.failed[0]
        if rule(failed.reason).leave:
            break
    return EventVisit(attempts, answered, failed=failed)


async def read_events(place: Place, witness: Witness, known: Known, phases: int, zone: ZoneInfo) -> EventVisit:
    """Counters, and the records that are new since. `zone` is that of the meter's clock."""
    meter = place.meter
    try:
        seen = await place.ask(witness.ask_counts(meter.address))
    except RequestError as error:
        return EventVisit(failed=_bad_address(error))
    lost = next((one for one in seen.failed if rule(one.reason).leave), None)
    if lost is not None or not seen.answered:
        return EventVisit(seen.attempts, seen.answered, failed=lost or seen.failed[0])
    counts: dict[Sort, int] = {}
    for one in seen.answered:
        counts |= witness.counts(one.exchange, phases)
    wanted = {
        witness.ask_record(meter.address, sort, back): sort
        for sort, count in sorted(counts.items())
        for back in range(1, new_records(sort, count, known, witness.depth) + 1)
    }
    more = await place.ask(wanted) if wanted else Visit(meter, (), (), tuple, ())
    at = seen.answered[-1].received_at
    happened = [(wanted[one.exchange.request], one.exchange) for one in more.answered]
    events = [
        MeterEvent(meter.meter, sort.kind, sort.phase, from_local(found.start, zone), _end(found.end, zone), at)
        for sort, exchange in happened
        if (found := witness.record(sort, exchange)) is not None
    ]
    attempts, answered = seen.attempts + more.attempts, seen.answered + more.answered
    if more.failed:  # a counter that is kept says that its records were read: those of a visit cut short are read again
        return EventVisit(attempts, answered, tuple(events), failed=more.failed[0])
    kept = tuple(EventCount(meter.meter, sort.kind, sort.phase, count, at) for sort, count in sorted(counts.items()))
    return EventVisit(attempts, answered, tuple(events), kept)


def new_records(sort: Sort, count: int, known: Known, depth: int) -> int:
    """How many records to ask for: those counted since, at most what the meter keeps; a counter that fell was cleared."""
    before = known.counts.get(sort, 0)
    new = count - before if count >= before else count
    return min(depth, count, max(new, 1) if sort in known.open else new)


def _end(stamp: datetime | None, zone: ZoneInfo) -> datetime | None:
    return None if stamp is None else from_local(stamp, zone)


def _bad_address(error: RequestError) -> Failed:
    return Failed((), "bad_address", rule("bad_address").owner, str(error), 0)
