"""What happened to meters, in SQL: events with their counters, and status words."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import care_tables, tables
from storage.care import EventCount, MeterEvent, StatusWords
from storage.ledger.dialect import insert_once_ended, insert_or_set
from storage.ledger.numbers import Numbers
from storage.records import Batch

_status, _event, _count = care_tables.meter_status, care_tables.meter_event, care_tables.event_count
_meter = tables.meter
_keep_event = insert_once_ended(_event, ("meter_id", "kind", "phase", "start"), "end")
_keep_count = insert_or_set(_count, ("meter_id", "kind", "phase"), ("count", "at"))
_EVENT = ("kind", "phase", "start", "end", "seen_at")
_COUNT = ("kind", "phase", "count", "at")


async def keep(connection: AsyncConnection, named: Numbers, batch: Batch) -> None:
    """Write down a batch's events, counters and status words."""
    if batch.statuses:
        rows = [
            {"meter_id": named.meters[one.meter], "at": one.at, "words": " ".join(f"{word:04X}" for word in one.words)}
            for one in batch.statuses
        ]
        await connection.execute(insert(_status), rows)
    if batch.events:
        events = [
            {name: getattr(one, name) for name in _EVENT} | {"meter_id": named.meters[one.meter]}
            for one in batch.events
        ]
        await connection.execute(_keep_event, events)
    if batch.event_counts:
        counts = [
            {name: getattr(one, name) for name in _COUNT} | {"meter_id": named.meters[one.meter]}
            for one in batch.event_counts
        ]
        await connection.execute(_keep_count, counts)


async def events(
    connection: AsyncConnection,
    *,
    meters: Collection[str],
    kinds: Collection[str],
    start: datetime | None,
    end: datetime | None,
) -> tuple[MeterEvent, ...]:
    """See the port."""
    query = select(_meter.c.meter, *(_event.c[name] for name in _EVENT)).join_from(_event, _meter)
    if meters:
        query = query.where(_meter.c.meter.in_(sorted(meters)))
    if kinds:
        query = query.where(_event.c.kind.in_(sorted(kinds)))
    if start is not None:
        query = query.where(_event.c.start >= start)
    if end is not None:
        query = query.where(_event.c.start < end)
    query = query.order_by(_event.c.start, _meter.c.meter, _event.c.kind, _event.c.phase)
    return tuple(MeterEvent(*row) for row in await connection.execute(query))


async def event_counts(connection: AsyncConnection, meter: str) -> tuple[EventCount, ...]:
    """See the port."""
    query = select(_meter.c.meter, *(_count.c[name] for name in _COUNT)).join_from(_count, _meter)
    rows = await connection.execute(query.where(_meter.c.meter == meter).order_by(_count.c.kind, _count.c.phase))
    return tuple(EventCount(*row) for row in rows)


async def last_statuses(connection: AsyncConnection) -> tuple[StatusWords, ...]:
    """See the port."""
    newest = (
        select(_status.c.id)
        .where(_status.c.meter_id == _meter.c.id)
        .order_by(_status.c.at.desc(), _status.c.id.desc())
        .limit(1)
        .correlate(_meter)
        .scalar_subquery()
    )
    query = (
        select(_meter.c.meter, _status.c.at, _status.c.words)
        .join_from(_status, _meter)
        .where(_status.c.id.in_(select(newest).select_from(_meter)))
        .order_by(_meter.c.meter)
    )
    return tuple(StatusWords(meter, at, _words(words)) for meter, at, words in await connection.execute(query))


def _words(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())
