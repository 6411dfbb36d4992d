"""The ledger in SQL: `storage.ledger.port.Ledger` on one SQLite file. Each verb is one transaction; the files beside say how."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import date, datetime

from storage.exchanged import Exchanged
from storage.ledger import appending, counting, delivering, evidence, judging, registry, senders, serving
from storage.ledger.deciding import check_batch
from storage.ledger.sql_care import SqlCare
from storage.ledger.sql_days import SqlDays
from storage.ledger.sql_gaps import SqlGaps
from storage.ledger.sql_orders import SqlOrders
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
from storage.senders import Progress


class SqlLedger(SqlDays, SqlCare, SqlGaps, SqlOrders):
    """See the port for what each verb promises."""

    # --- registry and plans ---

    async def import_registry(self, rows: Sequence[Registered], *, digest: str, at: datetime) -> RegistryChange:
        """Take a registry file's rows."""
        return await self._sessions.write(
            lambda connection: registry.import_registry(connection, rows, digest=digest, at=at)
        )

    async def registry_digest(self) -> str:
        """Of the last imported file."""
        return await self._sessions.read(registry.last_digest)

    async def registry(self) -> tuple[Registered, ...]:
        """The open installations."""
        return await self._sessions.read(registry.registry)

    async def installations(self, start: datetime, end: datetime) -> tuple[Registered, ...]:
        """Those that stood in [start, end)."""
        return await self._sessions.read(lambda connection: registry.installations(connection, start, end))

    async def keep_plans(self, plans: Sequence[Plan], *, at: datetime) -> None:
        """Close and open versions."""
        await self._sessions.write(lambda connection: registry.keep_plans(connection, self._words, plans, at=at))

    async def plan_versions(self, start: datetime, end: datetime) -> tuple[PlanVersion, ...]:
        """Valid in [start, end)."""
        return await self._sessions.read(lambda connection: registry.plan_versions(connection, start, end))

    # --- acquisition ---

    async def append(self, batch: Batch) -> Receipt:
        """Store a batch."""
        check_batch(batch)
        return await self._sessions.write(lambda connection: appending.append(connection, self._words, batch))

    async def filled(self, start: datetime, end: datetime) -> frozenset[Slot]:
        """Slots that have a value."""
        return await self._sessions.read(lambda connection: counting.filled(connection, start, end))

    async def closed(self, start: datetime, end: datetime) -> tuple[Missing, ...]:
        """Slots that are missing."""
        return await self._sessions.read(lambda connection: counting.closed(connection, start, end))

    async def day_counts(self, first: date, last: date) -> tuple[DayCount, ...]:
        """The counters."""
        return await self._sessions.read(lambda connection: counting.day_counts(connection, first, last))

    async def conflicts(self) -> tuple[Conflict, ...]:
        """All of them."""
        return await self._sessions.read(evidence.conflicts)

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """All of them."""
        return await self._sessions.read(evidence.dead_letters)

    async def senders(self) -> tuple[Progress, ...]:
        """Those that number their messages."""
        return await self._sessions.read(senders.senders)

    async def exchanged(self, since: datetime, *, most: int) -> tuple[Exchanged, ...]:
        """What was asked lately."""
        return await self._sessions.read(lambda connection: evidence.exchanged(connection, since, most=most))

    # --- readings ---

    async def readings(
        self,
        *,
        meters: Collection[str] = (),
        quantities: Collection[str] = (),
        basis: Basis | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> AsyncGenerator[Judged]:
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
        return await self._sessions.read(lambda connection: judging.unjudged(connection, limit=limit))

    async def judge(self, revisions: Sequence[Revision]) -> None:
        """Add verdicts."""
        await self._sessions.write(lambda connection: judging.judge(connection, self._words, revisions))

    async def findings(self, *, start: datetime | None = None) -> tuple[Finding, ...]:
        """Of the latest revisions."""
        return await self._sessions.read(lambda connection: judging.findings(connection, start=start))

    # --- hand-over ---

    async def undelivered(
        self, *, limit: int, at: Mapping[str, Collection[datetime]] | None = None
    ) -> tuple[Undelivered, ...]:
        """What billing has not got."""
        return await self._sessions.read(
            lambda connection: delivering.undelivered(connection, limit=limit, at=at or {})
        )

    async def promise_delivery(self, rows: Sequence[DeliveryRow], delivery: Delivery) -> None:
        """Number a delivery."""
        await self._sessions.write(lambda connection: delivering.promise(connection, self._words, rows, delivery))

    async def delivery_written(self, batch_seq: int) -> None:
        """Its files are on disk."""
        await self._sessions.write(lambda connection: delivering.written(connection, batch_seq))

    async def deliveries(self) -> tuple[Delivery, ...]:
        """All of them."""
        return await self._sessions.read(delivering.deliveries)

    async def delivery_rows(self, batch_seq: int) -> tuple[DeliveryRow, ...]:
        """The rows of one."""
        return await self._sessions.read(lambda connection: delivering.delivery_rows(connection, batch_seq))

    async def close(self) -> None:
        """Close all connections."""
        await self._sessions.close()
