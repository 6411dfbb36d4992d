"""Handing over in SQL: what billing has not got, and the numbered promises of what it gets."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, case, false, func, insert, or_, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.columns import to_microseconds
from storage.errors import DeliveryRefused
from storage.ledger import registry, serving
from storage.ledger.deciding import check_follows, check_repeated, check_row, row_value
from storage.ledger.dialect import as_list, listed
from storage.ledger.numbers import Key, numbers
from storage.ledger.vocabulary import Vocabulary
from storage.records import RELEASED, Delivery, DeliveryRow, Undelivered

_r, _row, _delivery = tables.reading, tables.delivery_row, tables.delivery
_KEY = ("meter_id", "quantity_id", "basis", "time")
_ids, _keys = listed("id"), listed(*_KEY)

_last = tables.delivery_row.alias("last")
_got = and_(
    _last.c.reading_id == _r.c.id,
    _last.c.seq == select(func.max(_row.c.seq)).where(_row.c.reading_id == _r.c.id).correlate(_r).scalar_subquery(),
)
_is_due = and_(  # what waits for a verdict is raw or suspect, so never released
    serving.billable == true(),
    serving.quality.in_(RELEASED),
    func.coalesce(and_(_last.c.millionths == serving.value, _last.c.quality == serving.quality), false()) == false(),
)

_ROW_BEFORE = ("seq", "type", "account", "point")
_ROW_VALUE = ("value", "unit", "multiplier", "quality", "source", "revision", "replaces", "old_value", "reason")


def _row_columns(table: Any) -> tuple[Any, ...]:
    return (
        *(table.c[name] for name in _ROW_BEFORE),
        tables.meter.c.meter,
        tables.quantity.c.code,
        _r.c.time,
        _r.c.basis,
        *(table.c[name] for name in _ROW_VALUE),
    )


# --- what is due ------------------------------------------------------------------------------------------------------

_listed = _r.c.id.in_(select(_ids.c.id))
_state = (
    select(_r.c.id, _is_due)
    .select_from(serving.beside.outerjoin(_last, _got))
    .where(_listed, case((_is_due, 1), else_=0) != case((_r.c.due, 1), else_=0))
)
_set_due = update(_r).where(_r.c.id == bindparam("of")).values(due=bindparam("is_due"))


async def settle_due(connection: AsyncConnection, readings: Iterable[int]) -> None:
    """Keep at hand which of these billing has not got."""
    ids = {"listed": as_list((number,) for number in readings)}
    changed = [{"of": number, "is_due": bool(due)} for number, due in await connection.execute(_state, ids)]
    if changed:
        await connection.execute(_set_due, changed)


_SPLIT = len(serving.COLUMNS), len(serving.COLUMNS) + len(registry.COLUMNS)
_due = (
    select(*serving.COLUMNS, *registry.COLUMNS, *_row_columns(_last), _r.c.id)
    .select_from(serving.whole.outerjoin(_last, _got))
    .where(_r.c.due.is_(True), tables.installation.c.id.is_not(None))
)


_groups, _instants = listed("name", parameter="groups"), listed("name", "time", parameter="instants")
_group = tables.point.c.billing_group
_no_group_named = _group.not_in(select(_groups.c.name))
_asked_for = or_(
    _no_group_named,
    *(tuple_(_group, _r.c[time]).in_(select(_instants.c.name, _instants.c.time)) for time in ("time", "slot_at")),
)
# What a group never bills stays due for ever: so the index alone says first which of them may be meant at all.
_candidate = _r.alias("candidate")
_candidates = select(_candidate.c.id).where(
    _candidate.c.due.is_(True),
    or_(
        *(_candidate.c[time].in_(select(_instants.c.time)) for time in ("time", "slot_at")),
        _candidate.c.meter_id.in_(select(tables.installation.c.meter_id).join(tables.point).where(_no_group_named)),
    ),
)
_next = (
    _due.where(_r.c.id.in_(_candidates), _asked_for)
    .order_by(tables.meter.c.meter, tables.quantity.c.code, _r.c.time, _r.c.basis)
    .limit(bindparam("most"))
)


async def undelivered(
    connection: AsyncConnection, *, limit: int, at: Mapping[str, Collection[datetime]]
) -> tuple[Undelivered, ...]:
    """See the port."""
    instants = as_list((group, to_microseconds(instant)) for group, many in at.items() for instant in many)
    groups = as_list((group,) for group in at)
    rows = await connection.execute(_next, {"groups": groups, "instants": instants, "most": limit})
    return tuple(_undelivered(row) for row in rows)


def _undelivered(row: Sequence[Any]) -> Undelivered:
    first, second = _SPLIT
    before = DeliveryRow(*row[second:-1]) if row[second] is not None else None
    return Undelivered(serving.judged(row[:first]), registry.registered(row[first:second]), before)


# --- promises ---------------------------------------------------------------------------------------------------------

_MANIFEST = ("batch_seq", "from_seq", "to_seq", "rows", "sha256", "prev_sha256", "manifest_sha256")
_find = select(_keys.c.place, _r.c.id).join_from(_keys, _r, and_(*(_r.c[name] == _keys.c[name] for name in _KEY)))


async def promise(
    connection: AsyncConnection, words: Vocabulary, rows: Sequence[DeliveryRow], delivery: Delivery
) -> None:
    """See the port."""
    there = await deliveries(connection, batch_seq=delivery.batch_seq)
    if there:
        return check_repeated(there[0], await delivery_rows(connection, delivery.batch_seq), rows, delivery)
    last = select(_delivery.c.batch_seq).order_by(_delivery.c.batch_seq.desc()).limit(1)
    before = await deliveries(connection, batch_seq=await connection.scalar(last) or 0)
    check_follows(before[0] if before else None, rows, delivery)
    of = await _readings_of(connection, words, rows)
    ids = {"listed": as_list((number,) for number in of.values())}
    due = {row[-1]: _undelivered(row) for row in await connection.execute(_due.where(_listed), ids)}
    for row in rows:
        check_row(row, due.pop(of.get(row.seq, 0), None))
    values = {name: getattr(delivery, name) for name in (*_MANIFEST, "data_file", "created_at", "written")}
    totals = json.dumps(dict(delivery.control_totals), sort_keys=True)
    await connection.execute(insert(_delivery).values(values | {"control_totals": totals}))
    stored = [
        {name: getattr(row, name) for name in (*_ROW_BEFORE, *_ROW_VALUE)}
        | {"batch_seq": delivery.batch_seq, "reading_id": of[row.seq], "millionths": row_value(row)}
        for row in rows
    ]
    await connection.execute(insert(_row), stored)
    await settle_due(connection, of.values())
    return None


async def _readings_of(connection: AsyncConnection, words: Vocabulary, rows: Sequence[DeliveryRow]) -> dict[int, int]:
    """Sequence number → the reading that the row hands over."""
    meters, quantities = {row.meter for row in rows}, {row.quantity for row in rows}
    named = await numbers(connection, words, meters=meters, quantities=quantities)
    keys: list[Key] = [named.key(row.meter, row.quantity, row.basis, row.time) for row in rows]
    found = await connection.execute(_find, {"listed": as_list(keys)})
    return {rows[place].seq: number for place, number in found}


async def written(connection: AsyncConnection, batch_seq: int) -> None:
    """See the port."""
    done = await connection.execute(update(_delivery).where(_delivery.c.batch_seq == batch_seq).values(written=True))
    if not done.rowcount:
        raise DeliveryRefused(f"there is no delivery {batch_seq}")


async def deliveries(connection: AsyncConnection, *, batch_seq: int | None = None) -> tuple[Delivery, ...]:
    """All, or the one with this number."""
    query = select(_delivery).order_by(_delivery.c.batch_seq)
    if batch_seq is not None:
        query = query.where(_delivery.c.batch_seq == batch_seq)
    return tuple(
        Delivery(**(row._asdict() | {"control_totals": json.loads(row.control_totals)}))
        for row in await connection.execute(query)
    )


async def delivery_rows(connection: AsyncConnection, batch_seq: int) -> tuple[DeliveryRow, ...]:
    """See the port."""
    query = (
        select(*_row_columns(_row))
        .select_from(_row.join(_r, _r.c.id == _row.c.reading_id).join(tables.meter).join(tables.quantity))
        .where(_row.c.batch_seq == batch_seq)
        .order_by(_row.c.seq)
    )
    return tuple(DeliveryRow(*row) for row in await connection.execute(query))
