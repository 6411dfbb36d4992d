"""Storing a batch in SQL: everything is looked up at once, decided in memory, and written at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from sqlalchemy import and_, bindparam, false, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.ledger import caring, counting, evidence, senders
from storage.ledger.deciding import Arrival
from storage.ledger.dialect import as_list, listed
from storage.ledger.numbers import Key, Numbers, numbers
from storage.ledger.shelf import Shelf
from storage.ledger.slots import Slots
from storage.ledger.vocabulary import Vocabulary
from storage.records import Batch, Reading, Receipt, Slot

_r, _restatement, _conflict = tables.reading, tables.restatement, tables.conflict
_finer = _restatement.alias("finer")
_keys = listed("meter_id", "quantity_id", "basis", "time")
_ids = listed("id")

_find = (
    select(
        _keys.c.place,
        _r.c.id,
        _r.c.value,
        _r.c.resolution,
        _r.c.slot_plan_id,
        _finer.c.value,
        _finer.c.resolution,
        tables.revision.c.value,
    )
    .join_from(_keys, _r, and_(*(_r.c[name] == _keys.c[name] for name in ("meter_id", "quantity_id", "basis", "time"))))
    .outerjoin(_finer, and_(_finer.c.reading_id == _r.c.id, _finer.c.served))
    .outerjoin(tables.revision, and_(tables.revision.c.reading_id == _r.c.id, tables.revision.c.n == _r.c.revision))
)
_find_restated = select(_restatement.c.reading_id, _restatement.c.value, _restatement.c.resolution).join_from(
    _ids, _restatement, _restatement.c.reading_id == _ids.c.id
)
_find_others = select(_conflict.c.reading_id, _conflict.c.other).join_from(
    _ids, _conflict, _conflict.c.reading_id == _ids.c.id
)
_store = insert(_r)
_give_slot = (
    update(_r)
    .where(_r.c.id == bindparam("of"))
    .values(slot_plan_id=bindparam("plan_id"), slot_at=bindparam("at"), data_day=bindparam("day"))
)
_serve_no_more = update(_restatement).where(_restatement.c.reading_id == bindparam("of")).values(served=false())
_reopen = update(_r).where(_r.c.id == bindparam("of")).values(waits=true(), due=false())
_contradicted = update(_r).where(_r.c.id == bindparam("of")).values(conflicted=true())


class _OfMeter(Protocol):
    @property
    def meter(self) -> str: ...


async def append(connection: AsyncConnection, words: Vocabulary, batch: Batch) -> Receipt:
    """See the port."""
    named = await _names(connection, words, batch)
    slots = await counting.state_of(connection, named, _slots(batch))
    arrivals = await _take(connection, named, batch, slots) if batch.readings else []
    for done in batch.done:
        slots.fill(done.slot, done.data_day, done.at, late=done.slot in batch.late)
    for missing in batch.missing:
        slots.miss(missing)
    progress = await senders.hear(connection, batch.numbered)
    await counting.settle(connection, words, named, slots)
    await evidence.keep(connection, named, batch)
    await caring.keep(connection, named, batch)
    stored, conflicts = arrivals.count(None), arrivals.count(Arrival.OTHER)
    return Receipt(stored, len(arrivals) - stored - conflicts, conflicts, len(slots.filled), progress)


async def _names(connection: AsyncConnection, words: Vocabulary, batch: Batch) -> Numbers:
    slots = _slots(batch)
    return await numbers(
        connection,
        words,
        meters={one.meter for many in (slots, *_of_meters(batch)) for one in many},
        quantities={one.quantity for many in (batch.readings, slots) for one in many},
        plans={one.plan for many in (slots, batch.attempts) for one in many},
    )


def _of_meters(batch: Batch) -> Iterator[Iterable[_OfMeter]]:
    yield from (batch.readings, batch.attempts, batch.frames, batch.clock_checks)
    yield from (batch.statuses, batch.events, batch.event_counts)


def _slots(batch: Batch) -> list[Slot]:
    brought = (reading.slot for reading in batch.readings if reading.slot is not None)
    others = (one.slot for many in (batch.done, batch.missing) for one in many)
    return list(dict.fromkeys([*brought, *others]))


async def _take(connection: AsyncConnection, named: Numbers, batch: Batch, slots: Slots) -> list[Arrival | None]:
    """What each reading is; None: new."""
    readings = batch.readings
    keys = [named.key(reading.meter, reading.quantity, reading.basis, reading.time) for reading in readings]
    shelves = await _stored(connection, keys, readings)
    arrivals: list[Arrival | None] = []
    for place, (key, reading) in enumerate(zip(keys, readings, strict=True)):
        late = reading.slot in batch.late
        fills = reading.slot is not None and slots.fill(reading.slot, reading.data_day, reading.received_at, late=late)
        shelf = shelves.get(key)
        if shelf is None:
            shelves[key] = Shelf.holding(reading if fills else replace(reading, slot=None, data_day=None))
            arrivals.append(None)
        else:
            arrivals.append(shelf.take(place, reading, fills=fills))
    await _write(connection, named, shelves)
    return arrivals


async def _stored(connection: AsyncConnection, keys: Sequence[Key], readings: Sequence[Reading]) -> dict[Key, Shelf]:
    """What is there of these keys."""
    shelves: dict[Key, Shelf] = {}
    wanted = list(dict.fromkeys(keys))
    found = await connection.execute(_find, {"listed": as_list(wanted)})
    for place, number, value, resolution, slot, finer, finer_resolution, own in found:
        first = value, resolution
        served = first if finer is None else (finer, finer_resolution)
        shelves[wanted[place]] = Shelf(number, first, served, {first, served}, set(), slot is not None, own is not None)
    differing = {
        number
        for key, reading in zip(keys, readings, strict=True)
        if (shelf := shelves.get(key)) and (reading.value, reading.resolution) != shelf.first
        if (number := shelf.number) is not None
    }
    if differing:  # seldom: only then what lies beside them matters
        of = {shelf.number: shelf for shelf in shelves.values()}
        ids = {"listed": as_list((number,) for number in sorted(differing))}
        for number, value, resolution in await connection.execute(_find_restated, ids):
            of[number].kept.add((value, resolution))
        for number, other in await connection.execute(_find_others, ids):
            of[number].others.add(other)
    return shelves


async def _write(connection: AsyncConnection, named: Numbers, shelves: Mapping[Key, Shelf]) -> None:
    new = [(key, shelf.new) for key, shelf in shelves.items() if shelf.new is not None]
    if new:
        await connection.execute(_store, [_reading_row(named, key, reading) for key, reading in new])
    slots = [
        {"of": shelf.number, "plan_id": named.plans[slot.plan], "at": slot.at, "day": reading.data_day}
        for shelf in shelves.values()
        if (reading := shelf.slot_from) is not None and (slot := reading.slot) is not None
    ]
    if slots:
        await connection.execute(_give_slot, slots)
    beside = {key: shelf for key, shelf in shelves.items() if shelf.restated or shelf.conflicts}
    if beside:
        await _write_beside(connection, beside)


def _reading_row(named: Numbers, key: Key, reading: Reading) -> dict[str, object]:
    slot = reading.slot
    return {
        "meter_id": key[0],
        "quantity_id": key[1],
        "basis": reading.basis,
        "time": reading.time,
        "value": reading.value,
        "resolution": reading.resolution,
        "source": reading.source,
        "received_at": reading.received_at,
        "billable": reading.billable,
        "slot_plan_id": None if slot is None else named.plans[slot.plan],
        "slot_at": None if slot is None else slot.at,
        "data_day": reading.data_day,
    }


async def _write_beside(connection: AsyncConnection, shelves: Mapping[Key, Shelf]) -> None:
    """Restatements and conflicts; what they contradict or refine waits for a verdict again."""
    keys = list(shelves)
    of: dict[Key, int] = {}
    for place, number, *_ in await connection.execute(_find, {"listed": as_list(keys)}):
        of[keys[place]] = number
    refined = [{"of": of[key]} for key, shelf in shelves.items() if shelf.finest]
    if refined:
        await connection.execute(_serve_no_more, refined)
    restated = [
        _beside_row(of[key], reading) | {"billable": reading.billable, "served": reading is shelf.finest}
        for key, shelf in shelves.items()
        for reading in shelf.restated
    ]
    if restated:
        await connection.execute(insert(_restatement), restated)
    found = {
        place: _conflict_row(of[key], reading, value)
        for key, shelf in shelves.items()
        for place, reading, value in shelf.conflicts
    }
    conflicts = [found[place] for place in sorted(found)]
    if conflicts:
        await connection.execute(insert(_conflict), conflicts)
        await connection.execute(_contradicted, [{"of": of[key]} for key, shelf in shelves.items() if shelf.conflicts])
    reopened = [{"of": of[key]} for key, shelf in shelves.items() if shelf.to_be_judged]
    if reopened:
        await connection.execute(_reopen, reopened)


def _conflict_row(number: int, reading: Reading, value: int) -> dict[str, object]:
    return {
        "reading_id": number,
        "value": value,
        "other": reading.value,
        "other_resolution": reading.resolution,
        "other_source": reading.source,
        "received_at": reading.received_at,
    }


def _beside_row(number: int, reading: Reading) -> dict[str, object]:
    return {
        "reading_id": number,
        "value": reading.value,
        "resolution": reading.resolution,
        "source": reading.source,
        "received_at": reading.received_at,
    }
