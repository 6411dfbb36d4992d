"""What is kept beside readings as evidence: attempts, frames, dead letters, conflicts."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.exchanged import Exchanged
from storage.ledger.numbers import Numbers
from storage.records import Batch, Conflict, DeadLetter

_conflict, _reading, _letter = tables.conflict, tables.reading, tables.dead_letter
_ATTEMPT = ("channel", "started_at", "duration_us", "outcome", "owner", "detail", "sent", "received", "drained")
_FRAME = ("received_at", "origin", "protocol", "data")
CHUNK = 1000
STORED_WITHIN = timedelta(hours=1)
"""An attempt is stored at most so much later than one that began after it: a visit is stored whole, when it is over."""
_LETTER = ("received_at", "origin", "reason", "detail", "data")


async def keep(connection: AsyncConnection, named: Numbers, batch: Batch) -> None:
    """Write down a batch's attempts, frames and dead letters."""
    if batch.attempts:
        rows = [
            {name: getattr(one, name) for name in _ATTEMPT}
            | {"meter_id": named.meters[one.meter], "plan_id": named.plans[one.plan]}
            for one in batch.attempts
        ]
        await connection.execute(insert(tables.attempt), rows)
    if batch.frames:
        frames = [
            {name: getattr(one, name) for name in _FRAME} | {"meter_id": named.meters[one.meter]}
            for one in batch.frames
        ]
        await connection.execute(insert(tables.raw_frame), frames)
    if batch.dead_letters:
        letters = [{name: getattr(one, name) for name in _LETTER} for one in batch.dead_letters]
        await connection.execute(insert(_letter), letters)


async def conflicts(connection: AsyncConnection) -> tuple[Conflict, ...]:
    """See the port."""
    query = (
        select(
            tables.meter.c.meter,
            tables.quantity.c.code,
            _reading.c.basis,
            _reading.c.time,
            _conflict.c.value,
            _conflict.c.other,
            _conflict.c.other_source,
            _conflict.c.received_at,
        )
        .join_from(_conflict, _reading)
        .join(tables.meter)
        .join(tables.quantity)
        .order_by(_conflict.c.id)
    )
    return tuple(Conflict(*row) for row in await connection.execute(query))


async def dead_letters(connection: AsyncConnection) -> tuple[DeadLetter, ...]:
    """See the port."""
    query = select(*(_letter.c[name] for name in _LETTER)).order_by(_letter.c.id)
    return tuple(DeadLetter(*row) for row in await connection.execute(query))


async def exchanged(connection: AsyncConnection, since: datetime, *, most: int) -> tuple[Exchanged, ...]:
    """See the port. The log has no index by time: it is read from its end, for as long as it goes back."""
    attempt = tables.attempt
    query = (
        select(
            tables.meter.c.meter,
            attempt.c.channel,
            attempt.c.started_at,
            attempt.c.duration_us,
            attempt.c.outcome,
            func.length(attempt.c.sent),
            func.length(attempt.c.received),
        )
        .join_from(attempt, tables.meter)
        .order_by(attempt.c.id.desc())
        .limit(most)
    )
    found: list[Exchanged] = []
    rows = await connection.stream(query, execution_options={"yield_per": CHUNK})
    try:
        async for meter, channel, started_at, duration_us, outcome, sent, received in rows:
            if started_at < since - STORED_WITHIN:
                break
            if started_at >= since:
                found.append(Exchanged(meter, channel, started_at, duration_us, outcome, sent, received))
    finally:
        await rows.close()
    return tuple(reversed(found))
