"""The ledger in memory, its half of `care_port`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from storage.care import ClockChange, ClockCheck, EventCount, MeterEvent, StatusWords
from storage.errors import AuditRefused
from storage.records import Batch


class MemoryCare:
    """See the port."""

    def __init__(self) -> None:
        self._clock_checks: list[ClockCheck] = []
        self._clock_changes: dict[tuple[str, datetime], ClockChange] = {}
        self._statuses: dict[str, StatusWords] = {}
        self._events: dict[tuple[datetime, str, str, str], MeterEvent] = {}
        self._event_counts: dict[tuple[str, str, str], EventCount] = {}

    def _care(self, batch: Batch) -> None:
        """Keep what a batch brings beside readings."""
        self._clock_checks.extend(batch.clock_checks)
        for status in batch.statuses:
            known = self._statuses.get(status.meter)
            if known is None or known.at <= status.at:
                self._statuses[status.meter] = status
        for event in batch.events:
            key = event.start, event.meter, event.kind, event.phase
            there = self._events.setdefault(key, event)
            self._events[key] = replace(there, end=there.end or event.end)
        for count in batch.event_counts:
            self._event_counts[count.meter, count.kind, count.phase] = count

    async def clock_checks(
        self,
        *,
        meters: Collection[str] = (),
        since: datetime | None = None,
        shown: tuple[datetime, datetime] | None = None,
    ) -> tuple[ClockCheck, ...]:
        """See the port."""
        found = [
            one
            for one in self._clock_checks
            if (not meters or one.meter in meters)
            and (since is None or one.at >= since)
            and (shown is None or shown[0] <= one.shown < shown[1])
        ]
        return tuple(sorted(found, key=lambda one: (one.meter, one.at)))

    async def last_clock_checks(self) -> tuple[ClockCheck, ...]:
        """See the port."""
        latest: dict[str, ClockCheck] = {}
        for one in self._clock_checks:
            if one.meter not in latest or latest[one.meter].at <= one.at:
                latest[one.meter] = one
        return tuple(latest[meter] for meter in sorted(latest))

    async def begin_clock_changes(self, changes: Sequence[ClockChange]) -> None:
        """See the port."""
        begun = {(one.meter, one.at): _begun(one) for one in changes}
        if len(begun) < len(changes) or begun.keys() & self._clock_changes.keys():
            raise AuditRefused("a change of this clock that began at this very instant is written down already")
        self._clock_changes |= begun

    async def end_clock_changes(self, changes: Sequence[ClockChange]) -> None:
        """See the port."""
        ended: dict[tuple[str, datetime], ClockChange] = {}
        for one in changes:
            stored = self._clock_changes.get((one.meter, one.at))
            if stored is None:
                raise AuditRefused(f"{one.meter}: no change of its clock was begun at {one.at.isoformat()}")
            whole = replace(stored, outcome=one.outcome, detail=one.detail, ended_at=one.ended_at, after=one.after)
            if stored.outcome and stored != replace(one, before=stored.before):
                raise AuditRefused(f"{one.meter}: the change of {one.at.isoformat()} has ended already, otherwise")
            ended[one.meter, one.at] = whole
        self._clock_changes |= ended

    async def clock_changes(
        self, *, meters: Collection[str] = (), since: datetime | None = None
    ) -> tuple[ClockChange, ...]:
        """See the port."""
        found = [
            one
            for one in self._clock_changes.values()
            if (not meters or one.meter in meters) and (since is None or one.at >= since)
        ]
        return tuple(sorted(found, key=lambda one: (one.meter, one.at)))

    async def events(
        self,
        *,
        meters: Collection[str] = (),
        kinds: Collection[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> tuple[MeterEvent, ...]:
        """See the port."""
        return tuple(
            one
            for _, one in sorted(self._events.items())
            if (not meters or one.meter in meters)
            and (not kinds or one.kind in kinds)
            and (start is None or one.start >= start)
            and (end is None or one.start < end)
        )

    async def event_counts(self, meter: str) -> tuple[EventCount, ...]:
        """See the port."""
        return tuple(one for key, one in sorted(self._event_counts.items()) if key[0] == meter)

    async def last_statuses(self) -> tuple[StatusWords, ...]:
        """See the port."""
        return tuple(self._statuses[meter] for meter in sorted(self._statuses))


def _begun(change: ClockChange) -> ClockChange:
    return replace(change, outcome="", detail="", ended_at=None, after=None)
