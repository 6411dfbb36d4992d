"""What a meter is asked so that it gives back what it kept: question by question, until each slot has its value or a reason.

Pure: slots and a profile in, `Wanted` out, what was read in, and so on. Values as they run are asked for once. Freezes and
settlement copies are looked for by their stamp (`copies`). Of a curve as many records are asked for as are missing in a row;
a meter answers from the time asked on, or from the next record that it has.

Invariant: only a value whose own stamp is that of the slot fills it; numbers and questions prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from collector.acquisition.copies import CopySearch, Found
from collector.acquisition.gaps import NO_FREEZE, NO_RECORD, NO_SETTLEMENT, OVERWRITTEN, memory_of
from protocols.dialect import Wanted
from protocols.profile import Profile, Register
from protocols.telegram import Item
from storage.days import from_local
from storage.records import Basis, Slot

RECORDS_AT_ONCE = 5
"""Of a curve: as many records of voltages or energies as one answer of DL/T 645 holds; what is larger comes in two frames."""
DAY, MONTH = timedelta(days=1), timedelta(days=30)
REFUSED = "refused"
"""The meter answered, and said that it has no such thing."""
FailureOf = Callable[[str], str | None]
"""The reason why questions for a register (by its id) had no answer; None: they had."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Why a slot has no value, as the meter's memory shows. `final`: nor will it ever have one."""

    reason: str
    detail: str
    final: bool


class Recall(Protocol):
    """One memory's questions. Ask, tell, and ask again until nothing is asked."""

    def ask(self) -> Iterable[Wanted]:
        """What to ask next."""

    def told(self, items: Iterable[Item], failure: FailureOf) -> None:
        """What came of what was asked last."""

    def lost(self, slot: Slot) -> Lost | None:
        """Why a slot of this memory has no value, if the memory shows it; None: what was read says it."""


def recalls(slots: Iterable[Slot], profile: Profile, *, zone: ZoneInfo, now: datetime) -> dict[Slot, Recall]:
    """For each slot the memory that holds it; several slots share one. `now`: for the first guess at a number."""
    groups: dict[tuple[Basis, str], list[Slot]] = {}
    registers: dict[tuple[Basis, str], Register | None] = {}
    for slot in slots:
        register = profile.find(slot.quantity, slot.basis)
        key = slot.basis, _memory_id(register)
        groups.setdefault(key, []).append(slot)
        registers[key] = register
    found: dict[Slot, Recall] = {}
    for key, its in groups.items():
        register = registers[key]
        recall: Recall
        if register is None or not key[1]:
            recall = Running(its)
        elif register.basis == "curve":
            recall = Records(its, register, zone=zone)
        else:
            recall = Copies(its, register, profile, zone=zone, now=now)
        found |= dict.fromkeys(its, recall)
    return found


def _memory_id(register: Register | None) -> str:
    """What is looked through together: copies that share a stamp, settlement copies, records of one class."""
    if register is None or memory_of(register) is None:
        return ""
    if register.basis == "freeze":
        return register.time_id or ""
    return register.id if register.basis == "curve" else register.basis


class Running:
    """Values as they run: there is nothing to look for."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._left = tuple(dict.fromkeys(Wanted(slot.quantity, slot.basis) for slot in slots))

    def ask(self) -> Iterable[Wanted]:
        """All, once."""
        left, self._left = self._left, ()
        return left

    def told(self, items: Iterable[Item], failure: FailureOf) -> None:
        """Nothing follows from it."""

    def lost(self, slot: Slot) -> Lost | None:
        """What was read says it."""
        return None


class Copies:
    """Numbered copies: daily freezes with a stamp of their own, settlement copies whose time is reckoned."""

    def __init__(
        self, slots: Sequence[Slot], register: Register, profile: Profile, *, zone: ZoneInfo, now: datetime
    ) -> None:
        self._slots = slots
        self._basis = register.basis
        self._profile = profile
        self._zone = zone
        monthly = register.basis == "settlement"
        self._search = CopySearch(
            {slot.at for slot in slots},
            depth=register.depth,
            guess=lambda at: (_settlements if monthly else _midnights)(at, now, zone),
            apart=MONTH if monthly else DAY,
        )
        self._round: dict[int, dict[str, None]] = {}
        self._asked: set[tuple[int, str]] = set()
        self._stopped = False

    def ask(self) -> Iterable[Wanted]:
        """Of each copy the values that are owed of its day; a copy whose stamp is known is asked for what was not asked yet."""
        self._round = {}
        if self._stopped:
            return
        open_ = self._search.ask()
        for slot in self._slots:
            copy = self._search.copy(slot.at) or open_.get(slot.at)
            if copy is not None and (copy, slot.quantity) not in self._asked:
                self._round.setdefault(copy, {})[slot.quantity] = None
        for copy, quantities in self._round.items():
            self._asked |= {(copy, quantity) for quantity in quantities}
            for quantity in quantities:
                yield Wanted(quantity, self._basis, copy)

    def told(self, items: Iterable[Item], failure: FailureOf) -> None:
        """Stamps; a copy that was refused is not there; after any other failure nothing more is asked."""
        its = [item for item in items if item.basis == self._basis and item.copy is not None]
        for copy, quantities in self._round.items():
            mine = [item for item in its if item.copy == copy]
            stamp = next((item.time for item in mine if item.time is not None), None)
            if stamp is not None:
                self._search.told(copy, from_local(stamp, self._zone))
            elif not mine and all(self._failure(quantity, failure) == REFUSED for quantity in quantities):
                self._search.told(copy, None)
            else:
                self._stopped = True

    def lost(self, slot: Slot) -> Lost | None:
        """As its neighbours show."""
        found = self._search.found(slot.at)
        if found in (Found.HERE, Found.OPEN) or self._search.empty:
            return None
        absent = NO_FREEZE if self._basis == "freeze" else NO_SETTLEMENT
        reason = OVERWRITTEN if found is Found.OVERWRITTEN else absent
        newer, older = self._search.neighbours(slot.at)
        has = " and ".join(f"{at.astimezone(self._zone):%Y-%m-%d %H:%M}" for at in (older, newer) if at is not None)
        owed = f"owed is that of {slot.at.astimezone(self._zone):%Y-%m-%d %H:%M}, the nearest that the meter has: {has}"
        return Lost(reason, owed, found is not Found.NOT_YET)

    def _failure(self, quantity: str, failure: FailureOf) -> str | None:
        register = self._profile.find(quantity, self._basis)
        return failure(register.id) if register is not None else None


def _midnights(at: datetime, now: datetime, zone: ZoneInfo) -> int:
    """The copy of that day, if the meter kept one each midnight: the latest for today's, and so on."""
    return max(1, (now.astimezone(zone).date() - at.astimezone(zone).date()).days + 1)


def _settlements(at: datetime, now: datetime, zone: ZoneInfo) -> int:
    """The copy of that settlement, if there was one a month."""
    then, today = at.astimezone(zone), now.astimezone(zone)
    months = (today.year - then.year) * 12 + today.month - then.month
    return max(1, months + (today.day >= then.day))


class Records:
    """One class of a load curve."""

    def __init__(self, slots: Sequence[Slot], register: Register, *, zone: ZoneInfo) -> None:
        self._slots = slots
        self._id = register.id
        self._zone = zone
        self._step = timedelta(seconds=register.every_s or 1)
        self._open = dict.fromkeys(sorted({slot.at for slot in slots}))
        self._heard: set[datetime] = set()
        self._round: list[tuple[datetime, int, list[datetime]]] = []
        """First, how many records, and the stamps wanted among them."""
        self._found: dict[datetime, Found] = {}
        self._stopped = False

    def ask(self) -> Iterator[Wanted]:
        """The missing ones in rows; where the meter notes finer than expected, what is left begins a new row."""
        self._round = []
        if self._stopped:
            return
        for at in self._open:
            if self._round and at - self._round[-1][0] < RECORDS_AT_ONCE * self._step:
                first, _, wanted = self._round.pop()
                self._round.append((first, (at - first) // self._step + 1, [*wanted, at]))
            else:
                self._round.append((at, 1, [at]))
        for first, count, wanted in self._round:
            since = first.astimezone(self._zone).replace(tzinfo=None, fold=0)
            for quantity in dict.fromkeys(slot.quantity for slot in self._slots if slot.at in wanted):
                yield Wanted(quantity, "curve", since=since, count=count)

    def told(self, items: Iterable[Item], failure: FailureOf) -> None:
        """Each record by its stamp. None where one should stand, and a later one there: it was never made."""
        its = [item for item in items if item.id == self._id and item.basis == "curve"]
        self._heard |= {from_local(item.time, self._zone) for item in its if item.time is not None}
        failed = failure(self._id)
        if failed not in (None, REFUSED) or any(item.time is None for item in its):
            self._stopped = True
            return
        latest = max(self._heard, default=None)
        for first, count, wanted in self._round:
            for at in wanted:
                before = sum(first <= heard < at for heard in self._heard)
                if at in self._heard:
                    self._found[at] = Found.HERE
                elif before < count:  # it would have been among them
                    self._found[at] = Found.NOT_YET if latest is None or latest < at else Found.NEVER
                if at in self._found:
                    del self._open[at]

    def lost(self, slot: Slot) -> Lost | None:
        """None: it is there and its value makes no sense, or there was no answer."""
        found = self._found.get(slot.at)
        if found not in (Found.NEVER, Found.NOT_YET):
            return None
        later = min((heard for heard in self._heard if heard > slot.at), default=None)
        has = (
            f"the next is of {later.astimezone(self._zone):%Y-%m-%d %H:%M}" if later is not None else "nor a later one"
        )
        at = f"{slot.at.astimezone(self._zone):%Y-%m-%d %H:%M}"
        return Lost(NO_RECORD, f"the meter has no record of {at}, {has}", found is Found.NEVER)
