"""Transactions on one database: one writer at a time, any number of readers, and errors in our words.

Writers begin with BEGIN IMMEDIATE, so that nobody finds out at the commit that another process was quicker; who has
waited for another process `PATIENCE` times gives up with `DatabaseBusy`.

A transaction that has begun is finished, even if who asked for it is cancelled meanwhile: SQLite works in a thread that
nothing can interrupt, and a statement cut off in the middle would hold its lock there for a while (seen: seconds).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import URL, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage.ledger.translation import is_busy, translated
from storage.ledger.vocabulary import Vocabulary

BUSY_S = 1.0
PATIENCE = 15
"""Times 1 s: longer than any transaction of ours takes. Each time is short beside what a daemon has to drain."""

KEPT = 5
"""Connections that stay open between transactions. More are opened when more transactions are under way, and closed again."""

PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL may lose committed transactions when the power fails
    "PRAGMA foreign_keys = ON",
)

Answer = TypeVar("Answer")
Work = Callable[[AsyncConnection], Awaitable[Answer]]


@dataclass(slots=True)
class _Asked:
    """Does anybody still want it?"""

    abandoned: bool = False


class Sessions:
    """The door to one SQLite file."""

    def __init__(self, path: str, *, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._engine = _engine_for(path, busy_s)
        self._writer = asyncio.Lock()
        self.words = Vocabulary()

    async def hold(self) -> None:
        """Open the connections that are kept, now: who takes all of this process's file descriptors later takes none of theirs.

        :raises DatabaseUnusable: there are not enough already.
        """
        with translated(self._path):
            async with AsyncExitStack() as stack:
                for _ in range(KEPT):
                    connection = await stack.enter_async_context(self._engine.connect())
                    await connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # opens the log's file too

    async def write(self, work: Work[Answer]) -> Answer:
        """Do this in a transaction that is committed at the end, or has never been."""
        asked = _Asked()
        return await _finished(self._write(work, asked), asked)

    async def read(self, work: Work[Answer]) -> Answer:
        """Do this in a transaction that sees one state of the database throughout."""
        return await _finished(self._read(work), _Asked())

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """As `read`, for answers that come bit by bit."""
        with translated(self._path):
            async with self._engine.connect() as connection:
                await connection.exec_driver_sql("BEGIN")
                yield connection
                await connection.exec_driver_sql("COMMIT")

    async def _read(self, work: Work[Answer]) -> Answer:
        async with self.reading() as connection:
            return await work(connection)

    async def _write(self, work: Work[Answer], asked: _Asked) -> Answer:
        with translated(self._path):
            async with self._writer, self._engine.connect() as connection:
                await self._begin(connection, asked)
                try:
                    answer = await work(connection)
                    await connection.exec_driver_sql("COMMIT")
                except BaseException:  # the pool rolls back what is given back in the middle
                    self.words.forget()
                    raise
                self.words.keep()
                return answer

    async def _begin(self, connection: AsyncConnection, asked: _Asked) -> None:
        for tries_left in range(PATIENCE - 1, -1, -1):
            if asked.abandoned:
                raise asyncio.CancelledError
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


async def _finished(work: Coroutine[Any, Any, Answer], asked: _Asked) -> Answer:
    """Wait for the end of it, and only then be cancelled."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled, asked.abandoned = error, True
    if cancelled is not None:
        raise cancelled from (None if task.cancelled() else task.exception())
    return task.result()


def _engine_for(path: str, busy_s: float) -> AsyncEngine:
    # AUTOCOMMIT: the driver begins nothing by itself, we say BEGIN.
    url = URL.create("sqlite+aiosqlite", database=path)
    waits = {"timeout": busy_s}
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", pool_size=KEPT, connect_args=waits)
    event.listen(engine.sync_engine, "connect", prepare)
    return engine


def prepare(connection: Any, _record: object) -> None:
    """What every connection is set to."""
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
