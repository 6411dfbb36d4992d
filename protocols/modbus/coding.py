"""How a value lies in registers: types, word orders, and floats taken apart as integers. Exact; no float anywhere.

A float32 or float64 is sign × mantissa × 2^exponent (IEEE 754-2008 §3.4), and every such number has a finite decimal
form, so it becomes a `Decimal` without rounding; how much of it is worth keeping is the profile's `resolution`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import cache

from protocols.errors import ProfileError

# 2^-1074, the smallest step of a float64, has 751 digits; its largest value 309.
_EXACT = Context(prec=1200, traps=[Inexact, InvalidOperation])

WORD_ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A value and, for floats, one step at this size; `reason` where the bytes hold no value."""

    value: Decimal | str | None
    step: Decimal | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Coding:
    """One type: how many registers it takes, and what its bytes, most significant first, say."""

    registers: int
    read: Callable[[bytes], Decoded]
    text: bool = False


@cache
def coding(name: str) -> Coding:
    """The coding of a profile's `type`. :raises ProfileError: for a name that is none."""
    if known := _CODINGS.get(name):
        return known
    if match := re.fullmatch(r"string([1-9]\d{0,2})", name):
        length = int(match.group(1))
        if length % 2 == 0 and length <= 250:
            return Coding(length // 2, _text, text=True)
    if match := re.fullmatch(r"bcd(4|8|12|16)", name):
        return Coding(int(match.group(1)) // 4, _digits)
    known_names = ", ".join(_CODINGS)
    raise ProfileError(f"{name!r} is no Modbus type; write {known_names}, bcd4 … bcd16 or string2 … string250")


def in_order(raw: bytes, word_order: str, *, text: bool = False) -> bytes:
    """Wire bytes with the most significant first. `word_order` names where the wire puts them: ABCD as they are, CDAB
    words reversed, BADC bytes in each word swapped, DCBA both. Characters of a text stay in the order of their words.
    """
    if word_order in ("BADC", "DCBA"):
        swapped = bytearray(len(raw))
        swapped[0::2], swapped[1::2] = raw[1::2], raw[0::2]
        raw = bytes(swapped)
    if word_order in ("CDAB", "DCBA") and len(raw) > 2 and not text:
        raw = b"".join(raw[place : place + 2] for place in range(len(raw) - 2, -1, -2))
    return raw


def _unsigned(data: bytes) -> Decoded:
    return Decoded(Decimal(int.from_bytes(data, "big")))


def _signed(data: bytes) -> Decoded:
    return Decoded(Decimal(int.from_bytes(data, "big", signed=True)))


def _digits(data: bytes) -> Decoded:
    shown = data.hex()
    return Decoded(Decimal(shown)) if shown.isdecimal() else Decoded(None, reason="bad_digits")


def _text(data: bytes) -> Decoded:
    """Printable ASCII, without what pads it."""
    shown = data.rstrip(b"\x00 ").lstrip(b" ")
    if not all(0x20 <= byte < 0x7F for byte in shown):
        return Decoded(None, reason="bad_digits")
    return Decoded(shown.decode("ascii"))


def _ieee754(mantissa_bits: int, bias: int) -> Callable[[bytes], Decoded]:
    exponents = 2 * bias + 1

    def read(data: bytes) -> Decoded:
        bits = int.from_bytes(data, "big")
        fraction = bits & ((1 << mantissa_bits) - 1)
        exponent = (bits >> mantissa_bits) & exponents
        if exponent == exponents:  # NaN and the infinities: the device says that it has no value
            return Decoded(None, reason="invalid_value")
        if exponent:
            fraction |= 1 << mantissa_bits
        else:  # subnormal numbers, and zero
            exponent = 1
        exponent -= bias + mantissa_bits
        step = _power_of_two(exponent)
        if not fraction:  # minus zero is zero
            return Decoded(Decimal(0), step)
        spare = (fraction & -fraction).bit_length() - 1  # without these, 230 is "230" and not "230.0000000000000000"
        if bits >> (8 * len(data) - 1):
            fraction = -fraction
        return Decoded(_EXACT.multiply(Decimal(fraction >> spare), _power_of_two(exponent + spare)), step)

    return read


@cache
def _power_of_two(exponent: int) -> Decimal:
    """2^exponent, exactly: a negative power of two is 5^n with n decimals."""
    return Decimal(2**exponent) if exponent >= 0 else Decimal(f"{5**-exponent}E{exponent}")


_CODINGS = {
    "uint16": Coding(1, _unsigned),
    "int16": Coding(1, _signed),
    "uint32": Coding(2, _unsigned),
    "int32": Coding(2, _signed),
    "uint64": Coding(4, _unsigned),
    "int64": Coding(4, _signed),
    "float32": Coding(2, _ieee754(23, 127)),
    "float64": Coding(4, _ieee754(52, 1023)),
}
