"""Hand verified readings over to billing: exactly once in effect.

A delivery is first promised in the ledger (rows, numbers and checksum in one transaction), then written, then noted as written.
Whatever crash comes between two steps, the next run writes what was promised again, byte for byte, before it promises
anything new: no number is ever left out or used twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import tzinfo

from collector.billing.groups import ReadingDay, released_instants
from collector.billing.select import rows_for
from collector.clock import Clock
from collector.errors import WorkFailed
from collector.outlets.batch import check, compose, number_rows
from collector.outlets.files import DeliveryDirectory, Step, unseen
from protocols.profile import Profile
from storage.errors import DeliveryRefused
from storage.ledger.port import Ledger
from storage.records import Delivery

MOST_ROWS = 100_000
"""In one delivery: some 30 MB, what a billing system loads in one go."""
HELD_BY_ANOTHER_S = 30
TRIES = 5


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What one run did. `again`: promised before, written now. `new`: promised and written now."""

    again: tuple[Delivery, ...] = ()
    new: tuple[Delivery, ...] = ()

    @property
    def nothing(self) -> bool:
        """Billing had everything already."""
        return not self.again and not self.new


@dataclass(frozen=True)
class Deliverer:
    """The job with what it needs. `groups`: those that the configuration names; what no group holds back goes at once."""

    ledger: Ledger
    directory: DeliveryDirectory
    clock: Clock
    zone: tzinfo
    profiles: Mapping[str, Profile]
    groups: Sequence[ReadingDay] = ()
    most_rows: int = MOST_ROWS
    step: Step = field(default=unseen)

    async def run(self) -> HandedOver:
        """Write what was promised, then promise and write all that is new.

        :raises DeliveryRefused: a file there is not ours, or the ledger contradicts itself.
        :raises WorkFailed: the directory cannot be written, or another process holds it for too long.
        """
        async with self._held():
            deliveries = await self.ledger.deliveries()
            again = [one for one in deliveries if not one.written]
            for delivery in again:
                await self._write(delivery)
            last = deliveries[-1] if deliveries else None
            new: list[Delivery] = []
            while (following := await self._promise_next(last)) is not None:
                await self._write(following)
                new.append(following)
                last = following
        return HandedOver(*(tuple(replace(one, written=True) for one in done) for done in (again, new)))

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(HELD_BY_ANOTHER_S):
                while (lock := await asyncio.to_thread(self.directory.try_hold)) is None:  # noqa: ASYNC110 - a file lock sends no event
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise WorkFailed(f"{self.directory.path}: another process is handing over there and does not end") from None
        with lock:
            yield

    async def _promise_next(self, last: Delivery | None) -> Delivery | None:
        """Promise the next delivery; None if there is nothing new."""
        await asyncio.to_thread(self.directory.refuse_taken, 1 if last is None else last.batch_seq + 1)
        for attempt in range(1, TRIES + 1):
            now = self.clock.now()
            released = released_instants(self.groups, now=now, zone=self.zone)
            values = await self.ledger.undelivered(limit=self.most_rows, at=released)
            if not values:
                return None
            rows = number_rows(rows_for(values, self.profiles), 1 if last is None else last.to_seq + 1)
            delivery = await asyncio.to_thread(compose, rows, after=last, created_at=now.replace(microsecond=0))
            self.step("before promise")
            try:
                await self.ledger.promise_delivery(rows, delivery)
            except DeliveryRefused:
                # A verdict may have changed between reading and promising: then look again; if it is something else, say so.
                if attempt == TRIES:
                    raise
            else:
                self.step("promised")
                return delivery
        return None

    async def _write(self, delivery: Delivery) -> None:
        rows = await self.ledger.delivery_rows(delivery.batch_seq)
        data, manifest = await asyncio.to_thread(check, delivery, rows)
        await asyncio.to_thread(self.directory.write, delivery.batch_seq, data, manifest)
        self.step("before written")
        await self.ledger.delivery_written(delivery.batch_seq)
        self.step("written")
