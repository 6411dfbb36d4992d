"""The simplest ledger that could be right: plain lists, everything computed anew, nothing shared with the real ones."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

from storage.records import RELEASED, Batch, Missing, Plan, Quality, Reading, Receipt, Slot
from storage.registry import Registered

Key = tuple[Any, ...]


def agree(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """(value, resolution): does the finer, cut off or rounded to the coarser's step, give the coarser?"""
    (fine, step), (coarse, wide) = sorted((one, other), key=lambda pair: pair[1])
    if step == wide:
        return fine == coarse
    rounded = (
        (Decimal(fine) / wide).quantize(Decimal(1), mode) for mode in (ROUND_DOWN, ROUND_HALF_UP, ROUND_HALF_DOWN)
    )
    return Decimal(coarse) / wide in rounded


@dataclass
class Kept:
    """All that came for one key, and what was said of it."""

    came: list[Reading]
    agreeing: list[Reading]
    others: list[int] = field(default_factory=list)
    slot: Slot | None = None
    verdicts: list[Quality] = field(default_factory=list)
    judged: bool = False
    delivered: tuple[int, Quality] | None = None

    @property
    def best(self) -> Reading:
        return min(self.agreeing, key=lambda one: one.resolution)

    @property
    def quality(self) -> Quality:
        if self.judged:
            return self.verdicts[-1]
        return Quality.SUSPECT if self.others else Quality.RAW


@dataclass
class SlotState:
    """Filled, or missing with its reason; counted in this day and group."""

    day: date | None
    group: tuple[str, ...]
    missing: Missing | None
    first_round: bool = False


class Model:
    """What a ledger must answer."""

    def __init__(self) -> None:
        self.kept: dict[Key, Kept] = {}
        self.slots: dict[Slot, SlotState] = {}
        self.conflicts: list[tuple[Key, int]] = []
        self.registry: dict[str, Registered] = {}
        self.plans: list[tuple[Plan, datetime, datetime | None]] = []
        self.delivered = 0

    def append(self, batch: Batch) -> Receipt:
        stored = conflicts = filled = 0
        for reading in batch.readings:
            fills = self._fill(reading.slot, reading.data_day, late=reading.slot in batch.late)
            filled += fills
            key = (reading.meter, reading.quantity, reading.basis, reading.time)
            kept = self.kept.get(key)
            if kept is None:
                stored += 1
                self.kept[key] = Kept([reading], [reading], slot=reading.slot if fills else None)
                continue
            if fills and kept.slot is None:
                kept.slot = reading.slot
            conflicts += self._compare(key, kept, reading)
        filled += sum(self._fill(one.slot, one.data_day, late=one.slot in batch.late) for one in batch.done)
        for missing in batch.missing:
            self._miss(missing)
        return Receipt(stored, len(batch.readings) - stored - conflicts, conflicts, filled)

    def _compare(self, key: Key, kept: Kept, reading: Reading) -> bool:
        value = reading.value, reading.resolution
        if reading.value in kept.others or value in [(one.value, one.resolution) for one in kept.agreeing]:
            return False
        before = kept.best
        if agree(value, (before.value, before.resolution)):
            kept.agreeing.append(reading)
            if kept.best.value != before.value:
                kept.judged = False
            return False
        kept.others.append(reading.value)
        kept.judged = False
        self.conflicts.append((key, reading.value))
        return True

    def _fill(self, slot: Slot | None, day: date | None, *, late: bool) -> bool:
        if slot is None:
            return False
        state = self.slots.get(slot)
        if state is None:
            self.slots[slot] = SlotState(day, self._group(slot.meter), None, first_round=not late)
        elif state.missing is None:
            return False
        state = self.slots[slot]
        state.missing = None
        return True

    def _miss(self, missing: Missing) -> None:
        state = self.slots.get(missing.slot)
        if state is None:
            self.slots[missing.slot] = SlotState(missing.data_day, self._group(missing.slot.meter), missing)
        elif state.missing is not None:
            old = state.missing
            state.missing = replace(
                missing, attempts=old.attempts + missing.attempts, since=old.since, data_day=old.data_day
            )

    def _group(self, meter: str) -> tuple[str, ...]:
        known = self.registry.get(meter)
        if known is None:
            return ("",) * 6
        device, point = known.meter, known.point
        return device.channel, device.terminal, point.area, point.station, point.class_, device.profile

    def counts(self) -> Counter[tuple[Any, ...]]:
        """(day, plan, group, reason) → slots."""
        return Counter(
            (state.day, slot.plan, state.group, state.missing.reason if state.missing else "")
            for slot, state in self.slots.items()
            if slot.plan
        )

    def first_rounds(self) -> Counter[tuple[Any, ...]]:
        return Counter(
            (state.day, slot.plan, state.group, "")
            for slot, state in self.slots.items()
            if slot.plan and state.first_round and not state.missing
        )

    def waiting(self) -> list[Key]:
        return sorted(key for key, kept in self.kept.items() if not kept.judged and key[0] in self.registry)

    def due(self) -> list[Key]:
        return sorted(
            key
            for key, kept in self.kept.items()
            if kept.judged
            and kept.quality in RELEASED
            and kept.best.billable
            and kept.delivered != (kept.best.value, kept.quality)
        )

    def judge(self, choose: Callable[[Key], Quality]) -> None:
        for key in self.waiting():
            kept = self.kept[key]
            kept.verdicts.append(choose(key))
            kept.judged = not (kept.others and kept.verdicts[-1] is Quality.VERIFIED)

    def keep_plans(self, plans: list[Plan], at: datetime) -> None:
        for place, (plan, since, until) in enumerate(self.plans):
            if until is None and plan not in plans:
                self.plans[place] = plan, since, at
        still = [plan for plan, _, until in self.plans if until is None]
        self.plans += [(plan, at, None) for plan in plans if plan not in still]
