"""Meters' clocks beside collecting: what they come to each day, and changing them, where the configuration allows it.

Invariant: the audit has a change before its frame leaves, and what became of it afterwards, read back from the meter. No
password leaves while one that was sent to this meter in the last day was refused, or nobody knows what became of it; and
none is kept anywhere, neither in an attempt's bytes nor in its words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.clock_visit import ClockVisit, read_clock
from collector.acquisition.clocks import (
    MONTH,
    OK,
    PASSWORD_REST,
    SENT,
    UNCHANGED,
    WRONG_PASSWORD,
    ClockPolicy,
    Standing,
    near_midnight,
    password_rests_until,
    stamp_for,
    stand,
)
from collector.acquisition.line import Errand
from collector.acquisition.outcome import OK as ANSWERED
from collector.clock import Clock
from collector.jobs.care import frames_of
from collector.jobs.route import Route
from protocols.clockwork import Key, Timekeeper
from protocols.dialects import TIMEKEEPERS
from protocols.errors import RequestError
from protocols.telegram import Request
from storage.care import ClockChange, ClockCheck, ClockHow, Occasion
from storage.ledger.port import Ledger
from storage.records import Attempt, Batch
from storage.registry import Registered

_TICK = timedelta(microseconds=1)
CLOSE = timedelta(seconds=5)
"""A clock that was set stands right within this, and the uncertainty of reading it back."""
PASSWORD_RESTS, MIDNIGHT, NO_CLOCK = "password_rests", "near_midnight", "not_in_profile"


@dataclass(frozen=True, slots=True)
class Setting:
    """What came of setting one clock. `reason` empty: it was read back and stands right. `change` None: nothing was sent."""

    meter: str
    reason: str = ""
    detail: str = ""
    before: ClockCheck | None = None
    after: ClockCheck | None = None
    change: ClockChange | None = None


async def standings(ledger: Ledger, policy: ClockPolicy, meters: Iterable[str] = ()) -> tuple[Standing, ...]:
    """How each clock stood when it was last read, by meter; of no meter named: of all that ever were."""
    chosen = frozenset(meters)
    checks = [one for one in await ledger.last_clock_checks() if not chosen or one.meter in chosen]
    if not checks:
        return ()
    since = min(one.at for one in checks) - MONTH
    changes: dict[str, list[ClockChange]] = {}
    for change in await ledger.clock_changes(meters=[one.meter for one in checks], since=since):
        changes.setdefault(change.meter, []).append(change)
    return tuple(stand(one, changes.get(one.meter, ()), policy) for one in checks)


class ClockSetter:
    """Changes clocks, one at a time or a line at once. Whoever calls has seen that it is allowed."""

    def __init__(self, ledger: Ledger, clock: Clock, zone: ZoneInfo) -> None:
        self._ledger = ledger
        self._clock = clock
        self._zone = zone

    async def set_one(self, one: Registered, route: Route, key: Key, *, who: str, why: str) -> Setting:
        """Read, set by password at the meter's own address, read back."""
        meter, keeper = one.meter.meter, TIMEKEEPERS.get(route.dialect.name)
        if keeper is None:
            return Setting(meter, NO_CLOCK, f"a clock cannot be set over {route.dialect.name}")
        now = self._clock.now()
        recent = await self._ledger.clock_changes(meters=[meter], since=now - PASSWORD_REST)
        if (until := password_rests_until(recent, now)) is not None:
            return Setting(meter, PASSWORD_RESTS, until.astimezone(self._zone).isoformat(" ", "seconds"))
        if near_midnight(now, self._zone):
            return Setting(meter, MIDNIGHT)
        before = await self.read(one, route, keeper, Occasion.BEFORE)
        if before.check is None:
            return Setting(meter, *_why(before))
        latency = timedelta(microseconds=before.check.uncertainty_us)
        stamp = stamp_for(self._clock.now(), latency, self._zone)
        shown = before.check.shown.astimezone(self._zone)
        try:
            writes = keeper.set_to(one.meter.address, stamp, key, date=shown.date() != stamp.date())
        except RequestError as error:
            return Setting(meter, "bad_request", str(error), before.check)
        at = max([self._clock.now(), *(last.at + _TICK for last in recent)])  # a clock that is driven may stand still
        change = ClockChange(meter, at, ClockHow.SET, route.channel, who, why, before=before.check.drift)
        await self._ledger.begin_clock_changes([change])
        outcome, detail = await self._write(one, route, keeper, key, writes, latency)
        after = await self.read(one, route, keeper, Occasion.AFTER)
        return await self._ended(change, before.check, after, outcome, detail)

    async def tell_line(
        self, members: Iterable[Registered], route: Route, meant: Iterable[Standing], *, who: str, why: str
    ) -> tuple[ClockChange, ...]:
        """Broadcast the time on a line; read back those for whose sake it is done. All who hear it are in the audit."""
        keeper = TIMEKEEPERS[route.dialect.name]
        drifts = {one.check.meter: one.check.drift for one in meant}
        at = self._clock.now()
        hearing = {one.meter.meter: one for one in members}
        last = {one.meter: one.drift for one in await self._ledger.last_clock_checks() if one.meter in hearing}
        changes = [
            ClockChange(meter, at, ClockHow.BROADCAST, route.channel, who, why, before=last.get(meter))
            for meter in hearing
        ]
        await self._ledger.begin_clock_changes(changes)
        request = keeper.broadcast(stamp_for(self._clock.now(), timedelta(), self._zone))
        attempt = await route.line.tell(
            route.dialect, request, route.timing, Errand(next(iter(drifts), ""), route.channel)
        )
        await self._ledger.append(Batch(attempts=(attempt,)))
        ended = [await self._after_broadcast(one, hearing, route, keeper, attempt, drifts) for one in changes]
        await self._ledger.end_clock_changes(ended)
        return tuple(ended)

    async def read(self, one: Registered, route: Route, keeper: Timekeeper, occasion: Occasion) -> ClockVisit:
        """Ask a meter what time it is, and keep what it says."""
        seen = await read_clock(
            *(route.line, route.dialect, keeper, one.meter, route.timing, self._zone), occasion=occasion
        )
        frames = tuple(frames_of(seen.answered, one.meter.channel, one.meter.meter, route.dialect.name))
        checks = (seen.check,) if seen.check else ()
        await self._ledger.append(Batch(attempts=seen.attempts, frames=frames, clock_checks=checks))
        return seen

    async def _write(
        self,
        one: Registered,
        route: Route,
        keeper: Timekeeper,
        key: Key,
        writes: Iterable[Request],
        latency: timedelta,
    ) -> tuple[str, str]:
        """Outcome and detail of the writes; the first that fails ends them. Never repeated: it might be the password."""
        once = replace(route.timing, retries=0)
        errand = Errand(one.meter.meter, one.meter.channel)
        for request in writes:
            tried = await route.line.exchange(route.dialect, request, once, errand)
            attempt = without_key(tried.attempt, keeper, key)
            await self._ledger.append(Batch(attempts=(attempt,)))
            if tried.telegram is None:
                wrong = keeper.wrong_key(tried.attempt.received)
                return WRONG_PASSWORD if wrong else attempt.outcome, attempt.detail
        return OK, ""

    async def _ended(
        self, change: ClockChange, before: ClockCheck, after: ClockVisit, outcome: str, detail: str
    ) -> Setting:
        check = after.check
        if check is not None and stands_right(check):
            outcome, detail = OK, detail and f"it stands right although: {detail}"
        elif outcome == OK and check is not None:
            outcome, detail = UNCHANGED, f"the meter said done, and is off by {check.drift}"
        elif outcome == OK:
            outcome, detail = SENT, f"not read back: {_why(after)[1]}"
        ended = replace(
            change,
            outcome=outcome,
            detail=detail,
            ended_at=self._clock.now(),
            after=check.drift if check else None,
        )
        await self._ledger.end_clock_changes([ended])
        return Setting(change.meter, "" if outcome == OK else outcome, detail, before, check, ended)

    async def _after_broadcast(
        self,
        change: ClockChange,
        hearing: Mapping[str, Registered],
        route: Route,
        keeper: Timekeeper,
        attempt: Attempt,
        drifts: Mapping[str, timedelta],
    ) -> ClockChange:
        if attempt.outcome != ANSWERED:
            return replace(change, outcome=attempt.outcome, detail=attempt.detail, ended_at=self._clock.now())
        if change.meter not in drifts:
            return replace(change, outcome=SENT, ended_at=self._clock.now())
        seen = await self.read(hearing[change.meter], route, keeper, Occasion.AFTER)
        if seen.check is None:
            return replace(change, outcome=SENT, detail=_why(seen)[1], ended_at=self._clock.now())
        outcome = OK if stands_right(seen.check) else UNCHANGED
        return replace(change, outcome=outcome, ended_at=self._clock.now(), after=seen.check.drift)


def stands_right(check: ClockCheck) -> bool:
    """As right as a clock can be that has just been set."""
    return abs(check.drift) <= CLOSE + timedelta(microseconds=check.uncertainty_us)


def without_key(attempt: Attempt, keeper: Timekeeper, key: Key) -> Attempt:
    """An attempt as it may be kept: the key is in no byte and no word of it."""
    wire = keeper.on_the_wire(key)
    blank = bytes(len(wire))

    def clean(data: bytes) -> bytes:
        return keeper.without_key(data).replace(wire, blank)

    detail = attempt.detail.replace(wire.hex(" "), blank.hex(" "))
    return replace(attempt, sent=clean(attempt.sent), received=clean(attempt.received), detail=detail)


def _why(seen: ClockVisit) -> tuple[str, str]:
    return (seen.failed.reason, seen.failed.detail) if seen.failed else ("", "")
