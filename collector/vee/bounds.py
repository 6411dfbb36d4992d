"""What a meter can physically show: the limits that rules compare with, and where each limit comes from.

A meter's capacity is un_v × imax_a × wiring: what flows through it at its nominal voltage and the highest load it is made
for. Wiring is 1 for one phase, 3 for three phases with four wires (un_v is the phase voltage), √3 for three wires (un_v is
the line voltage). √3 is irrational: 1351/780 is a convergent just above it (1351² = 3 · 780² + 1), so no limit is too low.
Transformers multiply it only where the profile says that registers show primary values.

Limits are exact fractions of millionths.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from protocols.catalogue import Kind, Quantity, describe
from protocols.obis import ELECTRICITY, UNUSED, Obis
from protocols.profile import Profile
from storage.registry import Ratio, Registered
from storage.values import MILLION, to_millionths

WIRING = {"1p": Fraction(1), "3p3w": Fraction(1351, 780), "3p4w": Fraction(3)}
LINE_TO_LINE = Fraction(1351, 780)
_KILO = 1000
_VOLTAGE = 12
"""Group C: voltage of no named phase."""
_REGISTER = 8
"""Group D: time integral since the beginning."""
_PHASES = (range(21, 37), range(41, 57), range(61, 77))
"""Group C of what one phase alone has (IEC 62056-61 table 5)."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound in millionths of the quantity's unit (rules round it in the meter's favour), and a code for its source."""

    amount: Fraction
    source: str


@dataclass(frozen=True, slots=True)
class Rating:
    """The plate of a meter, the registry's word before the profile's. None: nobody says."""

    un_v: int | None
    imax_a: int | None
    wiring: str
    digits: int | None
    ct: Fraction
    pt: Fraction
    origin: str
    """Who said un_v or imax_a: `registry`, or `profile` if both are the model's."""


def rating_of(registered: Registered, profile: Profile | None) -> Rating:
    """What is known of the meter that stands there."""
    meter, installation = registered.meter, registered.installation
    un_v, imax_a, digits, wiring = meter.un_v, meter.imax_a, meter.digits, meter.wiring
    if profile is not None:
        imax_a = imax_a if imax_a is not None else _millionths(profile.imax_a)
        digits = digits if digits is not None else profile.digits
        # Which three-phase wiring it is, is then unknown; of the two that a phase voltage fits, this one allows more.
        wiring = wiring or ("1p" if profile.phases == 1 else "3p4w")
        un_v = un_v if un_v is not None else _un_of_model(profile, wiring)
    primary = profile is not None and profile.primary
    return Rating(
        un_v=un_v,
        imax_a=imax_a,
        wiring=wiring,
        digits=digits,
        ct=_fraction(installation.ct) if primary else Fraction(1),
        pt=_fraction(installation.pt) if primary else Fraction(1),
        origin="profile" if meter.un_v is None and meter.imax_a is None else "registry",
    )


def _un_of_model(profile: Profile, wiring: str) -> int | None:
    """A model's un_v is its phase voltage; on three wires the voltage that counts is that between two lines."""
    phase = _millionths(profile.un_v)
    return phase if phase is None or wiring != "3p3w" else -(-phase * LINE_TO_LINE // 1)


def _millionths(value: Decimal | None) -> int | None:
    return None if value is None else to_millionths(value)


def _fraction(ratio: Ratio) -> Fraction:
    return Fraction(ratio.primary, ratio.secondary)


def capacity(rating: Rating, quantity: Quantity) -> Fraction | None:
    """The highest load through the meter, in millionths of kW (kvar, kVA); None where its plate is not known.

    Active and reactive power cannot exceed the apparent power, so one limit serves all three.
    """
    if rating.un_v is None or rating.imax_a is None or rating.wiring not in WIRING or quantity.code.a != ELECTRICITY:
        return None
    one_phase = rating.wiring != "3p3w" and any(quantity.code.c in phase for phase in _PHASES)
    wiring = Fraction(1) if one_phase else WIRING[rating.wiring]
    return Fraction(rating.un_v) * rating.imax_a * wiring * rating.ct * rating.pt / (MILLION * _KILO)


def instant_limit(rating: Rating, quantity: Quantity, *, over_voltage: Fraction, margin: Fraction) -> Limit | None:
    """The largest amount, without its sign, that an instantaneous value of this quantity can have.

    Voltage: `over_voltage` × Un. At 1.15 Un the limit range of operation ends (IEC 62052-11 §7.1, GB/T 17215.211): beyond
    it nobody warrants what a meter shows. A voltage of no named phase may be that between two lines. Amperage and power:
    the plate, with `margin` for the meter's own error. Power factor: 1 by definition. Angle: a full turn.
    """
    unit = quantity.unit
    if unit == "V":
        if rating.un_v is None:
            return None
        unnamed = quantity.code.c == _VOLTAGE and rating.wiring == "3p4w"
        return Limit(rating.un_v * rating.pt * over_voltage * (LINE_TO_LINE if unnamed else 1), f"un_v:{rating.origin}")
    if unit == "A":
        return None if rating.imax_a is None else Limit(rating.imax_a * rating.ct * margin, f"imax_a:{rating.origin}")
    if unit in ("kW", "kvar", "kVA"):
        load = capacity(rating, quantity)
        return None if load is None else Limit(load * margin, f"capacity:{rating.origin}")
    if unit == "°":
        return Limit(Fraction(360 * MILLION), "full_turn")
    if unit == "1" and quantity.kind is Kind.INSTANTANEOUS:
        return Limit(Fraction(MILLION), "power_factor")
    return None


def span(rating: Rating) -> int | None:
    """Where the register starts again at zero, in millionths; None where its digits are not known."""
    return None if rating.digits is None else 10**rating.digits * MILLION


def may_be_negative(quantity: Quantity) -> bool:
    """Whether a demand or an interval is that of energy that may flow either way."""
    if quantity.kind not in (Kind.DEMAND, Kind.INTERVAL):
        return quantity.kind is not Kind.REGISTER
    register = replace(quantity.code, d=_REGISTER, f=UNUSED)
    return describe(register).kind is Kind.SIGNED_REGISTER


def quantity_of(code: str) -> Quantity:
    """The catalogue's entry of a stored quantity."""
    return describe(Obis.parse(code))
