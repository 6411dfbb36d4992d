"""The ledger's port: everything that rooms and jobs may ask of storage, in verbs. Two adapters: `memory` and `sql`.

Append only: a stored reading is never altered. All of one call happens in one transaction or not at all; when it has
returned, it is on disk. Every method may raise `DatabaseUnusable` or `DatabaseBusy`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from storage.exchanged import Exchanged
from storage.ledger.care_port import CareLedger
from storage.ledger.day_port import DayLedger
from storage.ledger.gap_port import GapLedger
from storage.ledger.order_port import OrderLedger
from storage.ledger.sender_port import SenderLedger
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


class Ledger(DayLedger, CareLedger, GapLedger, SenderLedger, OrderLedger, Protocol):
    """Where readings are kept for good."""

    # --- registry and plans ---
    async def import_registry(self, rows: Sequence[Registered], *, digest: str, at: datetime) -> RegistryChange:
        """Take a registry file's rows, all or nothing; meters not among them stay. `digest` is remembered with it.

        A changed meter keeps its installation's start; a meter at another point ends the old installation at `at`. A start
        that equals `at` was not told: then what the meter read before belongs to its first installation too.

        :raises RegistryRefused: two rows for one meter, one address twice on a channel, one point described in two ways.
        """

    async def registry_digest(self) -> str:
        """Of the last imported file; "" before the first."""

    async def registry(self) -> tuple[Registered, ...]:
        """The installations that are open, by meter."""

    async def installations(self, start: datetime, end: datetime) -> tuple[Registered, ...]:
        """All that stood at any time in [start, end), by meter and start: a meter that was moved has more than one."""

    async def keep_plans(self, plans: Sequence[Plan], *, at: datetime) -> None:
        """Close the versions that are gone or changed, open the new ones; unchanged plans keep their version."""

    async def plan_versions(self, start: datetime, end: datetime) -> tuple[PlanVersion, ...]:
        """Versions valid at any time in [start, end)."""

    # --- acquisition ---
    async def append(self, batch: Batch) -> Receipt:
        """Store a batch: readings by key (the same again is a duplicate, another value is a conflict), the slots they
        fill, missing slots (a slot already filled is not missing; one that is missing is replaced by a newer reason with its
        attempts added; a slot that gets a value is missing no more) and day counters, all in one transaction.

        A value that agrees at the coarser of both resolutions is a duplicate too; the finer one is served from then on.
        Conflicts, and finer values that are not the one judged, wait for a verdict again. Attempts, frames and dead letters
        are logs: what comes twice is kept twice.

        :raises ValueRefused: a value beyond 64 bits of millionths.
        :raises ValueError: a time that is not UTC; a slot of another value than the reading's, or without its day.
        """

    async def filled(self, start: datetime, end: datetime) -> frozenset[Slot]:
        """Slots with `at` in [start, end) that have a value."""

    async def closed(self, start: datetime, end: datetime) -> tuple[Missing, ...]:
        """Missing slots with `at` in [start, end), by meter, quantity and time. On-demand ones (plan "") too."""

    async def day_counts(self, first: date, last: date) -> tuple[DayCount, ...]:
        """Counters of the days first to last, both included."""

    async def conflicts(self) -> tuple[Conflict, ...]:
        """All, oldest first."""

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """All, oldest first."""

    async def exchanged(self, since: datetime, *, most: int) -> tuple[Exchanged, ...]:
        """What meters were asked from `since` on, in the order in which it was stored; of more than `most` the newest."""

    # --- readings ---
    def readings(
        self,
        *,
        meters: Collection[str] = (),
        quantities: Collection[str] = (),
        basis: Basis | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> AsyncGenerator[Judged]:
        """Stored readings as they stand, by meter, quantity, basis, time; [start, end) of their time; empty = all.

        All of one instant, however long it takes; who leaves early closes the iterator (`contextlib.aclosing`).
        """

    # --- vee ---
    async def unjudged(self, *, limit: int) -> tuple[Series, ...]:
        """Series that have readings without a verdict: at most `limit` such readings, whole from the oldest on, each
        series led by the last released value before it (if there is one). Conflicts found after a verdict count as
        without verdict again.
        """

    async def judge(self, revisions: Sequence[Revision]) -> None:
        """Add verdicts, all or none. Repeating the same is no effect, whenever it was made.

        :raises VerdictRefused: if `n` does not follow what is there, or the value was never read.
        """

    async def findings(self, *, start: datetime | None = None) -> tuple[Finding, ...]:
        """Of the latest revisions, by time."""

    # --- hand-over ---
    async def undelivered(
        self, *, limit: int, at: Mapping[str, Collection[datetime]] | None = None
    ) -> tuple[Undelivered, ...]:
        """Released billable values whose present revision billing has not got, by meter, quantity, time, basis; with the
        installation they belong to and the row they correct. A verdict that changes neither value nor quality is
        nothing new. Of points whose billing group is a key of `at`, only values of these instants: their own time, or the
        `at` of the slot they fill (what is never to be handed over must not use up the limit).
        """

    async def promise_delivery(self, rows: Sequence[DeliveryRow], delivery: Delivery) -> None:
        """Number a delivery: rows and manifest in one transaction. Repeating the same has no effect.

        :raises DeliveryRefused: if it does not follow the last one (sequence numbers, prev_sha256), or if a row is not
            what `undelivered` would give now: a value that a conflict or a verdict has changed meanwhile stays here.
        """

    async def delivery_written(self, batch_seq: int) -> None:
        """Its files are on disk."""

    async def deliveries(self) -> tuple[Delivery, ...]:
        """All, by number."""

    async def delivery_rows(self, batch_seq: int) -> tuple[DeliveryRow, ...]:
        """The rows of one, by sequence number."""

    async def close(self) -> None:
        """Let go of files and connections."""
