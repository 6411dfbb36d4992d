"""From released values to the lines that billing reads. Pure: records in, rows without numbers out.

A row carries what the meter shows; the multiplier stands beside it and is applied by who charges, once. Whatever billing
got and has changed since goes out as a correction that names the row it replaces, never as a second reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from protocols.catalogue import describe
from protocols.obis import Obis
from protocols.profile import Profile
from storage.errors import DeliveryRefused
from storage.records import RELEASED, DeliveryRow, Quality, Source, Undelivered
from storage.registry import Installation
from storage.values import to_text

READING, CORRECTION = "READING", "CORRECTION"
_MADE = {Quality.ESTIMATED: Source.ESTIMATE, Quality.EDITED: Source.EDIT}


def rows_for(values: Iterable[Undelivered], profiles: Mapping[str, Profile]) -> tuple[DeliveryRow, ...]:
    """One row a value, in the order given, `seq` still 0.

    :raises DeliveryRefused: for a value that is not released: nobody may ask for that.
    """
    return tuple(_row(value, profiles) for value in values)


def _row(value: Undelivered, profiles: Mapping[str, Profile]) -> DeliveryRow:
    judged, registered, before = value.judged, value.registered, value.replaces
    reading = judged.reading
    if judged.quality not in RELEASED or not reading.billable:
        raise DeliveryRefused(
            f"{reading.meter} {reading.quantity} {reading.time.isoformat()} is {judged.quality} and not released for billing"
        )
    profile = profiles.get(registered.meter.profile)
    primary = profile is not None and profile.primary
    return DeliveryRow(
        seq=0,
        type=READING if before is None else CORRECTION,
        account=registered.point.account,
        point=registered.point.point,
        meter=reading.meter,
        quantity=reading.quantity,
        time=reading.time,
        basis=reading.basis,
        value=to_text(judged.value, reading.resolution),
        unit=describe(Obis.parse(reading.quantity)).unit,
        multiplier="1" if primary else exact_text(multiplier(registered.installation)),
        quality=judged.quality,
        source=_MADE.get(judged.quality, reading.source),
        revision=judged.revision,
        replaces=None if before is None else before.seq,
        old_value=None if before is None else before.value,
        reason=None if before is None else str(judged.quality),
    )


def multiplier(installation: Installation) -> Fraction:
    """CT × PT: what one unit of the register stands for on the primary side."""
    ct, pt = installation.ct, installation.pt
    return Fraction(ct.primary, ct.secondary) * Fraction(pt.primary, pt.secondary)


def exact_text(number: Fraction) -> str:
    """`20`, `0.5`, and `100/3` for what no decimal number says exactly."""
    rest, places = number.denominator, 0
    for factor in (2, 5):
        power = 0
        while rest % factor == 0:
            rest //= factor
            power += 1
        places = max(places, power)
    if rest != 1:
        return f"{number.numerator}/{number.denominator}"
    digits = f"{abs(number.numerator) * 10**places // number.denominator:0{places + 1}d}"
    sign = "-" if number < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
