"""A hundred meters on a slow bus, one of which babbles: it answers every question with garbage, and talks unasked besides."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from collector.acquisition.timing import Timing
from storage.records import Plan
from tests.flow.faults.one_bus import ENERGY, Ran, Units, Weak, run_bus, unit_meter
from tests.links.memory_link import MemoryLink

DAY = timedelta(hours=24)
BABBLER = "m1"
OTHERS = tuple(f"m{unit}" for unit in range(2, 101))
PLANS = (
    Plan("quarter", (ENERGY, "1-0:32.7.0"), every_s=900),
    Plan("check", (ENERGY,), every_s=60, classes=("business",)),
)
TIMING = Timing(timeout_s=3.0, retries=2, worst_reply_s=9.0, gap_s=0.1)
REPLY_S = 2.8
"""Meters behind power-line or radio couplers are that slow; a round of a hundred takes ten minutes."""
MOST = 300
"""Bytes of garbage."""
BAUD = 1200
TALK_S = MOST * 10 / BAUD
TALKS_EVERY_S = TALK_S / 0.05


@dataclass(slots=True)
class Babbling:
    """The bus. While the babbler talks, whatever another says is garbled."""

    dice: random.Random
    units: Units = field(default_factory=lambda: Units(REPLY_S))
    until: float = 0.0

    def __call__(self, data: bytes) -> Iterator[tuple[float, bytes]]:
        now = asyncio.get_running_loop().time()
        if data[0] == 1:
            yield from self._garbage(REPLY_S)
            return
        for delay_s, answer in self.units(data):
            spoilt = now < self.until or self._talks_at(now + delay_s)
            yield delay_s, bytes(byte ^ 0x5A for byte in answer) if spoilt else answer

    def talk(self, link: MemoryLink, _: random.Random) -> None:
        """For ever: a burst, and then silence."""
        loop = asyncio.get_running_loop()

        def burst() -> None:
            self.until = loop.time() + TALK_S
            for delay_s, data in self._garbage(0.0):
                loop.call_later(delay_s, link.arrive, data)
            loop.call_later(TALKS_EVERY_S, burst)

        loop.call_later(TALKS_EVERY_S, burst)

    def _talks_at(self, at: float) -> bool:
        return at % TALKS_EVERY_S < TALK_S and at > TALKS_EVERY_S

    def _garbage(self, delay_s: float) -> Iterator[tuple[float, bytes]]:
        for n in range(0, MOST, 30):
            yield delay_s + n * 10 / BAUD, self.dice.randbytes(30)


def babble(weak: Weak, span: timedelta = DAY) -> Ran:
    """A day on such a bus."""
    bus = Babbling(random.Random(7))
    meters = [unit_meter(unit, class_="business" if unit == 1 else "household") for unit in range(1, 101)]
    return run_bus(meters, PLANS, bus, span, timing=TIMING, weak=weak, beside=bus.talk)
