"""The ledger in memory, the part that accounts for days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime

from storage.dues import Counted, Filling, MeterDay, Pause, Paused, Tried
from storage.records import Attempt, Basis, Slot


class MemoryDays:
    """Pauses, counts, denominators: see `storage.ledger.day_port`."""

    def __init__(self) -> None:
        self._filled: dict[Slot, Filling] = {}
        self.attempts: list[Attempt] = []
        self._pauses: list[Pause] = []
        self._days: dict[date, tuple[MeterDay, ...]] = {}

    async def begin_pause(self, one: Pause) -> bool:
        """See the port."""
        if self._open_pause(one.kind, one.name) is not None:
            return False
        self._pauses.append(one)
        return True

    async def end_pause(self, kind: Paused, name: str, *, at: datetime, who: str) -> bool:
        """See the port."""
        place = self._open_pause(kind, name)
        if place is None:
            return False
        self._pauses[place] = replace(self._pauses[place], until=at, ended_by=who)
        return True

    def _open_pause(self, kind: Paused, name: str) -> int | None:
        places = (n for n, one in enumerate(self._pauses) if (one.kind, one.name, one.until) == (kind, name, None))
        return next(places, None)

    async def pauses(self, start: datetime, end: datetime) -> tuple[Pause, ...]:
        """See the port."""
        found = (one for one in self._pauses if one.since < end and (one.until is None or one.until > start))
        return tuple(sorted(found, key=lambda one: (one.since, one.kind, one.name)))

    async def counted(
        self, start: datetime, end: datetime, *, basis: Basis, quantities: Collection[str], as_of: datetime
    ) -> tuple[Counted, ...]:
        """See the port."""
        slots: Counter[str] = Counter()
        first: Counter[str] = Counter()
        for slot, one in self._filled.items():
            if (
                slot.plan
                and start <= slot.at < end
                and one.at <= as_of
                and slot.basis is basis
                and slot.quantity in quantities
            ):
                slots[slot.meter] += 1
                first[slot.meter] += one.first_round
        return tuple(Counted(meter, slots[meter], first[meter]) for meter in sorted(slots))

    async def tried(self, start: datetime, end: datetime) -> tuple[Tried, ...]:
        """See the port."""
        tries: Counter[tuple[str, str]] = Counter()
        answers: Counter[tuple[str, str]] = Counter()
        for one in self.attempts:
            if start <= one.started_at < end:
                tries[one.meter, one.channel] += 1
                answers[one.meter, one.channel] += one.outcome == "ok"
        return tuple(Tried(*of, tries[of], answers[of]) for of in sorted(tries))

    async def keep_meter_days(self, day: date, rows: Sequence[MeterDay]) -> bool:
        """See the port."""
        if not rows or day in self._days:
            return False
        self._days[day] = tuple(sorted(rows, key=lambda one: one.meter))
        return True

    async def meter_days(self, first: date, last: date) -> tuple[MeterDay, ...]:
        """See the port."""
        return tuple(one for day in sorted(self._days) if first <= day <= last for one in self._days[day])
