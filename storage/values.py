"""Exact values: `Decimal` at every edge, a signed 64-bit count of millionths of the canonical unit inside.

What does not fit is refused, never rounded: rounding is the translator's business (to the register's resolution), and a
value that still has more than six decimals when it gets here is a mistake.
"""

from __future__ import annotations

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation

from storage.errors import ValueRefused

MILLION = 1_000_000
LARGEST = 2**63 - 1
SMALLEST = -(2**63)
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])


def to_millionths(value: Decimal) -> int:
    """`Decimal("1.5")` → 1500000.

    :raises ValueRefused: for NaN, infinities, more than six decimals, or more than 64 bits.
    """
    if not value.is_finite():
        raise ValueRefused(f"{value} is not a number that can be stored")
    try:
        scaled = _EXACT.scaleb(value, 6)
        whole = int(_EXACT.to_integral_exact(scaled))
    except DecimalException:
        raise ValueRefused(f"{value} has more than six decimals or too many digits") from None
    if not SMALLEST <= whole <= LARGEST:
        raise ValueRefused(f"{value} does not fit 64 bits of millionths")
    return whole


def from_millionths(count: int, resolution: int = 1) -> Decimal:
    """1500000 → `Decimal("1.500000")`; with a resolution (in millionths) of 1000, as the register shows it: `1.500`."""
    places = 6
    while places and resolution % 10 == 0 and resolution > 1 and count % 10 == 0:
        resolution //= 10
        count //= 10
        places -= 1
    return Decimal(count).scaleb(-places)


def to_text(count: int, resolution: int = 1) -> str:
    """The decimal string that leaves the house: plain digits, the register's own decimals, never an exponent."""
    return f"{from_millionths(count, resolution):f}"
