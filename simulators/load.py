"""What customers draw: watts per phase over civil time, and the exact integral of them. No clock, no dice, no float.

Power is constant over one step of five minutes, so energy at any instant is a sum of integers: microjoules, which is
watts times microseconds. Everything is a pure function of (seed, name, time): asked twice, in any order, by another
process or on another day, a load answers the same. Invariant: tariffs together equal the sum of the phases' net import,
and no count ever falls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import isqrt
from operator import add, sub

from simulators.shapes import TARIFF_BY_HOUR, TARIFFS, Shape

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
STEP_S = 300
STEP_US = STEP_S * 1_000_000
BLOCK_STEPS = 86_400 // STEP_S
"""A block is one UTC day: what is computed at once and remembered."""
BLOCK_US = BLOCK_STEPS * STEP_US
UJ_PER_KWH = 3_600_000 * 1_000_000
DICE = 8
"""Bytes of chance for each step: two for each phase, two for voltage and frequency."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Energy in microjoules since some instant, as one row of integers, so that rows add and subtract as a whole."""

    row: tuple[int, ...] = (0,) * (2 * TARIFFS + 10)

    @property
    def tariffs(self) -> tuple[int, ...]:
        """Import by tariff; index 0 is tariff 1."""
        return self.row[:TARIFFS]

    @property
    def export(self) -> tuple[int, ...]:
        """Export by tariff."""
        return self.row[TARIFFS : 2 * TARIFFS]

    @property
    def phases(self) -> tuple[int, ...]:
        """Import of each phase."""
        return self.row[2 * TARIFFS : 2 * TARIFFS + 3]

    @property
    def phases_out(self) -> tuple[int, ...]:
        """Export of each phase."""
        return self.row[2 * TARIFFS + 3 : 2 * TARIFFS + 6]

    @property
    def reactive(self) -> tuple[int, ...]:
        """Reactive energy drawn (quadrant I) by each phase."""
        return self.row[2 * TARIFFS + 6 : 2 * TARIFFS + 9]

    @property
    def apparent(self) -> int:
        """Apparent energy."""
        return self.row[2 * TARIFFS + 9]

    @property
    def total(self) -> int:
        """Import over all tariffs."""
        return sum(self.tariffs)

    def __add__(self, other: Counts) -> Counts:
        return Counts(tuple(map(add, self.row, other.row)))

    def __sub__(self, other: Counts) -> Counts:
        return Counts(tuple(map(sub, self.row, other.row)))


@dataclass(frozen=True, slots=True)
class Power:
    """Watts (drawn positive, fed in negative) and vars of each phase, the tariff (1…) in force, and two dice (0…255)."""

    watts: tuple[int, int, int]
    vars: tuple[int, int, int]
    tariff: int
    dice: tuple[int, int] = (128, 128)

    @property
    def volt_amperes(self) -> int:
        """Apparent power of all phases together."""
        return isqrt(sum(self.watts) ** 2 + sum(self.vars) ** 2)

    def over(self, microseconds: int) -> Counts:
        """The energy of this power held that long; a meter nets its phases before it counts import or export."""
        a, b, c = self.watts
        net = a + b + c
        row = [0] * (2 * TARIFFS)
        row[self.tariff - 1 + (TARIFFS if net < 0 else 0)] = abs(net)
        # written out, not looped: this runs once a step of every customer, and the month of a district has millions
        row += (a if a > 0 else 0, b if b > 0 else 0, c if c > 0 else 0)
        row += (-a if a < 0 else 0, -b if b < 0 else 0, -c if c < 0 else 0)
        row += (*self.vars, self.volt_amperes)
        return Counts(tuple([one * microseconds for one in row]))


@dataclass(frozen=True, slots=True)
class _Block:
    """One UTC day: the power of each step, and what has been counted since `since` when the step begins."""

    steps: tuple[Power, ...]
    before: tuple[Counts, ...]
    after: Counts


class Load:
    """One customer behind one meter. `size` scales the shape in thousandths; `limit_w` bounds each phase."""

    def __init__(
        self,
        shape: Shape,
        *,
        seed: int,
        name: str,
        zone: tzinfo,
        since: datetime,
        phases: int = 1,
        size: int = 1000,
        limit_w: int = 13_200,
    ) -> None:
        self._shape = shape
        self._key = f"{seed}/{name}"
        self._zone = zone
        self._since_us = micros(since)
        self._phases = phases
        self._size = size
        self._limit_w = limit_w
        self._blocks: list[_Block] = []

    def power(self, at: datetime) -> Power:
        """What is drawn at an instant, also before the meter was mounted."""
        block, rest = divmod(micros(at), BLOCK_US)
        steps = self._block(block).steps if block >= self._since_us // BLOCK_US else tuple(self._powers(block))
        return steps[rest // STEP_US]

    def counts(self, at: datetime) -> Counts:
        """Energy from `since` to an instant; nothing before it."""
        at_us = micros(at)
        if at_us <= self._since_us:
            return Counts()
        block = self._block(at_us // BLOCK_US)
        step, rest = divmod(at_us % BLOCK_US, STEP_US)
        return block.before[step] + block.steps[step].over(rest) - self._before_since()

    def _before_since(self) -> Counts:
        block = self._block(self._since_us // BLOCK_US)
        step, rest = divmod(self._since_us % BLOCK_US, STEP_US)
        return block.before[step] + block.steps[step].over(rest)

    def _block(self, block: int) -> _Block:
        first = self._since_us // BLOCK_US
        while len(self._blocks) <= block - first:
            steps = tuple(self._powers(first + len(self._blocks)))
            running = self._blocks[-1].after if self._blocks else Counts()
            before = []
            for step in steps:
                before.append(running)
                running += step.over(STEP_US)
            self._blocks.append(_Block(steps, tuple(before), running))
        return self._blocks[block - first]

    def _powers(self, block: int) -> Iterator[Power]:
        dice = hashlib.shake_128(f"{self._key}/{block}".encode()).digest(BLOCK_STEPS * DICE)
        for step in range(BLOCK_STEPS):
            local = (EPOCH + (block * BLOCK_US + step * STEP_US) * MICROSECOND).astimezone(self._zone)
            rolls = dice[step * DICE : (step + 1) * DICE]
            watts = [0, 0, 0]
            for phase in range(self._phases):
                drawn = self._shape.watts(local, rolls[phase * 2], rolls[phase * 2 + 1]) // self._phases
                watts[phase] = min(drawn * self._size // 1000, self._limit_w)
            a, b, c = watts
            q, r, s = (one * self._shape.tan // 1000 for one in watts)
            yield Power((a, b, c), (q, r, s), TARIFF_BY_HOUR[local.hour], (rolls[6], rolls[7]))


def micros(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - EPOCH) // MICROSECOND
