"""The one translator between two vocabularies: the wire's items in, the ledger's readings out (DESIGN §2).

Pure: one function of its arguments. It believes the profile about scale, resolution and what may be billed, and nobody about
what it does not say: an item that no register of the profile claims is rejected, never guessed. Multipliers of
transformers are not its business, and neither is whether a value makes sense (vee).

Invariant: each item ends as one reading or one reject, or is one of the profile's own helpers (identity, time stamp).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from collector.normalise.exact import fine_enough, to_canonical
from collector.normalise.slots import SlotChooser, no_slot
from protocols.catalogue import Kind
from protocols.profile import Profile, Register
from protocols.telegram import Item
from storage.days import data_day, from_local
from storage.errors import ValueRefused
from storage.records import Basis, Reading, Source
from storage.registry import Meter

AHEAD = timedelta(days=1)
"""A stamp further ahead of us than this is no clock that runs fast, it is nonsense: no value may hide in the future."""
_COPY = "nn"
"""In the id of a profile's register it stands for the number of the copy (DL/T 645 appendix A)."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that becomes no reading. `reason` is a code (DESIGN §7), `detail` its parameters."""

    id: str
    quantity: str | None
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Translation:
    """What one answer or message gave."""

    readings: tuple[Reading, ...]
    rejects: tuple[Rejected, ...]


def translate(
    items: Iterable[Item],
    *,
    profile: Profile,
    meter: Meter,
    zone: tzinfo,
    source: Source,
    received_at: datetime,
    choose_slot: SlotChooser = no_slot,
) -> Translation:
    """Readings of one meter's answer. `received_at` is the instant the answer arrived, `zone` that of the meter's clock."""
    readings: list[Reading] = []
    rejects: list[Rejected] = []
    for item in items:
        register = _register(profile, item)
        if register is None:
            if item.id not in _helpers(profile):
                rejects.append(Rejected(item.id, item.quantity, item.reason or "unknown"))
            continue
        made = _reading(item, register, meter=meter, zone=zone, source=source, received_at=received_at)
        if isinstance(made, Rejected):
            rejects.append(made)
        else:
            readings.append(_into_slot(made, choose_slot, zone))
    return Translation(tuple(readings), tuple(rejects))


def _helpers(profile: Profile) -> Iterator[str]:
    if profile.identity is not None:
        yield profile.identity.id
    yield from (register.time_id for register in profile.registers if register.time_id)


def _register(profile: Profile, item: Item) -> Register | None:
    """The one register that claims the item by its id, and by quantity and basis where the item says them."""
    if item.quantity is not None and item.basis is not None:
        whole = profile.by_place.get((item.id, item.quantity, item.basis))
        if whole is not None:
            return whole
    claims = [
        register
        for register in profile.registers
        if _same_id(register.id, item.id)
        and item.quantity in (None, register.quantity)
        and item.basis in (None, register.basis)
    ]
    exact = [register for register in claims if register.id == item.id]
    claims = exact or claims
    if len(claims) > 1 and item.basis is None:
        # The same place on the wire serves an instant value and another basis; unsaid means instant (DESIGN §8).
        claims = [register for register in claims if register.basis == "instant"]
    if not claims and item.quantity is not None:
        # What no register lists, the profile may offer by its name: any quantity under `values` of a JSON message.
        offered = profile.find(item.quantity, item.basis or "instant")
        return offered if offered is not None and offered.id == item.id else None
    return claims[0] if len(claims) == 1 else None


def _same_id(pattern: str, written: str) -> bool:
    if pattern == written:
        return True
    head, copy, tail = pattern.partition(_COPY)
    return bool(copy) and re.fullmatch(f"{re.escape(head)}[0-9A-Fa-f]{{2}}{re.escape(tail)}", written) is not None


def _reading(
    item: Item, register: Register, *, meter: Meter, zone: tzinfo, source: Source, received_at: datetime
) -> Reading | Rejected:
    def rejected(reason: str, detail: str = "") -> Rejected:
        return Rejected(item.id, register.quantity, reason, detail)

    if item.reason:
        return rejected(item.reason, item.raw.hex(" "))
    if not isinstance(item.value, Decimal):
        return rejected("invalid_value", repr(item.value))
    basis = Basis(register.basis)
    if item.time is None and basis is not Basis.INSTANT:
        return rejected("no_time_stamp", "a value that the meter kept is known by its own time stamp alone")
    time = received_at if item.time is None else from_local(item.time, zone)
    if time - received_at > AHEAD:
        return rejected("impossible_time", f"stamped {time.isoformat()}, received {received_at.isoformat()}")
    try:
        value, resolution = to_canonical(item.value, scale=register.scale, resolution=register.resolution)
    except ValueRefused as error:
        return rejected("invalid_value", str(error))
    return Reading(
        meter=meter.meter,
        quantity=register.quantity,
        basis=basis,
        time=time,
        value=value,
        resolution=resolution,
        source=source,
        received_at=received_at,
        billable=_billable(item, register),
    )


def _billable(item: Item, register: Register) -> bool:
    """Only where the profile says so, only of a register that cannot fall, and only as fine as the register is."""
    if not register.billable or register.kind is not Kind.REGISTER:
        return False
    return item.step is None or fine_enough(item.step, scale=register.scale, resolution=register.resolution)


def _into_slot(reading: Reading, choose_slot: SlotChooser, zone: tzinfo) -> Reading:
    slot = choose_slot(reading.quantity, reading.basis, reading.time)
    if slot is None:
        return reading
    return replace(reading, slot=slot, data_day=data_day(slot.at, slot.basis, zone))
