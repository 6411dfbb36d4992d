"""JSON messages of meters that push: bytes and a profile in, items out. Values are exact, and what is odd is refused whole.

A message is poison (`BadPayload`, with the reason in words) if it is no JSON object in UTF-8, is longer than 64 KiB, nests
deeper than 16, says a key twice (which of the two would count?), holds NaN or an infinity, has no stamp with an offset, a value
that is no decimal number, or a quantity that the catalogue has not. A value of null says that the meter has none: an item
with the reason `invalid_value`. What a profile lists and a message leaves out is simply not there, but one value there must be.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, NoReturn, get_args

from protocols.catalogue import described
from protocols.errors import BadPayload, ObisError, ProfileError
from protocols.json_path import MISSING, follow, join
from protocols.profile import Basis, Json, Profile
from protocols.telegram import Item

MOST_BYTES = 64 * 1024
DEEPEST = 16
MOST_DIGITS = 40
"""Of a number, on either side of the point: more than any meter has, few enough to compute with."""
LARGEST_SEQ = 2**63 - 1
BASES: tuple[str, ...] = get_args(Basis)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
"""The closing quote may be missing: then the rest is one string, found in one pass whatever is in it."""
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NAME = re.compile(r"[\w.:-]{1,64}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""No meter's clock is outside of these two; and near the ends of the calendar, days and zones can no longer be computed."""


@dataclass(frozen=True, slots=True)
class Number:
    """Which of its sender's messages this is: number `seq` of this `boot`. `sender` "": who has the topic's address.

    `oldest`: the lowest number of this boot that the sender still keeps; 0 where it does not say.
    """

    sender: str
    boot: str
    seq: int
    oldest: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """What one message says. `time` in UTC; `seq` the sender's number for it, if it gives one, `number` all of it."""

    time: datetime
    basis: str
    seq: int | None
    items: tuple[Item, ...]
    number: Number | None = None


def address_in(profile: Profile, topic: str) -> str | None:
    """The part of the topic that is the registry's address; None where the topic is not this profile's."""
    match = _topic(_table(profile).topic).fullmatch(topic)
    return match.group(1) if match else None


def read_message(profile: Profile, payload: bytes) -> Message:
    """:raises BadPayload: for everything that does not follow the profile."""
    how = _table(profile)
    message = _parse(payload)
    time = _time(how, message, payload)
    basis = _basis(how, message, payload)
    seq = _seq(how, message, payload)
    items = (*_listed(profile, message, payload), *(_named(how, message, payload)))
    if not items:
        raise BadPayload("no value that the profile knows", data=payload)
    number = _number(how, message, seq, payload)
    return Message(time, basis, seq, tuple(_complete(item, time, basis) for item in items), number)


def number_of(profile: Profile, payload: bytes) -> Number | None:
    """The number of a message, whatever else is wrong with it; None where it has none that can be read."""
    how = _table(profile)
    try:
        message = _parse(payload)
        return _number(how, message, _seq(how, message, payload), payload)
    except BadPayload:
        return None


def _table(profile: Profile) -> Json:
    if profile.json_ is None:
        raise ProfileError(f"the profile {profile.id} is not one for JSON messages")
    return profile.json_


@cache
def _topic(pattern: str) -> re.Pattern[str]:
    levels = {"<address>": "([^/]+)", "+": "[^/]+"}
    return re.compile("/".join(levels.get(level, re.escape(level)) for level in pattern.split("/")))


def _complete(item: Item, time: datetime, basis: str) -> Item:
    return Item(item.id, item.raw, item.value, item.unit, item.quantity, time, reason=item.reason, basis=basis)


# --- JSON, strictly -------------------------------------------------------------------------------------------------------


def _parse(payload: bytes) -> dict[str, Any]:
    if len(payload) > MOST_BYTES:
        raise BadPayload(f"{len(payload)} bytes; a message may have {MOST_BYTES}", data=payload[:256])
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadPayload("not UTF-8", data=payload, position=error.start) from None
    if (depth := _depth(text)) > DEEPEST:
        raise BadPayload(f"nested {depth} deep; a message may be {DEEPEST}", data=payload)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            raise BadPayload(f"the key {_shown(counts.most_common(1)[0][0])} stands twice", data=payload)
        return found

    def no_number(word: str) -> NoReturn:
        raise BadPayload(f"{word} is no number", data=payload)

    try:
        message = json.loads(
            text, object_pairs_hook=once, parse_float=_Number, parse_int=_Number, parse_constant=no_number
        )
    except json.JSONDecodeError as error:
        raise BadPayload(f"not JSON: {error.msg}", data=payload, position=len(text[: error.pos].encode())) from None
    if not isinstance(message, dict):
        raise BadPayload("not a JSON object", data=payload)
    return message


class _Number(str):
    """A number as it was written; what it is worth is decided where it is wanted, so that a huge one elsewhere costs nothing."""

    __slots__ = ()


def _depth(text: str) -> int:
    deepest = depth = 0
    for mark in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if mark in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _shown(value: object) -> str:
    """Short, and printable whatever it is."""
    return ascii(str(value) if isinstance(value, _Number) else value)[:80]


# --- what the fields say --------------------------------------------------------------------------------------------------


def _time(how: Json, message: dict[str, Any], payload: bytes) -> datetime:
    said = follow(message, how.time)
    if said is MISSING:
        raise BadPayload(f"no {how.time}", data=payload)
    try:
        time = _instant(said, how, payload)
    except (ValueError, OverflowError):
        raise BadPayload(f"{how.time}: {_shown(said)} is no instant", data=payload) from None
    if not _EPOCH <= time < _LATEST:
        raise BadPayload(f"{how.time}: {_shown(said)} is no instant of a meter's clock", data=payload)
    return time


def _instant(said: object, how: Json, payload: bytes) -> datetime:
    if how.time_is == "rfc3339":
        return _rfc3339(said, how, payload)
    number = _decimal(said, how.time, payload)
    micros = int(number.scaleb(6 if how.time_is == "epoch_s" else 3))
    return _EPOCH + timedelta(microseconds=micros)


def _rfc3339(said: object, how: Json, payload: bytes) -> datetime:
    match = _STAMP.fullmatch(said) if isinstance(said, str) and not isinstance(said, _Number) else None
    if match is None:
        raise BadPayload(
            f"{how.time}: {_shown(said)} is no time with its offset, such as 2026-03-14T00:00:00+08:00", data=payload
        )
    day, clock, fraction, offset = match.groups(default="")
    return datetime.fromisoformat(f"{day}T{clock}{fraction[:7]}{offset.upper()}").astimezone(UTC)


def _basis(how: Json, message: dict[str, Any], payload: bytes) -> str:
    said = MISSING if how.basis is None else follow(message, how.basis)
    if said is MISSING:
        return "instant"
    if not isinstance(said, str) or isinstance(said, _Number) or said not in BASES:
        raise BadPayload(f"{how.basis}: {_shown(said)} is none of {', '.join(BASES)}", data=payload)
    return said


def _seq(how: Json, message: dict[str, Any], payload: bytes) -> int | None:
    return _count(how.seq, message, payload)


def _count(path: str | None, message: dict[str, Any], payload: bytes) -> int | None:
    said = MISSING if path is None else follow(message, path)
    if said is MISSING or said is None:
        return None
    if not isinstance(said, _Number) or not said.isdecimal() or len(said) > 19 or int(said) > LARGEST_SEQ:
        raise BadPayload(f"{path}: {_shown(said)} is no number of a message", data=payload)
    return int(said)


def _number(how: Json, message: dict[str, Any], seq: int | None, payload: bytes) -> Number | None:
    """Only with a boot: a number that begins anew after a restart and does not say so means nothing to us."""
    boot = _name(how.boot, message, payload)
    if boot is None:
        return None
    if seq is None:
        raise BadPayload(f"{how.boot} without {how.seq}", data=payload)
    sender = _name(how.sender, message, payload) or ""
    return Number(sender, boot, seq, _count(how.oldest, message, payload) or 0)


def _name(path: str | None, message: dict[str, Any], payload: bytes) -> str | None:
    """Text or a number; it becomes a level of a topic, so it must be able to (MQTT 5 §4.7.1)."""
    said = MISSING if path is None else follow(message, path)
    if said is MISSING or said is None:
        return None
    if not isinstance(said, str) or not _NAME.fullmatch(said):
        raise BadPayload(f"{path}: {_shown(said)} is no name: 1 to 64 letters, digits, - . _ :", data=payload)
    return str(said)


def _listed(profile: Profile, message: dict[str, Any], payload: bytes) -> Iterator[Item]:
    """The registers that the profile lists by path, those below `values` left out: they come by their own names."""
    for path, quantity in profile.by_path:
        said = follow(message, path)
        if said is not MISSING:
            yield _item(path, quantity, said, payload)


def _named(how: Json, message: dict[str, Any], payload: bytes) -> Iterator[Item]:
    said = MISSING if how.values is None else follow(message, how.values)
    if said is MISSING or how.values is None:
        return
    if not isinstance(said, dict):
        raise BadPayload(f"{how.values}: {_shown(said)} is no object of OBIS codes", data=payload)
    for key, value in said.items():
        try:
            quantity = _quantity(key)
        except ObisError:
            raise BadPayload(f"{how.values}: {_shown(key)} is no quantity of the catalogue", data=payload) from None
        yield _item(join(how.values, quantity), quantity, value, payload)


@lru_cache(maxsize=4096)
def _quantity(key: str) -> str:
    """As the catalogue writes it."""
    return str(described(key).code)


def _item(path: str, quantity: str, said: object, payload: bytes) -> Item:
    if said is None:
        return Item(path, b"null", quantity=quantity, reason="invalid_value")
    value = _decimal(said, path, payload)
    return Item(path, str(said).encode(), value, described(quantity).unit, quantity)


def _decimal(said: object, path: str, payload: bytes) -> Decimal:
    """A number, or a text that is one: with a point, no spaces, nothing else."""
    if not isinstance(said, str) or not _NUMBER.fullmatch(said):
        raise BadPayload(f"{path}: {_shown(said)} is no decimal number", data=payload)
    if len(said) > 2 * MOST_DIGITS:
        raise BadPayload(f"{path}: {_shown(said)} has more digits than any meter", data=payload)
    mantissa, _, exponent = said.lower().partition("e")
    if len(exponent) > 4 or abs(int(exponent or "0")) > MOST_DIGITS:
        raise BadPayload(f"{path}: {_shown(said)} is larger or finer than any meter's value", data=payload)
    return Decimal(f"{mantissa}e{exponent or 0}")
