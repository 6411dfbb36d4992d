"""From the wire's number to millionths: the profile's exact scale, then half-even to the register's resolution.

Integers throughout. Numbers come from strangers, so their size is looked at before anything is multiplied: `1E999999999`
is a short text and an endless integer.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from storage.errors import ValueRefused
from storage.values import LARGEST, MILLION, SMALLEST

MOST_DIGITS = 40
"""Left of the point. 64 bits of millionths have 13; the rest is room for a scale such as 0.000001."""
DEEPEST = -1100
"""Decimals: the smallest float64 has 1074 (2**-1074), and no float of a meter is wider."""


@lru_cache(maxsize=4096)
def _factor(scale: Decimal, resolution: Decimal) -> tuple[int, int, int]:
    """Scale ÷ resolution as a fraction, and the resolution in millionths.

    :raises ValueRefused: for a resolution finer than a millionth, or none.
    """
    unit = Fraction(resolution) * MILLION
    if unit.denominator != 1 or unit <= 0:
        raise ValueRefused(f"a resolution of {resolution} cannot be held in millionths")
    steps = Fraction(scale) / Fraction(resolution)
    return steps.numerator, steps.denominator, unit.numerator


def to_canonical(value: Decimal, *, scale: Decimal, resolution: Decimal) -> tuple[int, int]:
    """Millionths of the canonical unit, and the resolution in millionths; ties go to the even step.

    :raises ValueRefused: for what is no number, or does not fit 64 bits of millionths.
    """
    if not value.is_finite():
        raise ValueRefused(f"{value} is not a number")
    exponent = value.as_tuple().exponent
    if value.adjusted() >= MOST_DIGITS or not isinstance(exponent, int) or exponent < DEEPEST:
        raise ValueRefused("the number is larger or finer than any meter's")
    up, down, unit = _factor(scale, resolution)
    numerator, denominator = value.as_integer_ratio()
    count = _half_even(numerator * up, denominator * down) * unit
    if not SMALLEST <= count <= LARGEST:
        raise ValueRefused(f"{value} × {scale} does not fit 64 bits of millionths")
    return count, unit


def _half_even(numerator: int, denominator: int) -> int:
    """The nearest integer; of two equally near ones the even. `denominator` is positive."""
    whole, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and whole % 2):
        whole += 1
    return whole


def fine_enough(step: Decimal, *, scale: Decimal, resolution: Decimal) -> bool:
    """One step of the wire's float is no coarser than the register: its last digit is still the meter's own."""
    return Fraction(step) * abs(Fraction(scale)) <= Fraction(resolution)
