"""What trips each rule and what does not, in a meter clerk's words. tests/house asks that no rule is without both."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from collector.vee.bounds import Rating, capacity, quantity_of
from collector.vee.clocks import Shift
from collector.vee.rules import Case, Good, Parameters
from storage.records import Basis
from storage.values import MILLION

MIDNIGHT = datetime(2026, 3, 14, 16, tzinfo=UTC)
HOME = Rating(
    un_v=220 * MILLION, imax_a=60 * MILLION, wiring="1p", digits=6, ct=Fraction(1), pt=Fraction(1), origin="registry"
)
FOUR_WIRES = replace(HOME, wiring="3p4w")
THREE_WIRES = replace(HOME, un_v=100 * MILLION, imax_a=6 * MILLION, wiring="3p3w")
UNKNOWN = Rating(un_v=None, imax_a=None, wiring="", digits=None, ct=Fraction(1), pt=Fraction(1), origin="profile")

IMPORT, NET, POWER, DEMAND = "1-0:1.8.0", "1-0:16.8.0", "1-0:1.7.0", "1-0:1.6.0"
VOLTAGE, AMPERAGE, FREQUENCY, FACTOR = "1-0:32.7.0", "1-0:31.7.0", "1-0:14.7.0", "1-0:13.7.0"


def case(
    quantity: str,
    value: str,
    last: str | None = None,
    *,
    after: timedelta = timedelta(hours=1),
    rating: Rating = HOME,
    conflicted: bool = False,
    resolution: int = 1_000,
    last_resolution: int = 1_000,
) -> Case:
    """One value, an hour after the last good one (`last`) unless said otherwise."""
    described = quantity_of(quantity)
    return Case(
        quantity=described,
        rating=rating,
        load=capacity(rating, described),
        parameters=Parameters(),
        time=MIDNIGHT + after,
        value=int(Fraction(value) * MILLION),
        resolution=resolution,
        conflicted=conflicted,
        last=None if last is None else Good(MIDNIGHT, int(Fraction(last) * MILLION), last_resolution),
    )


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def dated(
    drift: timedelta | None,
    basis: Basis = Basis.FREEZE,
    *,
    quantity: str = IMPORT,
    value: str = "100",
    shift: timedelta | None = None,
) -> Case:
    """A value with the meter's own stamp."""
    step = None if shift is None else Shift(shift)
    return replace(case(quantity, value), basis=basis, drift=drift, shift=step)


# 220 V × 60 A = 13.2 kW; with 1 % margin and 10 s slack an hour carries 13.369 kWh, and two steps of rounding.
TRIPS: dict[str, dict[str, Case]] = {
    "conflict": {"two values for one moment": case(IMPORT, "100", "99", conflicted=True)},
    "out_of_range": {
        "a home cannot use 14 kWh in an hour": case(IMPORT, "114", "100"),
        "nor can it export that much": case("1-0:2.8.0", "114", "100"),
        "one phase of three carries no more than a home": case("1-0:21.8.0", "114", "100", rating=FOUR_WIRES),
        "three wires carry √3 of one": case(IMPORT, "101.06", "100", rating=THREE_WIRES),
        "net energy falls no faster than it may rise": case(NET, "86", "100"),
        "below zero": case(IMPORT, "-0.001"),
        "more digits than the register has": case(IMPORT, "1000000"),
        "all digits nine": case(IMPORT, "999999.99", "1200"),
        "negative demand of import": case(DEMAND, "-1"),
        "demand above capacity": case(DEMAND, "14"),
        "negative energy of an interval": case("1-0:1.29.0", "-1"),
        "voltage between lines on a phase": case(VOLTAGE, "380"),
        "amperage above the plate": case(AMPERAGE, "-61"),
        "power above capacity": case(POWER, "13.4"),
        "frequency of nothing": case(FREQUENCY, "0"),
        "power factor above one": case(FACTOR, "1.01"),
        "angle beyond a turn": case("1-0:81.7.1", "361"),
    },
    "register_decreased": {
        "less than before": case(IMPORT, "99.999", "100"),
        "less than before, plate unknown": case(IMPORT, "5", "100", rating=UNKNOWN),
        "a fall to zero is no rollover from half way": case(IMPORT, "0.5", "500000"),
        "nor one further than the meter can have gone": case(IMPORT, "50", "999999.99"),
        "a fall of a whole coarse step": case(IMPORT, "99.99", "100", last_resolution=10_000),
        "cold water runs one way": case("8-0:1.0.0", "4", "5"),
    },
    "clock": {
        "a freeze by a clock three minutes off": dated(minutes(3)),
        "one that is slow": dated(minutes(-3)),
        "a settlement by a clock that lost a year": dated(timedelta(days=-365), Basis.SETTLEMENT),
        "a demand has the meter's own stamp": dated(minutes(3), Basis.INSTANT, quantity=DEMAND, value="5"),
    },
    "clock_changed": {
        "put forward: the interval was short": dated(None, Basis.CURVE, shift=minutes(3)),
        "put back: it was long": dated(None, Basis.CURVE, shift=minutes(-3)),
    },
}
PASSES: dict[str, dict[str, Case]] = {
    "clock": {
        "two minutes off": dated(minutes(2)),
        "nobody read it": dated(None),
        "a running register is dated by us": dated(timedelta(days=-365), Basis.INSTANT),
    },
    "clock_changed": {
        "nobody changed it": dated(None, Basis.CURVE),
        "a step of seconds": dated(None, Basis.CURVE, shift=timedelta(seconds=10)),
        "a freeze is no interval": dated(None, shift=minutes(3)),
    },
    "conflict": {"one value": case(IMPORT, "100", "99")},
    "out_of_range": {
        "a full hour at the plate": case(IMPORT, "113.2", "100"),
        "the same in a day": case(IMPORT, "400", "100", after=timedelta(days=1)),
        "three phases carry three times as much": case(IMPORT, "139.6", "100", rating=FOUR_WIRES),
        "three wires carry √3 of one": case(IMPORT, "101.04", "100", rating=THREE_WIRES),
        "nothing used": case(IMPORT, "100", "100"),
        "a second later, one step of rounding": case(IMPORT, "100.04", "100", after=timedelta(seconds=1)),
        "first value ever": case(IMPORT, "54321.9"),
        "plate unknown": case(IMPORT, "5000", "100", rating=UNKNOWN),
        "a fall is not its business": case(IMPORT, "50", "100"),
        "from full through zero": case(IMPORT, "1.5", "999999"),
        "net energy below zero": case(NET, "-5", "-4"),
        "negative demand of net energy": case("1-0:16.6.0", "-1"),
        "negative interval of net energy": case("1-0:16.29.0", "-1"),
        "voltage, high": case(VOLTAGE, "253"),
        "no voltage": case(VOLTAGE, "0"),
        "voltage between lines where no phase is named": case("1-0:12.7.0", "400", rating=FOUR_WIRES),
        "voltage, plate unknown": case(VOLTAGE, "400", rating=UNKNOWN),
        "amperage, plate unknown": case(AMPERAGE, "400", rating=UNKNOWN),
        "power, plate unknown": case(POWER, "400", rating=UNKNOWN),
        "amperage back": case(AMPERAGE, "-60"),
        "power of export": case("1-0:16.7.0", "-13.2"),
        "frequency, low": case(FREQUENCY, "49.2"),
        "power factor, capacitive": case(FACTOR, "-0.8"),
        "angle": case("1-0:81.7.1", "240"),
        "cold water": case("8-0:1.0.0", "900", "5"),
    },
    "register_decreased": {
        "more than before": case(IMPORT, "100.001", "100"),
        "the same": case(IMPORT, "100", "100"),
        "first value ever": case(IMPORT, "3"),
        "net energy may fall": case(NET, "95", "100"),
        "reactive energy of settable composition may fall": case("1-0:3.8.0", "95", "100"),
        "from full through zero": case(IMPORT, "1.5", "999999"),
        "rounding of a coarser reading": case(IMPORT, "99.995", "100", last_resolution=10_000),
        "voltage may fall": case(VOLTAGE, "219", "230"),
    },
}
