"""The ledger in memory: for the demo, tests and simulated weeks. The same promises as the SQL ledger but one: it forgets.

Nothing here waits, so each call is whole; what can refuse is asked before anything is changed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice

from storage.errors import DeliveryRefused
from storage.exchanged import Exchanged, in_figures
from storage.ledger.deciding import (
    Arrival,
    asked_for,
    check_batch,
    check_follows,
    check_repeated,
    check_row,
    compare,
    row_value,
)
from storage.ledger.importing import compare_plans, compare_registry, reaches_back
from storage.ledger.judgement import check_revision, never_read, stays_open
from storage.ledger.kept import Kept, Stay
from storage.ledger.series import Value, Waiting, series_of
from storage.ledger.slots import Counter, Group, Slots, Tally, day_count, group_of
from storage.memory_care import MemoryCare
from storage.memory_days import MemoryDays
from storage.memory_orders import MemoryOrders
from storage.memory_senders import MemorySenders
from storage.records import (
    RELEASED,
    Basis,
    Batch,
    Conflict,
    DayCount,
    DeadLetter,
    Delivery,
    DeliveryRow,
    Finding,
    Judged,
    Missing,
    Plan,
    PlanVersion,
    RawFrame,
    Reading,
    Receipt,
    Revision,
    Series,
    Slot,
    Undelivered,
)
from storage.registry import Registered, RegistryChange

_Line = tuple[str, str, Basis]
_Key = tuple[str, str, Basis, datetime]
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class MemoryLedger(MemoryDays, MemoryCare, MemorySenders, MemoryOrders):
    """`storage.ledger.port.Ledger` without a disk."""

    def __init__(self) -> None:
        MemoryDays.__init__(self)
        MemoryCare.__init__(self)
        MemorySenders.__init__(self)
        MemoryOrders.__init__(self)
        self._digest = ""
        self._open: dict[str, Registered] = {}
        self._stays: defaultdict[str, list[Stay]] = defaultdict(list)
        self._plans: list[PlanVersion] = []
        self._readings: dict[_Key, Kept] = {}
        self._lines: defaultdict[_Line, list[datetime]] = defaultdict(list)
        self._waiting: set[_Key] = set()
        self._missing: dict[Slot, tuple[Missing, Group]] = {}
        self._counts: defaultdict[Counter, Tally] = defaultdict(Tally)
        self._conflicts: list[Conflict] = []
        self._deliveries: list[Delivery] = []
        self._delivered: list[DeliveryRow] = []
        self.frames: list[RawFrame] = []
        self._dead_letters: list[DeadLetter] = []

    # --- registry and plans ---

    async def import_registry(self, rows: Sequence[Registered], *, digest: str, at: datetime) -> RegistryChange:
        """See the port."""
        done = compare_registry(self._open, rows, at)
        for row in done.moved:
            self._stays[row.meter.meter][-1].end = at
        for row in (*done.added, *done.moved):
            meter = row.meter.meter
            first = not self._stays[meter] and reaches_back(row, at)
            self._open[meter] = row
            self._stays[meter].append(Stay(_LONG_AGO if first else row.installation.start, None, row))
        for row in done.altered:
            self._open[row.meter.meter] = self._stays[row.meter.meter][-1].registered = row
        self._describe_anew(rows)
        self._digest = digest
        return done.change

    def _describe_anew(self, rows: Sequence[Registered]) -> None:
        """Meters and points are described once: what a row says of one holds for every installation of it."""
        meters = {row.meter.meter: row.meter for row in rows}
        points = {row.point.point: row.point for row in rows}
        for meter, stays in self._stays.items():
            for stay in stays:
                old = stay.registered
                stay.registered = replace(
                    old,
                    meter=meters.get(meter, old.meter),
                    point=points.get(old.point.point, old.point),
                    installation=replace(old.installation, end=stay.end),
                )
            self._open[meter] = stays[-1].registered

    async def registry_digest(self) -> str:
        """See the port."""
        return self._digest

    async def registry(self) -> tuple[Registered, ...]:
        """See the port."""
        return tuple(self._open[meter] for meter in sorted(self._open))

    async def installations(self, start: datetime, end: datetime) -> tuple[Registered, ...]:
        """See the port."""
        stood = [stay.registered for meter in sorted(self._stays) for stay in self._stays[meter]]
        stood.sort(key=lambda one: (one.meter.meter, one.installation.start))
        return tuple(
            one
            for one in stood
            if one.installation.start < end and (one.installation.end is None or one.installation.end > start)
        )

    async def left_places(self, since: datetime) -> tuple[Registered, ...]:
        """See the port."""
        stood = [stay.registered for meter in sorted(self._stays) for stay in self._stays[meter]]
        ended = [one for one in stood if one.installation.end is not None and one.installation.end > since]
        return tuple(sorted(ended, key=lambda one: (one.meter.meter, one.installation.start)))

    def _belongs_to(self, meter: str, time: datetime) -> Registered | None:
        for stay in self._stays.get(meter, ()):
            if stay.since <= time and (stay.end is None or time < stay.end):
                return stay.registered
        return None

    async def keep_plans(self, plans: Sequence[Plan], *, at: datetime) -> None:
        """See the port."""
        still_open = [version for version in self._plans if version.valid_to is None]
        ended, void, opened = compare_plans(still_open, plans, at)
        over = {version.plan.name for version in (*ended, *void)}
        kept = [one for one in self._plans if one.valid_to is not None or one.plan.name not in over]
        self._plans = [*kept, *ended, *(PlanVersion(plan, at) for plan in opened)]

    async def plan_versions(self, start: datetime, end: datetime) -> tuple[PlanVersion, ...]:
        """See the port."""
        valid = [one for one in self._plans if one.valid_from < end and (one.valid_to is None or one.valid_to > start)]
        return tuple(sorted(valid, key=lambda one: (one.plan.name, one.valid_from)))

    # --- acquisition ---

    async def append(self, batch: Batch) -> Receipt:
        """See the port."""
        check_batch(batch)
        slots = Slots(self._filled, self._missing, lambda meter: group_of(self._open.get(meter)))
        arrivals = [self._take(reading, slots, late=reading.slot in batch.late) for reading in batch.readings]
        for done in batch.done:
            slots.fill(done.slot, done.data_day, done.at, late=done.slot in batch.late)
        for missing in batch.missing:
            slots.miss(missing)
        self._settle(slots)
        self.attempts.extend(batch.attempts)
        self.frames.extend(batch.frames)
        self._care(batch)
        self._dead_letters.extend(batch.dead_letters)
        conflicts = arrivals.count(Arrival.OTHER)
        stored = arrivals.count(None)
        progress = self._hear(batch.numbered)
        return Receipt(stored, len(arrivals) - stored - conflicts, conflicts, len(slots.filled), progress)

    def _take(self, reading: Reading, slots: Slots, *, late: bool) -> Arrival | None:
        """None: its key is new."""
        fills = reading.slot is not None and slots.fill(reading.slot, reading.data_day, reading.received_at, late=late)
        if not fills:
            reading = replace(reading, slot=None, data_day=None)
        line = reading.meter, reading.quantity, reading.basis
        key = (*line, reading.time)
        kept = self._readings.get(key)
        if kept is None:
            self._readings[key] = Kept(reading, reading, {(reading.value, reading.resolution)})
            self._waiting.add(key)
            insort(self._lines[line], reading.time)
            return None
        if fills and kept.raw.slot is None:
            kept.raw = replace(kept.raw, slot=reading.slot, data_day=reading.data_day)
            kept.served = replace(kept.served, slot=reading.slot, data_day=reading.data_day)
        served = kept.served
        others = [other.other for other in kept.others]
        arrival = compare(reading, served=(served.value, served.resolution), kept=kept.kept, others=others)
        if arrival is Arrival.RESTATED:
            kept.kept.add((reading.value, reading.resolution))
            if reading.resolution < served.resolution:
                kept.served = replace(reading, slot=kept.raw.slot, data_day=kept.raw.data_day)
                if reading.value != served.value and kept.own_value is None:
                    self._wait(key, kept)
        elif arrival is Arrival.OTHER:
            conflict = Conflict(*key, served.value, reading.value, reading.source, reading.received_at)
            kept.others.append(conflict)
            self._conflicts.append(conflict)
            self._wait(key, kept)
        return arrival

    def _wait(self, key: _Key, kept: Kept) -> None:
        kept.waits = True
        self._waiting.add(key)

    def _settle(self, slots: Slots) -> None:
        self._filled.update(slots.filled)
        for slot in slots.gone:
            del self._missing[slot]
        self._missing.update(slots.missing)
        for counter, tally in slots.counts.items():
            self._counts[counter].add(tally.slots, tally.first_round)

    async def filled(self, start: datetime, end: datetime) -> frozenset[Slot]:
        """See the port."""
        return frozenset(slot for slot in self._filled if start <= slot.at < end)

    async def closed(self, start: datetime, end: datetime) -> tuple[Missing, ...]:
        """See the port."""
        found = (missing for slot, (missing, _) in self._missing.items() if start <= slot.at < end)
        return tuple(sorted(found, key=lambda one: (one.slot.meter, one.slot.quantity, one.slot.at, one.slot)))

    async def unfilled(self, slots: Sequence[Slot]) -> Mapping[Slot, Missing | None]:
        """See the port."""
        found = {slot: self._missing.get(slot) for slot in slots if slot not in self._filled}
        return {slot: stored[0] if stored else None for slot, stored in found.items()}

    async def day_counts(self, first: date, last: date) -> tuple[DayCount, ...]:
        """See the port."""
        chosen = sorted(item for item in self._counts.items() if first <= item[0].day <= last and item[1].slots)
        return tuple(day_count(counter, tally.slots, tally.first_round) for counter, tally in chosen)

    async def conflicts(self) -> tuple[Conflict, ...]:
        """See the port."""
        return tuple(self._conflicts)

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """See the port."""
        return tuple(self._dead_letters)

    async def exchanged(self, since: datetime, *, most: int) -> tuple[Exchanged, ...]:
        """See the port."""
        return tuple(in_figures(one) for one in self.attempts[-most:] if one.started_at >= since)

    # --- readings ---

    async def readings(
        self,
        *,
        meters: Collection[str] = (),
        quantities: Collection[str] = (),
        basis: Basis | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> AsyncGenerator[Judged]:
        """See the port."""
        for line in sorted(self._lines):
            if (meters and line[0] not in meters) or (quantities and line[1] not in quantities):
                continue
            if basis is not None and line[2] is not basis:
                continue
            for time in tuple(self._lines[line]):
                if (start is None or start <= time) and (end is None or time < end):
                    yield self._judged(self._readings[(*line, time)])

    def _judged(self, kept: Kept) -> Judged:
        registered = self._belongs_to(kept.raw.meter, kept.raw.time)
        point = registered.point.point if registered else ""
        return Judged(kept.served, point, kept.quality, len(kept.revisions), kept.value)

    # --- vee ---

    async def unjudged(self, *, limit: int) -> tuple[Series, ...]:
        """See the port."""
        waiting: list[Waiting] = []
        for key in sorted(self._waiting):
            if len(waiting) == limit:
                break
            kept = self._readings[key]
            registered = self._belongs_to(key[0], key[3])
            if registered is not None:
                value = kept.column(kept.served.value)
                waiting.append(Waiting(registered, key[1], key[2], value, self._lead(key)))
        return series_of(waiting)

    def _lead(self, key: _Key) -> Value | None:
        """The released value before it, if none that waits lies between."""
        for kept in self._before(key):
            if kept.waits:
                if self._belongs_to(key[0], kept.raw.time) is not None:
                    return None
            elif kept.quality in RELEASED:
                return kept.column(kept.value)
        return None

    def _before(self, key: _Key) -> Iterator[Kept]:
        line = key[:3]
        times = self._lines[line]
        for place in range(bisect_left(times, key[3]) - 1, -1, -1):
            yield self._readings[(*line, times[place])]

    async def judge(self, revisions: Sequence[Revision]) -> None:
        """See the port."""
        added: defaultdict[_Key, list[Revision]] = defaultdict(list)
        for revision in revisions:
            key = revision.meter, revision.quantity, revision.basis, revision.time
            kept = self._readings.get(key)
            if kept is None:
                raise never_read(revision)
            there = [*kept.revisions, *added[key]]
            if check_revision(revision, len(there), dict(enumerate(there, 1))):
                added[key].append(revision)
        for key, new in added.items():
            if not new:
                continue
            kept = self._readings[key]
            kept.revisions.extend(new)
            kept.waits = stays_open(new[-1].quality, conflicted=bool(kept.others))
            if not kept.waits:
                self._waiting.discard(key)

    async def findings(self, *, start: datetime | None = None) -> tuple[Finding, ...]:
        """See the port."""
        latest = (kept.revisions[-1] for kept in self._readings.values() if kept.revisions)
        found = [one for revision in latest for one in revision.findings if start is None or one.time >= start]
        return tuple(sorted(found, key=lambda one: (one.time, one.meter, one.quantity, one.basis, one.rule)))

    # --- hand-over ---

    async def undelivered(
        self, *, limit: int, at: Mapping[str, Collection[datetime]] | None = None
    ) -> tuple[Undelivered, ...]:
        """See the port."""
        keys = sorted(self._readings, key=lambda key: (key[0], key[1], key[3], key[2]))
        due = (due for key in keys if (due := self._due(key)) and asked_for(due, at or {}))
        return tuple(islice(due, limit))

    def _due(self, key: _Key) -> Undelivered | None:
        kept = self._readings.get(key)
        if kept is None or not kept.served.billable or kept.quality not in RELEASED:
            return None
        registered = self._belongs_to(key[0], key[3])
        before = kept.delivered
        if registered is None or (before and (row_value(before), before.quality) == (kept.value, kept.quality)):
            return None
        return Undelivered(self._judged(kept), registered, before)

    async def promise_delivery(self, rows: Sequence[DeliveryRow], delivery: Delivery) -> None:
        """See the port."""
        if 0 < delivery.batch_seq <= len(self._deliveries):
            stored = self._deliveries[delivery.batch_seq - 1]
            return check_repeated(stored, self._delivered[stored.from_seq - 1 : stored.to_seq], rows, delivery)
        check_follows(self._deliveries[-1] if self._deliveries else None, rows, delivery)
        promised: dict[_Key, DeliveryRow] = {}
        for row in rows:
            key = row.meter, row.quantity, row.basis, row.time
            check_row(row, None if key in promised else self._due(key))
            promised[key] = row
        for key, row in promised.items():
            self._readings[key].delivered = row
        self._delivered.extend(rows)
        self._deliveries.append(delivery)
        return None

    async def delivery_written(self, batch_seq: int) -> None:
        """See the port."""
        if not 0 < batch_seq <= len(self._deliveries):
            raise DeliveryRefused(f"there is no delivery {batch_seq}")
        self._deliveries[batch_seq - 1] = replace(self._deliveries[batch_seq - 1], written=True)

    async def deliveries(self) -> tuple[Delivery, ...]:
        """See the port."""
        return tuple(self._deliveries)

    async def delivery_rows(self, batch_seq: int) -> tuple[DeliveryRow, ...]:
        """See the port."""
        if not 0 < batch_seq <= len(self._deliveries):
            return ()
        delivery = self._deliveries[batch_seq - 1]
        return tuple(self._delivered[delivery.from_seq - 1 : delivery.to_seq])

    async def close(self) -> None:
        """Nothing to let go of."""
