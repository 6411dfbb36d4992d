"""Slots and day counters in SQL: reads the state of a batch's slots, writes down what `slots.Slots` made of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.ledger.dialect import as_list, insert_or_add, insert_or_set, listed
from storage.ledger.numbers import Numbers
from storage.ledger.slots import Counter, Group, Slots, day_count
from storage.ledger.vocabulary import Vocabulary
from storage.records import DayCount, Missing, Slot

_SLOT = ("at", "plan_id", "meter_id", "quantity_id", "basis")
_WHY = ("data_day", "reason", "owner", "detail", "attempts", "since", "expires")
_missing, _count, _meter, _point = tables.missing, tables.day_count, tables.meter, tables.point
_GROUP = tuple(tables.slot_group.c[name] for name in ("channel", "terminal", "area", "station", "class", "profile"))

_slots = listed(*_SLOT)
_meters = listed("id")


def _same(table: Table) -> ColumnElement[bool]:
    return and_(*(table.c[name] == _slots.c[name] for name in _SLOT))


_find_filled = select(_slots.c.place).join_from(_slots, tables.filled, _same(tables.filled))
_find_missing = (
    select(_slots.c.place, *(_missing.c[name] for name in _WHY), *_GROUP)
    .join_from(_slots, _missing, _same(_missing))
    .join(tables.slot_group, tables.slot_group.c.id == _missing.c.group_id)
)
_find_groups = (
    select(
        _meter.c.meter,
        _meter.c.channel,
        _meter.c.terminal,
        _point.c.area,
        _point.c.station,
        _point.c["class"],
        _meter.c.profile,
    )
    .join_from(_meters, _meter, _meter.c.id == _meters.c.id)
    .join(
        tables.installation,
        and_(tables.installation.c.meter_id == _meter.c.id, tables.installation.c.end.is_(None)),
    )
    .join(_point, _point.c.id == tables.installation.c.point_id)
)
_fill = insert(tables.filled)
_miss = insert_or_set(_missing, _SLOT, (*_WHY, "group_id"))
_add = insert_or_add(_count, ("day", "plan_id", "group_id", "reason"), ("slots", "first_round"))
_gone = delete(_missing).where(*(_missing.c[name] == bindparam(f"of_{name}") for name in _SLOT))


async def state_of(connection: AsyncConnection, numbers: Numbers, slots: Sequence[Slot]) -> Slots:
    """What is stored of these slots."""
    if not slots:
        return Slots(set(), {}, _nobody)
    rows = as_list(numbers.slot(slot) for slot in slots)
    filled = {slots[place] for (place,) in await connection.execute(_find_filled, {"listed": rows})}
    missing: dict[Slot, tuple[Missing, Group]] = {}
    if len(filled) < len(slots):
        for place, *why in await connection.execute(_find_missing, {"listed": rows}):
            missing[slots[place]] = Missing(slots[place], *why[: len(_WHY)]), Group(*why[len(_WHY) :])
    new = sorted({numbers.meters[slot.meter] for slot in slots if slot not in filled and slot not in missing})
    groups: dict[str, Group] = {}
    if new:
        found = await connection.execute(_find_groups, {"listed": as_list((number,) for number in new)})
        groups = {meter: Group(*group) for meter, *group in found}
    return Slots(filled, missing, lambda meter: groups.get(meter, Group()))


async def unfilled(connection: AsyncConnection, words: Vocabulary, slots: Sequence[Slot]) -> dict[Slot, Missing | None]:
    """See the port."""
    meters = await words.meters.known(connection, {slot.meter for slot in slots})
    quantities = await words.quantities.known(connection, {slot.quantity for slot in slots})
    plans = await words.plans.known(connection, {slot.plan for slot in slots})
    numbers = Numbers(meters, quantities, plans)
    kept = [
        slot
        for slot in dict.fromkeys(slots)
        if slot.meter in meters and slot.quantity in quantities and slot.plan in plans
    ]
    found: dict[Slot, Missing | None] = dict.fromkeys(slots)
    if kept:
        rows = as_list(numbers.slot(slot) for slot in kept)
        for (place,) in await connection.execute(_find_filled, {"listed": rows}):
            del found[kept[place]]
        for place, *why in await connection.execute(_find_missing, {"listed": rows}):
            found[kept[place]] = Missing(kept[place], *why[: len(_WHY)])
    return found


def _nobody(_meter: str) -> Group:
    return Group()


async def settle(connection: AsyncConnection, words: Vocabulary, numbers: Numbers, slots: Slots) -> None:
    """Write down what has changed."""
    if slots.filled:
        rows = [
            _columns(numbers, slot) | {"filled_at": one.at, "first_round": one.first_round}
            for slot, one in slots.filled.items()
        ]
        await connection.execute(_fill, rows)
    if slots.gone:
        await connection.execute(_gone, [_columns(numbers, slot, "of_") for slot in slots.gone])
    wanted = {group for _, group in slots.missing.values()} | {counter.group for counter in slots.counts}
    groups = await words.groups.ids(connection, wanted)
    if slots.missing:
        missing = [
            {
                **_columns(numbers, slot),
                **{name: getattr(one, name) for name in _WHY},
                "group_id": groups[group],
            }
            for slot, (one, group) in slots.missing.items()
        ]
        await connection.execute(_miss, missing)
    counts = [
        {
            "day": counter.day,
            "plan_id": numbers.plans[counter.plan],
            "group_id": groups[counter.group],
            "reason": counter.reason,
            "slots": tally.slots,
            "first_round": tally.first_round,
        }
        for counter, tally in slots.counts.items()
        if tally.slots or tally.first_round
    ]
    if counts:
        await connection.execute(_add, counts)


def _columns(numbers: Numbers, slot: Slot, prefix: str = "") -> dict[str, object]:
    return {
        f"{prefix}at": slot.at,
        f"{prefix}plan_id": numbers.plans[slot.plan],
        f"{prefix}meter_id": numbers.meters[slot.meter],
        f"{prefix}quantity_id": numbers.quantities[slot.quantity],
        f"{prefix}basis": slot.basis,
    }


# --- asked ------------------------------------------------------------------------------------------------------------


async def filled(connection: AsyncConnection, start: datetime, end: datetime) -> frozenset[Slot]:
    """See the port."""
    table = tables.filled
    query = (
        select(tables.plan.c.name, _meter.c.meter, tables.quantity.c.code, table.c.basis, table.c.at)
        .join_from(table, tables.plan)
        .join(_meter)
        .join(tables.quantity)
        .where(table.c.at >= start, table.c.at < end)
    )
    return frozenset(Slot(*row) for row in await connection.execute(query))


async def closed(connection: AsyncConnection, start: datetime, end: datetime) -> tuple[Missing, ...]:
    """See the port."""
    query = (
        select(
            tables.plan.c.name,
            _meter.c.meter,
            tables.quantity.c.code,
            _missing.c.basis,
            _missing.c.at,
            *(_missing.c[name] for name in _WHY),
        )
        .join_from(_missing, tables.plan)
        .join(_meter)
        .join(tables.quantity)
        .where(_missing.c.at >= start, _missing.c.at < end)
        .order_by(_meter.c.meter, tables.quantity.c.code, _missing.c.at, tables.plan.c.name, _missing.c.basis)
    )
    return tuple(Missing(Slot(*row[:5]), *row[5:]) for row in await connection.execute(query))


async def day_counts(connection: AsyncConnection, first: date, last: date) -> tuple[DayCount, ...]:
    """See the port."""
    query = (
        select(_count.c.day, tables.plan.c.name, *_GROUP, _count.c.reason, _count.c.slots, _count.c.first_round)
        .join_from(_count, tables.plan)
        .join(tables.slot_group)
        .where(_count.c.day >= first, _count.c.day <= last, _count.c.slots > 0)
        .order_by(_count.c.day, tables.plan.c.name, *_GROUP, _count.c.reason)
    )
    rows = await connection.execute(query)
    return tuple(
        day_count(Counter(day, plan, Group(*rest[:6]), rest[6]), rest[7], rest[8]) for day, plan, *rest in rows
    )
