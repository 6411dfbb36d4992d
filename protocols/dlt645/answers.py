"""What the answers of one visit say, by a profile or by the standard's table.

Never raises for what a meter says, and never gives a number for bytes of another length than the picture's. A value that
the meter kept gets the stamp that was read with it; without a stamp that stood still it is an item with a reason:
`no_time_stamp` (not read both before and after), `freeze_moved` (a new freeze was made meanwhile: ask again),
`impossible_time` (no instant at all), `ambiguous_settlement` (the settlement days leave open when a copy was made).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from protocols.dialect import Exchange
from protocols.dlt645 import identifiers, load_records, pictures, settlements
from protocols.dlt645.address import from_wire
from protocols.dlt645.controls import READ_ADDRESS
from protocols.dlt645.identifiers import copy_of
from protocols.profile import Profile, Register
from protocols.telegram import Item

ADDRESS = "address"
"""The id of the item that a read-address answer gives."""


def by_table(exchanges: Sequence[Exchange]) -> tuple[Item, ...]:
    """All that the answers say, as the standard has it."""
    found: list[Item] = []
    for exchange in exchanges:
        payload = _whole(exchange)
        if payload is None:
            found.append(Item(exchange.request.target, reason="wrong_length"))
        elif exchange.request.function == READ_ADDRESS:
            found.append(Item(ADDRESS, payload, value=from_wire(payload)))
        elif load_records.RECORD.fullmatch(exchange.request.target):
            found += load_records.items(exchange.request.target, payload)
        else:
            found += identifiers.items(exchange.request.target, payload)
    return tuple(found)


def by_profile(profile: Profile, exchanges: Sequence[Exchange]) -> tuple[Item, ...]:
    """The profile's registers that were asked for, in the order of the answers."""
    found: list[Item] = []
    stamps = _Stamps(profile, exchanges)
    settled = _Settled(exchanges)
    for exchange in exchanges:
        request, payload = exchange.request, _whole(exchange)
        if profile.identity is not None and request.target == profile.identity.id:
            found.append(_read(Item(profile.identity.id), profile.identity.type, payload))
        for register in profile.registers:
            back = copy_number(register.id, request.target, register.depth)
            if back is None or not {register.id, register.quantity} <= set(request.ids):
                continue
            if register.basis == "curve":
                found += _curve(register, payload)
                continue
            item = _value(profile, register, payload)
            if register.time_id:
                item = replace(stamps.onto(item, copy_of(register.time_id, back)), copy=back)
            elif register.basis == "settlement":
                item = replace(settled.onto(item, back), copy=back)
            found.append(item)
    return tuple(found)


def copy_number(pattern: str, target: str, depth: int) -> int | None:
    """Which copy of `050601nn` the identifier `05060103` is: 3; 1 where there are no copies; None if it is another's."""
    head, copies, tail = pattern.partition("nn")
    if not copies:
        return 1 if pattern == target else None
    number = target[len(head) : len(head) + 2]
    if target != head + number + tail or not 1 <= int(number, 16) <= depth:
        return None
    return int(number, 16)


def _whole(exchange: Exchange) -> bytes | None:
    """The data of all frames of one answer; None while the meter still owes some."""
    if not exchange.telegrams or exchange.telegrams[-1].more:
        return None
    return b"".join(part.payload for part in exchange.telegrams)


def _item(register: Register) -> Item:
    unit = register.unit if register.scale == 1 else None
    return Item(register.id, unit=unit, quantity=register.quantity, basis=register.basis)


def _curve(register: Register, payload: bytes | None) -> Iterator[Item]:
    """One value of each record, with the record's stamp."""
    item = _item(register)
    number = int(register.id[2:4])
    for record in load_records.records(payload or b""):
        if record is None:
            yield replace(item, raw=payload or b"", reason="wrong_length")
            return
        value = record.field(number, register.position)
        if record.time is None:
            yield replace(item, raw=payload or b"", reason="impossible_time")
        elif value is None or not value.strip(b"\xff"):
            yield replace(item, raw=value or b"", time=record.time, reason="invalid_value")
        else:
            yield replace(_read(item, register.type, value), time=record.time)


def _value(profile: Profile, register: Register, payload: bytes | None) -> Item:
    item = _item(register)
    if payload is not None and _is_block(profile, register):
        size = pictures.parse(register.type).length
        start = register.position * size
        # A block with a broken value at its end is a block of another picture than the profile's.
        payload = payload[start : start + size] if len(payload) % size == 0 else None
    item = _read(item, register.type, payload)
    if item.raw and item.raw.hex() in (pattern.lower().replace(" ", "") for pattern in register.invalid):
        return replace(item, value=None, reason="invalid_value")
    return item


def _is_block(profile: Profile, register: Register) -> bool:
    meaning = identifiers.find(copy_of(register.id, 1))
    return bool(meaning and meaning.parts) or any(
        other.position for other in profile.registers if other.id == register.id
    )


def _read(item: Item, picture: str, payload: bytes | None) -> Item:
    if payload is None:
        return replace(item, reason="wrong_length")
    how = pictures.parse(picture)
    read = pictures.read(how, payload)
    if how.stamped and read.time is None and not read.reason:
        return replace(item, raw=payload, reason="impossible_time")
    return replace(item, raw=payload, value=read.value, time=read.time, reason=read.reason)


class _Settled:
    """The times of settlement copies, reckoned from what was read around them."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        told: dict[str, list[bytes | None]] = {}
        for exchange in exchanges:
            if exchange.request.target in settlements.BEFORE:
                told.setdefault(exchange.request.target, []).append(_whole(exchange))
        days = [told.get(target, [None])[0] for target in settlements.DAYS]
        dates, times = (told.get(target, []) for target in settlements.AFTER)
        clocks = [settlements.clock(date, time) for date, time in zip(dates, times, strict=False)]
        before, after = (clocks[0], clocks[-1]) if len(clocks) > 1 else (None, None)
        self._made = settlements.instants(days, before, after)

    def onto(self, item: Item, back: int) -> Item:
        """The value of a copy with its time, or without a value why not."""
        if item.reason:
            return item
        if isinstance(self._made, str):
            return replace(item, value=None, reason=self._made)
        return replace(item, time=self._made[back - 1])


class _Stamps:
    """The stamps that were read, each before and after the values that it belongs to."""

    def __init__(self, profile: Profile, exchanges: Sequence[Exchange]) -> None:
        self._told: dict[str, list[datetime | None]] = {}
        wanted = {(register.time_id, register.depth) for register in profile.registers if register.time_id}
        for exchange in exchanges:
            target, payload = exchange.request.target, _whole(exchange)
            if payload is not None and any(copy_number(id_, target, depth) for id_, depth in wanted):
                meaning = identifiers.find(target)
                time = pictures.read(meaning.picture, payload).time if meaning is not None else None
                self._told.setdefault(target, []).append(time)

    def onto(self, item: Item, target: str) -> Item:
        """The value with its stamp, or without a value why not."""
        told = self._told.get(target, [])
        if item.reason:
            return item
        if len(told) < 2:
            return replace(item, value=None, reason="no_time_stamp")
        if len(set(told)) > 1:
            return replace(item, value=None, reason="freeze_moved")
        if told[0] is None:
            return replace(item, value=None, reason="impossible_time")
        return replace(item, time=told[0])
