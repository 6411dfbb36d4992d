"""The physical meter: registers, instantaneous values, midnight freezes and a clock, at any instant. No bytes, no sockets.

Every protocol is a face on this one model, so what a meter shows over two protocols is the same register. Values are
millionths of the canonical unit, rounded down as counters do; a face may only show fewer digits of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import IntEnum
from functools import cache
from math import isqrt
from zoneinfo import ZoneInfo

from protocols.obis import ELECTRICITY, UNUSED, Obis
from simulators.faults import Fault, distort
from simulators.load import UJ_PER_KWH, Counts, Load
from simulators.shapes import TARIFFS
from simulators.timepiece import Timepiece

UJ_PER_MILLIONTH = UJ_PER_KWH // 1_000_000
FREEZE_DEPTH = 62
"""Midnights that the meter remembers (DL/T 645-2007, 05 06: 62 days)."""
REGISTER, NOW = 8, 7
NOMINAL_MHZ = 50_000
DROP_UV_PER_W = 300
"""Microvolts that each watt takes from the phase voltage: about 3 V at 10 kW on a village line."""


class C(IntEnum):
    """Group C of OBIS, of all phases together; a phase adds 20, 40 or 60."""

    IMPORT = 1
    EXPORT = 2
    REACTIVE_IN = 3
    REACTIVE_OUT = 4
    QUADRANT_1 = 5
    QUADRANT_2 = 6
    QUADRANT_3 = 7
    QUADRANT_4 = 8
    APPARENT = 9
    AMPS = 11
    VOLTS = 12
    FACTOR = 13
    HERTZ = 14
    ABSOLUTE = 15
    NET = 16
    NEUTRAL = 91


@dataclass(frozen=True, slots=True)
class Midnight:
    """A freeze: what its own clock called it, and when that really was."""

    stamp: datetime
    at: datetime


class Meter:
    """A meter at a customer. `mounted` with `start_kwh` (millionths) on its import register; `dark`: without power, from–to."""

    def __init__(
        self,
        name: str,
        load: Load,
        *,
        mounted: datetime,
        zone: ZoneInfo,
        phases: int = 1,
        un_mv: int = 220_000,
        start_kwh: int = 0,
        faults: Sequence[Fault] = (),
        timepiece: Timepiece | None = None,
        dark: Sequence[tuple[datetime, datetime]] = (),
    ) -> None:
        self.name = name
        self.zone = zone
        self.mounted = mounted
        self.phases = phases
        self.faults = tuple(faults)
        self.timepiece = timepiece or Timepiece(zone, mounted)
        self._dark = tuple(dark)
        self._load = load
        self._un_mv = un_mv
        self._latest: tuple[datetime, Counts] | None = None
        self._start = _begin_with(start_kwh * UJ_PER_MILLIONTH, phases)

    def clock(self, at: datetime) -> datetime:
        """What the meter's own clock shows: naive, in its own zone."""
        return self.timepiece.shown(at)

    def value(self, quantity: str, at: datetime) -> int | None:
        """What it holds for a quantity at an instant; None where this meter has no such quantity."""
        code = _parse(quantity)
        if code.a != ELECTRICITY or code.b != 0 or code.f != UNUSED:
            return None
        c, phase = _phase(code.c)
        if phase is not None and phase >= self.phases:
            return 0
        if code.d == REGISTER:
            return _register(self.counts(at), c, phase, code.e)
        if code.d == NOW and code.e == 0:
            return self._instantaneous(c, phase, at)
        return None

    def power_back(self, at: datetime) -> datetime:
        """When it next has power, from an instant on: that instant, where it had power then."""
        return next((end for start, end in self._dark if start <= at < end), at)

    def midnight(self, back: int, at: datetime) -> datetime | None:
        """The stamp of `kept`."""
        kept = self.kept(back, at)
        return None if kept is None else kept.stamp

    def kept(self, back: int, at: datetime) -> Midnight | None:
        """The `back`-th last midnight of its own clock (1 = the latest), at which it kept its registers; None where it kept none:
        beyond its memory, or before it was mounted. Without power it keeps none, and the others move up.
        """
        if not 1 <= back <= FREEZE_DEPTH:
            return None
        today = self.clock(at).date()
        if self.timepiece.true and not self._dark:
            midnight = datetime.combine(today - timedelta(days=back - 1), time(), tzinfo=self.zone)
            return Midnight(midnight, midnight) if midnight >= self.mounted else None
        # In the order in which they were made: a clock that was put back has days in its memory that lie ahead of it.
        made: list[Midnight] = []
        for days in range(-1, 2 * FREEZE_DEPTH):
            stamp = datetime.combine(today - timedelta(days=days), time(), tzinfo=self.zone)
            really = self.timepiece.showed(stamp, at)
            if really is not None and really >= self.mounted and self.power_back(really) == really:
                made.append(Midnight(stamp, really))
        made.sort(key=lambda one: one.at, reverse=True)
        return made[back - 1] if back <= len(made) else None

    def counts(self, at: datetime) -> Counts:
        """All registers at an instant, with the faults that act on them."""
        if self._latest is None or self._latest[0] != at:
            self._latest = (at, self._start + distort(self.faults, at, self._load.counts, UJ_PER_KWH))
        return self._latest[1]

    def _instantaneous(self, c: int, phase: int | None, at: datetime) -> int | None:
        power = self._load.power(at)
        watts = sum(power.watts) if phase is None else power.watts[phase]
        reactive = sum(power.vars) if phase is None else power.vars[phase]
        apparent = _hypotenuse(watts, reactive)
        match c:
            case C.IMPORT:
                return max(watts, 0) * 1000
            case C.EXPORT:
                return max(-watts, 0) * 1000
            case C.NET:
                return watts * 1000
            case C.REACTIVE_IN:
                return reactive * 1000
            case C.APPARENT:
                return apparent * 1000
            case C.AMPS:
                return self._amps(phase, at)
            case C.NEUTRAL:
                return self._amps(0, at) if self.phases == 1 else 0
            case C.VOLTS:
                return self._millivolts(phase or 0, at) * 1000
            case C.FACTOR:
                return 1_000_000 if apparent == 0 else abs(watts) * 1_000_000 // apparent
            case C.HERTZ:
                return (NOMINAL_MHZ + (power.dice[1] - 128) // 8) * 1000
            case _:
                return None

    def _millivolts(self, phase: int, at: datetime) -> int:
        power = self._load.power(at)
        wobble = ((power.dice[0] + 85 * phase) % 256 - 128) * self._un_mv // 10_000
        return self._un_mv + wobble - power.watts[phase] * DROP_UV_PER_W // 1000

    def _amps(self, phase: int | None, at: datetime) -> int:
        """Millionths of an ampere, from the same watts and volts, down to the milliampere that meters resolve."""
        power = self._load.power(at)
        phases = range(self.phases) if phase is None else (phase,)
        return sum(
            _hypotenuse(power.watts[one], power.vars[one]) * 1_000_000 // self._millivolts(one, at) * 1000
            for one in phases
        )


@cache
def _parse(quantity: str) -> Obis:
    return Obis.parse(quantity)


def _phase(c: int) -> tuple[int, int | None]:
    """Group C without its phase, and the phase (0, 1, 2; None for all together)."""
    for phase, offset in enumerate((20, 40, 60)):
        if offset < c <= offset + 16:
            return c - offset, phase
    return c, None


def _register(counts: Counts, c: int, phase: int | None, tariff: int) -> int | None:
    energies = _whole(counts, tariff) if phase is None else _of_phase(counts, phase) if tariff == 0 else {}
    energy = energies.get(c)
    return None if energy is None else energy // UJ_PER_MILLIONTH


def _whole(counts: Counts, tariff: int) -> dict[int, int]:
    """Registers of all phases together; only active energy is kept by tariff."""
    if tariff > TARIFFS:
        return {}
    if tariff:
        return {C.IMPORT: counts.tariffs[tariff - 1], C.EXPORT: counts.export[tariff - 1]}
    drawn, fed, reactive = sum(counts.tariffs), sum(counts.export), sum(counts.reactive)
    return {
        C.IMPORT: drawn,
        C.EXPORT: fed,
        C.REACTIVE_IN: reactive,
        C.REACTIVE_OUT: 0,
        C.QUADRANT_1: reactive,
        C.QUADRANT_2: 0,
        C.QUADRANT_3: 0,
        C.QUADRANT_4: 0,
        C.APPARENT: counts.apparent,
        C.ABSOLUTE: drawn + fed,
        C.NET: drawn - fed,
    }


def _of_phase(counts: Counts, phase: int) -> dict[int, int]:
    drawn, fed = counts.phases[phase], counts.phases_out[phase]
    return {
        C.IMPORT: drawn,
        C.EXPORT: fed,
        C.REACTIVE_IN: counts.reactive[phase],
        C.REACTIVE_OUT: 0,
        C.ABSOLUTE: drawn + fed,
        C.NET: drawn - fed,
    }


def _begin_with(energy: int, phases: int) -> Counts:
    """Registers of a meter that has `energy` microjoules on it: spread evenly, so that parts still equal the whole."""
    row = [0] * len(Counts().row)
    for places in (range(TARIFFS), range(2 * TARIFFS, 2 * TARIFFS + phases)):
        each, rest = divmod(energy, len(places))
        for place in places:
            row[place] = each
        row[places[0]] += rest
    return Counts(tuple(row))


def _hypotenuse(watts: int, reactive: int) -> int:
    return isqrt(watts**2 + reactive**2)
