"""Clocks, status words and events in SQL: what was read of them, and the audit of what was changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import care_tables, tables
from storage.care import ClockChange, ClockCheck
from storage.columns import to_microseconds
from storage.errors import AuditRefused
from storage.ledger import happenings
from storage.ledger.dialect import as_list, listed
from storage.ledger.numbers import Numbers, numbers
from storage.ledger.vocabulary import Vocabulary
from storage.records import Batch

_check, _change, _outcome = care_tables.clock_check, care_tables.clock_change, care_tables.clock_outcome
_TICK = timedelta(microseconds=1)
_CHECK = ("at", "shown", "uncertainty_us", "occasion")
_names = listed("name")
_keys = listed("meter_id", "at")
_checks = select(tables.meter.c.meter, *(_check.c[name] for name in _CHECK)).join_from(_check, tables.meter)
_changes = (
    select(tables.meter.c.meter, _change, _outcome.c.ended_at, _outcome.c.outcome)
    .add_columns(_outcome.c.detail, _outcome.c.after_us)
    .join_from(_change, tables.meter)
    .outerjoin(_outcome, _outcome.c.change_id == _change.c.id)
)
_by_key = _changes.add_columns(_keys.c.place).join(
    _keys, and_(_keys.c.meter_id == _change.c.meter_id, _keys.c.at == _change.c.at)
)


async def keep(connection: AsyncConnection, named: Numbers, batch: Batch) -> None:
    """Write down a batch's clock checks."""
    if batch.clock_checks:
        rows = [
            {name: getattr(one, name) for name in _CHECK} | {"meter_id": named.meters[one.meter]}
            for one in batch.clock_checks
        ]
        await connection.execute(insert(_check), rows)
    await happenings.keep(connection, named, batch)


async def clock_checks(
    connection: AsyncConnection,
    *,
    meters: Collection[str],
    since: datetime | None,
    shown: tuple[datetime, datetime] | None,
) -> tuple[ClockCheck, ...]:
    """See the port."""
    query, given = _of(_checks, meters)
    if since is not None:
        query = query.where(_check.c.at >= since)
    if shown is not None:
        query = query.where(_check.c.shown >= shown[0], _check.c.shown < shown[1])
    rows = await connection.execute(query.order_by(tables.meter.c.meter, _check.c.at, _check.c.id), given)
    return tuple(ClockCheck(*row) for row in rows)


async def last_clock_checks(connection: AsyncConnection) -> tuple[ClockCheck, ...]:
    """See the port."""
    # A seek a meter: the table has every check there ever was.
    newest = (
        select(_check.c.id)
        .where(_check.c.meter_id == tables.meter.c.id)
        .order_by(_check.c.at.desc(), _check.c.id.desc())
        .limit(1)
        .correlate(tables.meter)
        .scalar_subquery()
    )
    latest = select(newest).select_from(tables.meter)
    query = _checks.where(_check.c.id.in_(latest)).order_by(tables.meter.c.meter)
    return tuple(ClockCheck(*row) for row in await connection.execute(query))


async def begin(connection: AsyncConnection, words: Vocabulary, changes: Sequence[ClockChange]) -> None:
    """See the port."""
    named = await numbers(connection, words, meters=(one.meter for one in changes))
    there = await _found(connection, named, changes)
    keys = [(one.meter, one.at) for one in changes]
    if there or len(set(keys)) < len(keys):
        raise AuditRefused("a change of this clock that began at this very instant is written down already")
    rows = [
        {
            "meter_id": named.meters[one.meter],
            "at": one.at,
            "how": one.how,
            "channel": one.channel,
            "who": one.who,
            "why": one.why,
            "before_us": _us(one.before),
        }
        for one in changes
    ]
    if rows:
        await connection.execute(insert(_change), rows)


async def end(connection: AsyncConnection, words: Vocabulary, changes: Sequence[ClockChange]) -> None:
    """See the port."""
    named = await numbers(connection, words, meters=(one.meter for one in changes))
    there = await _found(connection, named, changes)
    rows = []
    for place, one in enumerate(changes):
        if place not in there:
            raise AuditRefused(f"{one.meter}: no change of its clock was begun at {one.at.isoformat()}")
        number, stored = there[place]
        if stored.outcome:
            if stored != replace(one, before=stored.before):
                raise AuditRefused(f"{one.meter}: the change of {one.at.isoformat()} has ended already, otherwise")
            continue
        rows.append(
            {
                "change_id": number,
                "ended_at": one.ended_at,
                "outcome": one.outcome,
                "detail": one.detail,
                "after_us": _us(one.after),
            }
        )
    if rows:
        await connection.execute(insert(_outcome), rows)


async def clock_changes(
    connection: AsyncConnection, *, meters: Collection[str], since: datetime | None
) -> tuple[ClockChange, ...]:
    """See the port."""
    query, given = _of(_changes, meters)
    if since is not None:
        query = query.where(_change.c.at >= since)
    rows = await connection.execute(query.order_by(tables.meter.c.meter, _change.c.at), given)
    return tuple(_told(row) for row in rows)


async def _found(
    connection: AsyncConnection, named: Numbers, changes: Sequence[ClockChange]
) -> dict[int, tuple[int, ClockChange]]:
    """By place: the number of what is stored, and what it says."""
    keys = as_list((named.meters[one.meter], to_microseconds(one.at)) for one in changes)
    return {row.place: (row.id, _told(row)) for row in await connection.execute(_by_key, {"listed": keys})}


def _of(query: Select[Any], meters: Collection[str]) -> tuple[Select[Any], dict[str, str]]:
    if not meters:
        return query, {}
    named = select(_names.c.name)
    return query.where(tables.meter.c.meter.in_(named)), {"listed": as_list((one,) for one in sorted(set(meters)))}


def _told(row: Row[Any]) -> ClockChange:
    return ClockChange(
        meter=row.meter,
        at=row.at,
        how=row.how,
        channel=row.channel,
        who=row.who,
        why=row.why,
        before=_span(row.before_us),
        outcome=row.outcome or "",
        detail=row.detail or "",
        ended_at=row.ended_at,
        after=_span(row.after_us),
    )


def _us(span: timedelta | None) -> int | None:
    return None if span is None else span // _TICK


def _span(count: int | None) -> timedelta | None:
    return None if count is None else timedelta(microseconds=count)
