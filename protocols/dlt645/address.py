"""Addresses of DL/T 645: twelve decimal digits, on the wire six BCD bytes, low byte first.

A byte AA is the wildcard: all six ask whoever is there, the high ones alone shorten an address to its low digits. The
registry writes an address as its decimal digits, zeros on the left may be left out; a wildcard as `AAAAAAAAAAAA`, or
`AA3456` for the low digits 3456. 999999999999 is the broadcast (clause "broadcast address"): some meters answer reads to it.
"""

from __future__ import annotations

import re

from protocols.errors import RequestError

LENGTH = 6
WILDCARD = 0xAA
BROADCAST = "9" * 12
ANYONE = "A" * 12
_DIGITS = re.compile(r"\d{1,12}", re.ASCII)
_SHORTENED = re.compile(r"(?:AA){1,6}(?:\d\d){0,5}", re.ASCII)
VALID_BYTES = frozenset({WILDCARD} | {high << 4 | low for high in range(10) for low in range(10)})
"""What an address byte may be."""


def full_address(text: str) -> str:
    """Twelve characters, high digit first, from what the registry writes.

    :raises RequestError: for what is neither decimal digits nor digits behind wildcards.
    """
    if _DIGITS.fullmatch(text):
        return text.rjust(12, "0")
    wild = text.upper()
    if len(wild) <= 12 and _SHORTENED.fullmatch(wild):
        return wild.rjust(12, "A")
    raise RequestError(
        f"{text!r} is no DL/T 645 address: up to 12 decimal digits, or pairs of A before the last digits"
    )


def to_wire(text: str) -> bytes:
    """`"123456789012"` → 12 90 78 56 34 12. :raises RequestError: as `full_address`."""
    return bytes.fromhex(full_address(text))[::-1]


def from_wire(data: bytes) -> str:
    """12 90 78 56 34 12 → `"123456789012"`."""
    return data[::-1].hex().upper()


def fits(asked: str, answered: str) -> bool:
    """The answer's address is the one asked, where that has no wildcard. Both in full.

    A wildcard in the answer (virtual meters give back the AA they were asked with) fits only where the question had it:
    to a question with an address in it, it is no proof of anything.
    """
    if asked == BROADCAST:
        return True
    pairs = zip(bytes.fromhex(asked), bytes.fromhex(answered), strict=True)
    return all(ours in (WILDCARD, theirs) for ours, theirs in pairs)
