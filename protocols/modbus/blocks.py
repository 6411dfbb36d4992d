"""Which registers are read together, and what the words of an answer say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from protocols.dialect import Exchange, Wanted
from protocols.errors import ProfileError
from protocols.modbus.coding import coding, in_order
from protocols.profile import Modbus, Profile, Register
from protocols.telegram import Item, Request

LAST_ADDRESS = 0xFFFF
MOST_KEPT = 256
"""Lists of wanted values whose blocks are kept, by profile; plans make a handful."""


@dataclass(frozen=True, slots=True, order=True)
class _Span:
    """Where one value lies: wire addresses first ≤ a < end."""

    function: int
    first: int
    end: int
    id: str


def plan_blocks(profile: Profile, address: str, wanted: Sequence[Wanted]) -> tuple[Request, ...]:
    """The fewest requests that hold all wanted values whole, within the profile's limit and gap.

    :raises ProfileError: for a register whose id, type or width cannot be read.
    """
    return tuple(
        Request(address, block.function, block.target, block.count, block.ids)
        for block in _blocks(profile, tuple(wanted))
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """A request without its address."""

    function: int
    target: str
    count: int
    ids: tuple[str, ...]


def _blocks(profile: Profile, wanted: tuple[Wanted, ...]) -> tuple[_Block, ...]:
    """The same for every meter of a model, and asked for at every visit: kept."""
    kept: tuple[_Block, ...] | None = profile.computed.get(wanted)
    if kept is not None:
        return kept
    found = (profile.find(one.quantity, one.basis) for one in wanted)
    spans = sorted({_register_span(profile, register) for register in found if register})
    blocks = tuple(
        _Block(block[0].function, str(block[0].first), _end(block) - block[0].first, _ids(block))
        for block in _coalesce(spans, _modbus(profile))
    )
    if len(profile.computed) >= MOST_KEPT:
        profile.computed.clear()
    profile.computed[wanted] = blocks
    return blocks


def identity_block(profile: Profile, address: str) -> Request | None:
    """The request for the register that says which meter this is; None where the profile names none."""
    identity = profile.identity
    if identity is None:
        return None
    span = _span(profile, identity.id, identity.type, identity.function)
    return Request(address, span.function, str(span.first), span.end - span.first, (identity.id,))


def read_blocks(profile: Profile, exchanges: Sequence[Exchange]) -> Iterator[Item]:
    """One item for each of the profile's values (its identity included) that the answers hold."""
    modbus = _modbus(profile)
    for exchange in exchanges:
        request = exchange.request
        start, data = int(request.target), b"".join(telegram.payload for telegram in exchange.telegrams)
        for register in profile.registers:
            if register.id in request.ids and (register.function or modbus.function) == request.function:
                yield _read(register, data, 2 * (int(register.id) - start), modbus.word_order)
        identity = profile.identity
        if (
            identity is not None
            and identity.id in request.ids
            and (identity.function or modbus.function) == request.function
        ):
            yield _item(identity.id, identity.type, data, 2 * (int(identity.id) - start), modbus.word_order)


def read_words(start: int, data: bytes) -> tuple[Item, ...]:
    """Each register as the unsigned number it is, where no profile says more."""
    return tuple(_item(str(start + place // 2), "uint16", data, place, "ABCD") for place in range(0, len(data) - 1, 2))


def _read(register: Register, data: bytes, offset: int, word_order: str) -> Item:
    item = _item(register.id, register.type, data, offset, word_order)
    reason, value = item.reason, item.value
    if item.raw.hex() in (pattern.lower() for pattern in register.invalid):
        reason, value = "invalid_value", None
    return Item(
        id=register.id,
        raw=item.raw,
        value=value,
        unit=register.unit if register.scale == 1 else None,
        quantity=register.quantity,
        step=item.step if value is not None else None,
        reason=reason,
        basis=register.basis,
    )


def _item(id_: str, type_: str, data: bytes, offset: int, word_order: str) -> Item:
    how = coding(type_)
    raw = data[offset : offset + 2 * how.registers]
    if offset < 0 or len(raw) != 2 * how.registers:  # the session lets no such answer through
        return Item(id_, raw, reason="wrong_length")
    said = how.read(in_order(raw, word_order, text=how.text))
    return Item(id_, raw, said.value, step=said.step, reason=said.reason)


def _coalesce(spans: Sequence[_Span], modbus: Modbus) -> Iterator[list[_Span]]:
    """Spans in order of function and address → blocks. Taking what still fits is optimal for intervals on a line."""
    block: list[_Span] = []
    for span in spans:
        fits = (
            block
            and span.function == block[0].function
            and span.first - _end(block) <= modbus.max_gap
            and max(span.end, _end(block)) - block[0].first <= modbus.max_registers
        )
        if block and not fits:
            yield block
            block = []
        block.append(span)
    if block:
        yield block


def _end(block: Iterable[_Span]) -> int:
    return max(span.end for span in block)


def _ids(block: Sequence[_Span]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(span.id for span in block))


def _register_span(profile: Profile, register: Register) -> _Span:
    span = _span(profile, register.id, register.type, register.function)
    for pattern in register.invalid:
        if not re.fullmatch(rf"[0-9a-fA-F]{{{4 * (span.end - span.first)}}}", pattern):
            raise ProfileError(
                f"{profile.id}: {pattern!r} at {register.id} is no pattern in hex as long as {register.type}"
            )
    return span


def _span(profile: Profile, id_: str, type_: str, function: int | None) -> _Span:
    modbus = _modbus(profile)
    width = coding(type_).registers
    if not (id_.isascii() and id_.isdecimal() and int(id_) + width - 1 <= LAST_ADDRESS):
        raise ProfileError(f"{profile.id}: {id_!r} is no wire address for {type_}; write the 0-based number")
    if width > modbus.max_registers:
        raise ProfileError(
            f"{profile.id}: {type_} at {id_} takes {width} registers, max_registers is {modbus.max_registers}"
        )
    return _Span(function or modbus.function, int(id_), int(id_) + width, id_)


def _modbus(profile: Profile) -> Modbus:
    if profile.modbus is None:
        raise ProfileError(f"{profile.id}: a profile for {profile.protocol} cannot be read over Modbus")
    return profile.modbus
