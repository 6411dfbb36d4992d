"""The rules that a value must pass, in one visible list: one rule, one function, one id.

A rule looks at one value and the last good one before it (never at a bad one: after a wrong jump upwards every later true value
would fall, and be condemned for ever). It returns the evidence it has against the value, as codes and parameters, or None.
It never raises for a bad value and has no words: those are the console's.

*missing* is the fourth rule. It speaks of slots that have no value, so it has nothing to lie beside: it is accounting
(collector/kpi/success.py), and its verdicts are the ledger's `Missing` rows.

What these rules cannot see: a wrong value within what the meter could have measured. Sums, spikes, like days and the
second value after it will (the validation issue).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from collector.vee.bounds import Limit, Rating, instant_limit, may_be_negative, span
from collector.vee.clocks import Shift
from protocols.catalogue import Kind, Quantity
from storage.records import Basis
from storage.values import MILLION, to_text

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The thresholds. Part of a ruleset's version: another threshold is another ruleset.

    `margin`: a meter of class 1 may be 1 % wrong, and still right. `slack`: an answer is stamped when it arrives, the register
    was read a little earlier; ten seconds cover the slowest answer that is waited for. `over_voltage`: see `bounds`.
    `clock`: how far a meter's clock may be off and still date a value. `frequency`: Hz, 10 % around the reference
    frequencies 50 and 60 of IEC 62052-11. `edition`: raised by hand when a rule's code changes what it says.
    """

    edition: int = 1
    margin: Fraction = Fraction(101, 100)
    slack: timedelta = timedelta(seconds=10)
    over_voltage: Fraction = Fraction(115, 100)
    frequency: tuple[int, int] = (45, 66)
    rollover_from: Fraction = Fraction(9, 10)
    clock: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Good:
    """The last good value: a released reading, or the register when the meter was installed."""

    time: datetime
    value: int
    resolution: int
    origin: str = "reading"


@dataclass(frozen=True, slots=True)
class Case:
    """One value before the rules. Values and resolutions in millionths."""

    quantity: Quantity
    rating: Rating
    load: Fraction | None
    """Its capacity (`bounds.capacity`)."""
    parameters: Parameters
    time: datetime
    value: int
    resolution: int
    conflicted: bool
    last: Good | None
    basis: Basis = Basis.INSTANT
    drift: timedelta | None = None
    """How far the meter's clock was off at this stamp; None: nobody knows."""
    shift: Shift | None = None
    """The meter's clock was changed since the value before."""


Evidence = Mapping[str, str]
Rule = Callable[[Case], Evidence | None]


def conflict(case: Case) -> Evidence | None:
    """Two different values came for this very moment; which one is true, nobody can say."""
    return _evidence(case) if case.conflicted else None


def out_of_range(case: Case) -> Evidence | None:
    """The meter cannot have measured this.

    Registers: below zero, more digits than it has, or further from the last good value than its capacity carries in the
    time between (vee-rules: last_good ≤ v ≤ last_good + Pmax·Δt). Other values: beyond the limits of `bounds`.
    """
    match case.quantity.kind:
        case Kind.REGISTER:
            return _below_zero(case) or _too_many_digits(case) or _too_far(case)
        case Kind.SIGNED_REGISTER:
            return _too_far(case)
        case Kind.DEMAND:
            return _below_zero(case) or _beyond(case, _demand(case))
        case Kind.INTERVAL:
            return _below_zero(case)
        case Kind.INSTANTANEOUS:
            return _wrong_frequency(case) or _beyond(case, _instant(case))


def register_decreased(case: Case) -> Evidence | None:
    """A register that only counts up shows less than before, and did not start again at zero.

    Registers that may fall by their nature (net energy, reactive energy of settable composition) are never judged by it.
    """
    last = case.last
    if case.quantity.kind is not Kind.REGISTER or last is None or case.value >= last.value or _rolled_over(case, last):
        return None
    # Rounding never turns an order round. Between two resolutions it can make a fall of less than one coarse step.
    coarser = max(case.resolution, last.resolution)
    if case.resolution != last.resolution and last.value - case.value < coarser:
        return None
    return _evidence(case) | {"fell_by": to_text(last.value - case.value, case.resolution)}


def clock(case: Case) -> Evidence | None:
    """The meter dated this value by a clock that was off by more than the limit: the value may be right, its day is not.

    Values that we dated (running registers, at the instant their answer came) do not depend on it.
    """
    own_stamp = case.basis is not Basis.INSTANT or case.quantity.kind is Kind.DEMAND
    if not own_stamp or case.drift is None or abs(case.drift) <= case.parameters.clock:
        return None
    return _evidence(case) | {"drift_s": _seconds(case.drift), "limit_s": _seconds(case.parameters.clock)}


def clock_changed(case: Case) -> Evidence | None:
    """The clock was set between this curve point and the one before: the interval that ends here was shorter or longer than
    its stamps say. The value itself may be right.
    """
    shift = case.shift
    if case.basis is not Basis.CURVE or shift is None or abs(shift.by) <= case.parameters.slack:
        return None
    interval = "short" if shift.by > timedelta() else "long"
    return _evidence(case) | {"interval": interval, "shift_s": _seconds(shift.by)}


RULES: tuple[Rule, ...] = (conflict, out_of_range, register_decreased, clock, clock_changed)


def _seconds(span_: timedelta) -> str:
    """To the tenth, cut off."""
    sign, tenths = "-" if span_ < timedelta() else "", abs(span_) // timedelta(milliseconds=100)
    return f"{sign}{tenths // 10}.{tenths % 10}"


def _below_zero(case: Case) -> Evidence | None:
    if case.value >= 0 or may_be_negative(case.quantity):
        return None
    return _evidence(case) | {"limit": "0", "limit_source": "zero"}


def _too_many_digits(case: Case) -> Evidence | None:
    whole = span(case.rating)
    if whole is None or case.value < whole:
        return None
    return _evidence(case) | {"limit": to_text(whole, MILLION), "limit_source": f"digits:{case.rating.digits}"}


def _too_far(case: Case) -> Evidence | None:
    last = case.last
    reach = None if last is None else _reach(case, last)
    if last is None or reach is None:
        return None
    step = _advance(case, last)
    if step <= reach if case.quantity.kind is Kind.REGISTER else abs(step) <= reach:
        return None
    return _evidence(case) | {
        "step": to_text(step, case.resolution),
        "limit": to_text(reach),
        "limit_source": f"capacity_by_time:{case.rating.origin}",
    }


def _reach(case: Case, last: Good) -> int | None:
    """How far the register can have moved since, in millionths, rounded up; one step of each value may be rounding."""
    if case.load is None:
        return None
    between = abs(case.time - last.time) + case.parameters.slack
    hours = Fraction(between // timedelta(microseconds=1), _HOUR // timedelta(microseconds=1))
    return -(-case.load * case.parameters.margin * hours // 1) + case.resolution + last.resolution


def _advance(case: Case, last: Good) -> int:
    step = case.value - last.value
    whole = span(case.rating)
    return step + whole if whole is not None and step < 0 and _rolled_over(case, last) else step


def _rolled_over(case: Case, last: Good) -> bool:
    """The register was almost full, and from there through zero it is no further than the meter can have gone."""
    whole, reach = span(case.rating), _reach(case, last)
    if whole is None or reach is None or case.quantity.kind is not Kind.REGISTER:
        return False
    return last.value >= whole * case.parameters.rollover_from and 0 <= case.value - last.value + whole <= reach


def _demand(case: Case) -> Limit | None:
    return None if case.load is None else Limit(case.load * case.parameters.margin, f"capacity:{case.rating.origin}")


def _instant(case: Case) -> Limit | None:
    return instant_limit(
        case.rating, case.quantity, over_voltage=case.parameters.over_voltage, margin=case.parameters.margin
    )


def _beyond(case: Case, limit: Limit | None) -> Evidence | None:
    if limit is None or abs(case.value) <= limit.amount + case.resolution:
        return None
    return _evidence(case) | {"limit": to_text(-(-limit.amount // 1)), "limit_source": limit.source}


def _wrong_frequency(case: Case) -> Evidence | None:
    low, high = case.parameters.frequency
    if case.quantity.unit != "Hz" or low * MILLION <= case.value <= high * MILLION:
        return None
    return _evidence(case) | {"limit": f"{low}..{high}", "limit_source": "reference_frequency"}


def _evidence(case: Case) -> dict[str, str]:
    """What every finding shows: the value, and the last good one it was compared with."""
    shown = {"value": to_text(case.value, case.resolution)}
    if case.last is not None:
        shown["last_value"] = to_text(case.last.value, case.last.resolution)
        shown["last_time"] = case.last.time.isoformat()
        shown["last_origin"] = case.last.origin
    return shown
