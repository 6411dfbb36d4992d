"""The standard's pictures of data: `XXXXXX.XX` is four BCD bytes, low byte first, two decimals.

    X…[.X…]        digits of a number, two to a byte; a leading S: the top bit is the sign
    N…             digits of a text (numbers of meters)
    YYMMDDhhmm …   a stamp of the meter's own clock, high byte last; `WW` the day of the week (not believed)
    B…             bits, kept as hexadecimal text
    two of them    a value with its stamp: "XX.XXXX YYMMDDhhmm"

What the digits do not spell out is no value: nibbles above 9, a 13th month. Nothing here raises for bytes from outside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache

from protocols.errors import ProfileError

CENTURY = 2000
"""The standard's years have two digits; no meter of the 2007 edition is older."""
_NUMBER = re.compile(r"(S?)(X+)(?:\.(X+))?")
_TEXT = re.compile(r"N+|B+")
_STAMP = re.compile(r"(?:YY|MM|DD|WW|hh|mm|ss)+")
_FIELDS = {"YY": "year", "MM": "month", "DD": "day", "hh": "hour", "mm": "minute", "ss": "second"}


@dataclass(frozen=True, slots=True)
class Part:
    """One picture of a value or stamp: `kind` number, text, bits or stamp."""

    kind: str
    text: str
    length: int
    decimals: int = 0
    signed: bool = False

    @property
    def dated(self) -> bool:
        """A stamp that says when: a time of day alone, or a date alone, is no instant."""
        return "DD" in self.text and "hh" in self.text


@dataclass(frozen=True, slots=True)
class Picture:
    """What the bytes of one value look like: the value, and the stamp behind it if there is one."""

    parts: tuple[Part, ...]

    @property
    def length(self) -> int:
        """Bytes."""
        return sum(part.length for part in self.parts)

    @property
    def stamped(self) -> bool:
        """The value has its stamp behind it."""
        return len(self.parts) > 1


@dataclass(frozen=True, slots=True)
class Read:
    """What the bytes say; `reason` where the value says nothing."""

    value: Decimal | str | None = None
    time: datetime | None = None
    reason: str = ""


@cache
def parse(text: str) -> Picture:
    """A picture from a data file. :raises ProfileError: for what is none."""
    parts = tuple(_part(word) for word in text.split(" "))
    if len(parts) > 2 or (len(parts) == 2 and (parts[0].kind != "number" or parts[1].kind != "stamp")):
        raise ProfileError(f"{text!r}: a picture is one value, or a number and its stamp")
    return Picture(parts)


def _part(word: str) -> Part:
    if match := _NUMBER.fullmatch(word):
        decimals = len(match.group(3) or "")
        digits, kind, signed = len(match.group(2)) + decimals, "number", bool(match.group(1))
    elif _TEXT.fullmatch(word):
        digits, kind, signed, decimals = len(word), "text" if word[0] == "N" else "bits", False, 0
    elif _STAMP.fullmatch(word):
        digits, kind, signed, decimals = len(word), "stamp", False, 0
    else:
        raise ProfileError(f"{word!r} is no picture of DL/T 645 data, such as XXXXXX.XX or YYMMDDhhmm")
    if digits % 2:
        raise ProfileError(f"{word!r}: an odd number of digits fills no whole bytes")
    return Part(kind, word, digits // 2, decimals, signed)


def read(picture: Picture, data: bytes) -> Read:
    """The value in exactly `picture.length` bytes; of another length: `wrong_length`."""
    if len(data) != picture.length:
        return Read(reason="wrong_length")
    first = picture.parts[0]
    value = _value(first, data[: first.length])
    if value is None:
        return Read(reason="bad_digits")
    time = value if isinstance(value, datetime) and first.dated else None
    if picture.stamped:
        time = stamp(picture.parts[1].text, data[first.length :])
    return Read(_spelled(first, value) if isinstance(value, datetime) else value, time)


def _value(part: Part, data: bytes) -> Decimal | str | datetime | None:
    match part.kind:
        case "number":
            return number(data, part.decimals, signed=part.signed)
        case "text":
            digits = data[::-1].hex()
            return digits if digits.isdecimal() else None
        case "bits":
            return data[::-1].hex().upper()
        case _:
            return stamp(part.text, data)


def number(data: bytes, decimals: int, *, signed: bool) -> Decimal | None:
    """BCD, low byte first; None where a nibble is no digit. Minus zero is zero."""
    digits = bytearray(data[::-1])
    negative = signed and bool(digits[0] & 0x80)
    if negative:
        digits[0] &= 0x7F
    text = digits.hex()
    if not text.isdecimal():
        return None
    sign = 1 if negative and text.strip("0") else 0
    return Decimal((sign, tuple(map(int, text)), -decimals))


def stamp(picture: str, data: bytes) -> datetime | None:
    """The instant a meter's clock shows, naive, in the meter's own zone; None where it is nonsense.

    A picture without a date (`hhmmss`) is put on 1 January 2000, one without hours at midnight; `_spelled` shows only
    what the picture has.
    """
    digits = data[::-1].hex()
    if not digits.isdecimal() or len(digits) != len(picture):
        return None
    fields = {"year": 0, "month": 1, "day": 1}
    for place in range(0, len(picture), 2):
        if (name := _FIELDS.get(picture[place : place + 2])) is not None:
            fields[name] = int(digits[place : place + 2])
    fields["year"] += CENTURY
    try:
        return datetime(**fields)  # type: ignore[arg-type]  # noqa: DTZ001 - a meter's clock knows no zone; the registry does
    except ValueError:
        return None


def _spelled(part: Part, moment: datetime) -> str:
    words = []
    if "DD" in part.text:
        words.append(moment.date().isoformat())
    if "hh" in part.text:
        words.append(moment.time().isoformat("seconds" if "ss" in part.text else "minutes"))
    return " ".join(words)
