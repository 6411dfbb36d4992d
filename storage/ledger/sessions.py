"""Transactions on one database: one writer at a time, any number of readers, and errors in our words.

Writers begin with BEGIN IMMEDIATE, so that nobody finds out at the commit that another process was quicker; who has
waited for another process `PATIENCE` times gives up with `DatabaseBusy`. SQLite waits in a thread that nothing can
interrupt, so each of these times is shorter than the time a daemon has to drain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage.ledger.translation import is_busy, translated
from storage.ledger.vocabulary import Vocabulary

BUSY_S = 5.0
PATIENCE = 3
"""Times 5 s: longer than any transaction of ours takes."""

PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL may lose committed transactions when the power fails
    "PRAGMA foreign_keys = ON",
)


class Sessions:
    """The door to one SQLite file."""

    def __init__(self, path: str, *, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._engine = _engine_for(path, busy_s)
        self._writer = asyncio.Lock()
        self.words = Vocabulary()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one state of the database throughout."""
        with translated(self._path):
            async with self._engine.connect() as connection:
                await connection.exec_driver_sql("BEGIN")
                yield connection
                await connection.exec_driver_sql("COMMIT")

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end, or has never been."""
        with translated(self._path):
            async with self._writer, self._engine.connect() as connection:
                await self._begin(connection)
                try:
                    yield connection
                    await connection.exec_driver_sql("COMMIT")
                except BaseException:  # the pool rolls back what is given back in the middle
                    self.words.forget()
                    raise
                self.words.keep()

    async def _begin(self, connection: AsyncConnection) -> None:
        for tries_left in range(PATIENCE - 1, -1, -1):
            try:
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            except DBAPIError as error:
                if not is_busy(error) or not tries_left:
                    raise
            else:
                return

    async def close(self) -> None:
        """Close all connections; the last one of all processes tidies the log into the file."""
        await self._engine.dispose()


def _engine_for(path: str, busy_s: float) -> AsyncEngine:
    # AUTOCOMMIT: the driver begins nothing by itself, we say BEGIN.
    url = URL.create("sqlite+aiosqlite", database=path)
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", connect_args={"timeout": busy_s})
    event.listen(engine.sync_engine, "connect", prepare)
    return engine


def prepare(connection: Any, _record: object) -> None:
    """What every connection is set to."""
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
