"""The integers that stand for the names of one batch, and the keys made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from storage.columns import BASIS, to_microseconds
from storage.ledger.vocabulary import Vocabulary
from storage.records import Basis, Slot

Key = tuple[int, int, int, int]
"""Of a reading: meter, quantity, basis, time."""
SlotKey = tuple[int, int, int, int, int]
"""Of a slot: at, plan, meter, quantity, basis."""

_BASIS = BASIS.numbers()


@dataclass(frozen=True, slots=True)
class Numbers:
    """Name → number."""

    meters: dict[str, int]
    quantities: dict[str, int]
    plans: dict[str, int]

    def key(self, meter: str, quantity: str, basis: Basis, time: datetime) -> Key:
        """Of a reading."""
        return self.meters[meter], self.quantities[quantity], _BASIS[basis], to_microseconds(time)

    def slot(self, slot: Slot) -> SlotKey:
        """Of a slot."""
        return (
            to_microseconds(slot.at),
            self.plans[slot.plan],
            self.meters[slot.meter],
            self.quantities[slot.quantity],
            _BASIS[slot.basis],
        )


async def numbers(
    connection: AsyncConnection,
    words: Vocabulary,
    *,
    meters: Iterable[str] = (),
    quantities: Iterable[str] = (),
    plans: Iterable[str] = (),
) -> Numbers:
    """Of these names; the new ones are written down."""
    return Numbers(
        await words.meters.ids(connection, meters),
        await words.quantities.ids(connection, quantities),
        await words.plans.ids(connection, plans),
    )
