"""Which owed slot a reading fills.

A value that the meter kept itself (freeze, settlement, curve) is known by its own stamp: it fills the slot of exactly that
instant, however late or early it is read. A value as the register runs belongs to the latest slot that had begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from storage.records import Basis, Slot

SlotChooser = Callable[[str, Basis, datetime], Slot | None]
"""(quantity, basis, time of the reading) → the slot it fills, None for none."""


def no_slot(quantity: str, basis: Basis, time: datetime) -> Slot | None:
    """Nothing is owed: on demand, by hand."""
    return None


def among(slots: Iterable[Slot]) -> SlotChooser:
    """Choose among slots of one meter. If two plans owe the same value, the first by name gets it."""
    owed: dict[tuple[str, Basis], list[Slot]] = {}
    for slot in sorted(slots, key=lambda slot: (slot.at, slot.plan)):
        owed.setdefault((slot.quantity, slot.basis), []).append(slot)

    def choose(quantity: str, basis: Basis, time: datetime) -> Slot | None:
        candidates = owed.get((quantity, basis), [])
        if basis is not Basis.INSTANT:
            return next((slot for slot in candidates if slot.at == time), None)
        begun = [slot for slot in candidates if slot.at <= time]
        return next((slot for slot in begun if slot.at == begun[-1].at), None)

    return choose
