"""The ledger in SQL: `storage.ledger.port.Ledger` on one SQLite file. Each verb is one transaction; the files beside say how."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import date, datetime

from storage.ledger import appending, counting, delivering, evidence, judging, registry, serving
from storage.ledger.deciding import check_batch
from storage.ledger.sessions import Sessions
from storage.records import (
    Basis,
    Batch,
    Conflict,
    DayCount,
    DeadLetter,
    Delivery,
    DeliveryRow,
    Finding,
    Judged,
    Missing,
    Plan,
    PlanVersion,
    Receipt,
    Revision,
    Series,
    Slot,
    Undelivered,
)
from storage.registry import Registered, RegistryChange


class SqlLedger:
    """See the port for what each verb promises."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._words = sessions.words

    # --- registry and plans ---

    async def import_registry(self, rows: Sequence[Registered], *, digest: str, at: datetime) -> RegistryChange:
        """Take a registry file's rows."""
        async with self._sessions.writing() as connection:
            return await registry.import_registry(connection, rows, digest=digest, at=at)

    async def registry_digest(self) -> str:
        """Of the last imported file."""
        async with self._sessions.reading() as connection:
            return await registry.last_digest(connection)

    async def registry(self) -> tuple[Registered, ...]:
        """The open installations."""
        async with self._sessions.reading() as connection:
            return await registry.registry(connection)

    async def keep_plans(self, plans: Sequence[Plan], *, at: datetime) -> None:
        """Close and open versions."""
        async with self._sessions.writing() as connection:
            await registry.keep_plans(connection, self._words, plans, at=at)

    async def plan_versions(self, start: datetime, end: datetime) -> tuple[PlanVersion, ...]:
        """Valid in [start, end)."""
        async with self._sessions.reading() as connection:
            return await registry.plan_versions(connection, start, end)

    # --- acquisition ---

    async def append(self, batch: Batch) -> Receipt:
        """Store a batch."""
        check_batch(batch)
        async with self._sessions.writing() as connection:
            return await appending.append(connection, self._words, batch)

    async def filled(self, start: datetime, end: datetime) -> frozenset[Slot]:
        """Slots that have a value."""
        async with self._sessions.reading() as connection:
            return await counting.filled(connection, start, end)

    async def closed(self, start: datetime, end: datetime) -> tuple[Missing, ...]:
        """Slots that are missing."""
        async with self._sessions.reading() as connection:
            return await counting.closed(connection, start, end)

    async def day_counts(self, first: date, last: date) -> tuple[DayCount, ...]:
        """The counters."""
        async with self._sessions.reading() as connection:
            return await counting.day_counts(connection, first, last)

    async def conflicts(self) -> tuple[Conflict, ...]:
        """All of them."""
        async with self._sessions.reading() as connection:
            return await evidence.conflicts(connection)

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """All of them."""
        async with self._sessions.reading() as connection:
            return await evidence.dead_letters(connection)

    # --- readings ---

    async def readings(
        self,
        *,
        meters: Collection[str] = (),
        quantities: Collection[str] = (),
        basis: Basis | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> AsyncIterator[Judged]:
        """As they stand, all of one instant. Who leaves early closes the iterator (`contextlib.aclosing`)."""
        async with self._sessions.reading() as connection:
            found = serving.readings(
                connection, meters=meters, quantities=quantities, basis=basis, start=start, end=end
            )
            async with aclosing(found):
                async for judged in found:
                    yield judged

    # --- vee ---

    async def unjudged(self, *, limit: int) -> tuple[Series, ...]:
        """What waits for a verdict."""
        async with self._sessions.reading() as connection:
            return await judging.unjudged(connection, limit=limit)

    async def judge(self, revisions: Sequence[Revision]) -> None:
        """Add verdicts."""
        async with self._sessions.writing() as connection:
            await judging.judge(connection, self._words, revisions)

    async def findings(self, *, start: datetime | None = None) -> tuple[Finding, ...]:
        """Of the latest revisions."""
        async with self._sessions.reading() as connection:
            return await judging.findings(connection, start=start)

    # --- hand-over ---

    async def undelivered(
        self, *, limit: int, at: Mapping[str, Collection[datetime]] | None = None
    ) -> tuple[Undelivered, ...]:
        """What billing has not got."""
        async with self._sessions.reading() as connection:
            return await delivering.undelivered(connection, limit=limit, at=at or {})

    async def promise_delivery(self, rows: Sequence[DeliveryRow], delivery: Delivery) -> None:
        """Number a delivery."""
        async with self._sessions.writing() as connection:
            await delivering.promise(connection, self._words, rows, delivery)

    async def delivery_written(self, batch_seq: int) -> None:
        """Its files are on disk."""
        async with self._sessions.writing() as connection:
            await delivering.written(connection, batch_seq)

    async def deliveries(self) -> tuple[Delivery, ...]:
        """All of them."""
        async with self._sessions.reading() as connection:
            return await delivering.deliveries(connection)

    async def delivery_rows(self, batch_seq: int) -> tuple[DeliveryRow, ...]:
        """The rows of one."""
        async with self._sessions.reading() as connection:
            return await delivering.delivery_rows(connection, batch_seq)

    async def close(self) -> None:
        """Close all connections."""
        await self._sessions.close()
