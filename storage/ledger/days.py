"""Pauses, counts as of an instant, and denominators in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, Integer, and_, case, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.day_tables import FLAGS, NUMBERS, meter_day, pause
from storage.dues import Counted, MeterDay, Pause, Paused, Tried
from storage.ledger.dialect import as_list, listed
from storage.ledger.slots import Group
from storage.ledger.vocabulary import Vocabulary
from storage.records import Basis

_PAUSE = ("kind", "name", "since", "who", "why", "until", "ended_by")
_GROUP = tuple(tables.slot_group.c[name] for name in ("channel", "terminal", "area", "station", "class", "profile"))
_points = listed("point")


async def begin_pause(connection: AsyncConnection, one: Pause) -> bool:
    """See the port."""
    if await connection.scalar(select(pause.c.id).where(_open(one.kind, one.name))) is not None:
        return False
    await connection.execute(insert(pause), {name: getattr(one, name) for name in _PAUSE})
    return True


async def end_pause(connection: AsyncConnection, kind: Paused, name: str, *, at: datetime, who: str) -> bool:
    """See the port."""
    changed = await connection.execute(update(pause).where(_open(kind, name)).values(until=at, ended_by=who))
    return changed.rowcount > 0


def _open(kind: Paused, name: str) -> ColumnElement[bool]:
    return and_(pause.c.kind == kind, pause.c.name == name, pause.c.until.is_(None))


async def pauses(connection: AsyncConnection, start: datetime, end: datetime) -> tuple[Pause, ...]:
    """See the port."""
    query = (
        select(*(pause.c[name] for name in _PAUSE))
        .where(pause.c.since < end, or_(pause.c.until.is_(None), pause.c.until > start))
        .order_by(pause.c.since, pause.c.kind, pause.c.name)
    )
    found = await connection.execute(query)
    return tuple(
        Pause(Paused(kind), name, since, who, why, until, ended) for kind, name, since, who, why, until, ended in found
    )


async def counted(
    connection: AsyncConnection,
    start: datetime,
    end: datetime,
    basis: Basis,
    quantities: Collection[str],
    as_of: datetime,
) -> tuple[Counted, ...]:
    """See the port."""
    table = tables.filled
    codes = select(tables.quantity.c.id).where(tables.quantity.c.code.in_(sorted(quantities)))
    planned = select(tables.plan.c.id).where(tables.plan.c.name != "")
    of_meter = (
        select(
            table.c.meter_id, func.count().label("slots"), func.sum(table.c.first_round, type_=Integer).label("first")
        )
        .where(table.c.at >= start, table.c.at < end, table.c.basis == basis, table.c.filled_at <= as_of)
        .where(table.c.quantity_id.in_(codes), table.c.plan_id.in_(planned))
        .group_by(table.c.meter_id)
        .subquery()
    )
    query = (
        select(tables.meter.c.meter, of_meter.c.slots, of_meter.c.first)
        .join_from(of_meter, tables.meter, tables.meter.c.id == of_meter.c.meter_id)
        .order_by(tables.meter.c.meter)
    )
    return tuple(Counted(meter, slots, first) for meter, slots, first in await connection.execute(query))


async def tried(connection: AsyncConnection, start: datetime, end: datetime) -> tuple[Tried, ...]:
    """See the port."""
    table = tables.attempt
    answers = func.sum(case((table.c.outcome == "ok", 1), else_=0))
    query = (
        select(tables.meter.c.meter, table.c.channel, func.count(), answers)
        .join_from(table, tables.meter)
        .where(table.c.started_at >= start, table.c.started_at < end)
        .group_by(tables.meter.c.meter, table.c.channel)
        .order_by(tables.meter.c.meter, table.c.channel)
    )
    return tuple(Tried(*row) for row in await connection.execute(query))


async def keep_meter_days(connection: AsyncConnection, words: Vocabulary, day: date, rows: Sequence[MeterDay]) -> bool:
    """See the port."""
    if await connection.scalar(select(meter_day.c.day).where(meter_day.c.day == day).limit(1)) is not None:
        return False
    meters = await words.meters.ids(connection, (one.meter for one in rows))
    groups = await words.groups.ids(connection, (_group(one) for one in rows))
    names = sorted({one.point for one in rows})
    query = select(_points.c.place, tables.point.c.id).join_from(
        _points, tables.point, tables.point.c.point == _points.c.point
    )
    found = await connection.execute(query, {"listed": as_list((name,) for name in names)})
    points = {names[place]: number for place, number in found}
    values = [
        {name: getattr(one, name) for name in (*FLAGS, *NUMBERS)}
        | {
            "day": day,
            "meter_id": meters[one.meter],
            "point_id": points[one.point],
            "group_id": groups[_group(one)],
        }
        for one in rows
    ]
    if values:
        await connection.execute(insert(meter_day), values)
    return bool(values)


async def meter_days(connection: AsyncConnection, first: date, last: date) -> tuple[MeterDay, ...]:
    """See the port."""
    query = (
        select(
            meter_day.c.day,
            tables.meter.c.meter,
            tables.point.c.point,
            *_GROUP,
            *(meter_day.c[name] for name in (*FLAGS, *NUMBERS)),
        )
        .join_from(meter_day, tables.meter)
        .join(tables.point, tables.point.c.id == meter_day.c.point_id)
        .join(tables.slot_group, tables.slot_group.c.id == meter_day.c.group_id)
        .where(meter_day.c.day >= first, meter_day.c.day <= last)
        .order_by(meter_day.c.day, tables.meter.c.meter)
    )
    rows = await connection.execute(query)
    return tuple(MeterDay(*row[:9], **dict(zip((*FLAGS, *NUMBERS), row[9:], strict=True))) for row in rows)


def _group(one: MeterDay) -> Group:
    return Group(one.channel, one.terminal, one.area, one.station, one.class_, one.profile)
