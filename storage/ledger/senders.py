"""Senders' progress in SQL: read, advanced and written in the transaction that stores what they sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.ledger.dialect import as_list, insert_or_set, listed
from storage.ledger.progress import Key, advanced, by_sender
from storage.senders import Numbered, Progress

_KEY = ("channel", "sender", "boot")
_STATE = ("upto", "highest", "missing", "lost", "heard_at")
_table = tables.sender
_keys = listed(*_KEY)
_columns = tuple(_table.c[name] for name in (*_KEY, *_STATE))
_find = select(*_columns).join_from(_keys, _table, and_(*(_table.c[name] == _keys.c[name] for name in _KEY)))
_set = insert_or_set(_table, _KEY, _STATE)


async def hear(connection: AsyncConnection, numbered: Sequence[Numbered]) -> tuple[Progress, ...]:
    """The senders of these messages, as they stand now."""
    if not numbered:
        return ()
    come = by_sender(numbered)
    known: dict[Key, Progress] = {}
    for row in await connection.execute(_find, {"listed": as_list(come)}):
        found = _progress(row)
        known[found.channel, found.sender, found.boot] = found
    now = advanced(known, come)
    rows = [
        {name: getattr(one, name) for name in (*_KEY, *_STATE)} | {"missing": json.dumps(one.missing)} for one in now
    ]
    await connection.execute(_set, rows)
    return now


async def senders(connection: AsyncConnection) -> tuple[Progress, ...]:
    """See the port."""
    found = await connection.execute(select(*_columns).order_by(*(_table.c[name] for name in _KEY)))
    return tuple(map(_progress, found))


def _progress(row: Sequence[Any]) -> Progress:
    channel, sender, boot, upto, highest, missing, lost, heard_at = row
    gaps = tuple((low, high) for low, high in json.loads(str(missing)))
    return Progress(channel, sender, boot, upto, highest, gaps, lost, heard_at)
