"""What one key has, while a batch is being stored: decides what each arrival is, and remembers what is to be written. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from storage.ledger.deciding import Arrival, compare
from storage.records import Reading


@dataclass(slots=True)
class Shelf:
    """One key. Values are (value, resolution)."""

    number: int | None
    """Of the stored reading; None: this batch brings it."""
    first: tuple[int, int]
    served: tuple[int, int]
    kept: set[tuple[int, int]]
    others: set[int]
    has_slot: bool
    own_value: bool = False
    """A verdict put a value of its own in the reading's place."""

    new: Reading | None = None
    """The reading, if this batch brings it."""
    slot_from: Reading | None = None
    """Whose slot the stored reading fills."""
    restated: list[Reading] = field(default_factory=list)
    conflicts: list[tuple[int, Reading, int]] = field(default_factory=list)
    """Others: place in the batch, reading, the value it contradicts."""
    to_be_judged: bool = False

    @classmethod
    def holding(cls, reading: Reading) -> Shelf:
        """A key that was not there before."""
        value = reading.value, reading.resolution
        return cls(None, value, value, {value}, set(), has_slot=reading.slot is not None, new=reading)

    def take(self, place: int, reading: Reading, *, fills: bool) -> Arrival:
        """Another reading of the same key, the batch's n-th."""
        if fills and not self.has_slot:
            self.has_slot = True
            if self.new is not None:
                self.new = replace(self.new, slot=reading.slot, data_day=reading.data_day)
            else:
                self.slot_from = reading
        arrival = compare(reading, served=self.served, kept=self.kept, others=self.others)
        if arrival is Arrival.RESTATED:
            self.kept.add((reading.value, reading.resolution))
            self.restated.append(reading)
            if reading.resolution < self.served[1]:
                if reading.value != self.served[0] and not self.own_value:
                    self.to_be_judged = True
                self.served = reading.value, reading.resolution
        elif arrival is Arrival.OTHER:
            self.others.add(reading.value)
            self.conflicts.append((place, reading, self.served[0]))
            self.to_be_judged = True
        return arrival

    @property
    def finest(self) -> Reading | None:
        """The restatement of this batch that is served from now on."""
        return next((one for one in self.restated if (one.value, one.resolution) == self.served), None)
