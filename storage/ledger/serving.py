"""Readings as they stand: the one select that joins a reading with what lies beside it, and the record made of its rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.columns import BASIS, QUALITY
from storage.records import Basis, Judged, Quality, Reading, Slot

CHUNK = 1000
"""Rows that are fetched at a time."""

_r, _m, _q = tables.reading, tables.meter, tables.quantity
_finer = tables.restatement.alias("finer")
_verdict = tables.revision.alias("verdict")
_slot_plan = tables.plan.alias("slot_plan")
_i, _p = tables.installation, tables.point

served_value = func.coalesce(_finer.c.value, _r.c.value)
resolution = func.coalesce(_finer.c.resolution, _r.c.resolution)
billable = func.coalesce(_finer.c.billable, _r.c.billable)
value = func.coalesce(_verdict.c.value, served_value)
quality = case(
    (and_(_r.c.waits, _r.c.conflicted), literal(Quality.SUSPECT, QUALITY)),
    (_r.c.waits, literal(Quality.RAW, QUALITY)),
    else_=_verdict.c.quality,
)
belongs = and_(_i.c.meter_id == _r.c.meter_id, _i.c.since <= _r.c.time, or_(_i.c.end.is_(None), _r.c.time < _i.c.end))

beside = (
    _r.join(_m, _m.c.id == _r.c.meter_id)
    .join(_q, _q.c.id == _r.c.quantity_id)
    .outerjoin(_finer, and_(_finer.c.reading_id == _r.c.id, _finer.c.served))
    .outerjoin(_verdict, and_(_verdict.c.reading_id == _r.c.id, _verdict.c.n == _r.c.revision))
)
"""A reading with its names, its finest form and its latest verdict."""

COLUMNS = (
    _m.c.meter,
    _q.c.code,
    _r.c.basis,
    _r.c.time,
    served_value.label("served_value"),
    resolution.label("resolution"),
    func.coalesce(_finer.c.source, _r.c.source, type_=_r.c.source.type).label("source"),
    func.coalesce(_finer.c.received_at, _r.c.received_at, type_=_r.c.received_at.type).label("received_at"),
    billable.label("billable"),
    _slot_plan.c.name.label("slot_plan"),
    _r.c.slot_at,
    _r.c.data_day,
    func.coalesce(_p.c.point, "").label("point"),
    quality.label("quality"),
    _r.c.revision,
    value.label("standing_value"),
)
"""What `judged` reads; to be selected from `whole`."""

whole = (
    beside.outerjoin(_slot_plan, _slot_plan.c.id == _r.c.slot_plan_id)
    .outerjoin(_i, belongs)
    .outerjoin(_p, _p.c.id == _i.c.point_id)
)


def judged(row: Sequence[Any]) -> Judged:
    """Of the first columns of a row."""
    (meter, code, basis, time, served, resolution, source, received_at, may_bill, plan, at, day, *standing) = row
    slot = None if plan is None else Slot(plan, meter, code, basis, at)
    reading = Reading(meter, code, basis, time, served, resolution, source, received_at, bool(may_bill), slot, day)
    return Judged(reading, *standing[:4])


async def readings(
    connection: AsyncConnection,
    *,
    meters: Collection[str],
    quantities: Collection[str],
    basis: Basis | None,
    start: datetime | None,
    end: datetime | None,
) -> AsyncGenerator[Judged]:
    """Meter after meter, some at a time: however many there are, memory holds one chunk."""
    found = await connection.execute(select(_m.c.id, _m.c.meter).order_by(_m.c.meter))
    chosen = [number for number, meter in found if not meters or meter in meters]
    codes = await connection.execute(select(_q.c.id, _q.c.code))
    query = (
        select(*COLUMNS)
        .select_from(whole)
        .where(
            _r.c.meter_id == bindparam("of"),
            # all of the key's columns, so that a span of time is found in the index
            _r.c.quantity_id.in_([number for number, code in codes if not quantities or code in quantities]),
            _r.c.basis.in_([basis] if basis is not None else BASIS.names),
        )
        .order_by(_q.c.code, _r.c.basis, _r.c.time)
    )
    if start is not None:
        query = query.where(_r.c.time >= start)
    if end is not None:
        query = query.where(_r.c.time < end)
    for number in chosen:
        # Not `async with`: SQLAlchemy's swallows that the reader has left, and the next meter would be read after all.
        rows = await connection.stream(query, {"of": number}, execution_options={"yield_per": CHUNK})
        try:
            async for chunk in rows.partitions(CHUNK):
                for row in chunk:
                    yield judged(row)
        finally:
            await rows.close()
