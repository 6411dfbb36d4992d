"""How long each meter takes to answer, learned from its own answers: what to expect of it, and when it counts as silent.

A latency runs from the last byte of a question to the first byte of its answer, or to all of it where a gateway hands
answers over whole. It is smoothed as RFC 6298 §2 smooths round trips, and so are the lengths of the answers it was seen
with, for an answer twice as long takes at most twice as long: `timeout` grows with a longer question and is never below
what a line of constant speed needs. Pure: seconds come in. Nothing here shortens a quarantine.
"""

from __future__ import annotations

from dataclasses import dataclass

MULTIPLE = 4
"""A meter counts as silent after so many times its usual latency."""
FLOOR_S = 0.2
"""The least time-out, however fast a meter is: a busy process or a retransmission of TCP (200 ms) is not its silence."""

ENOUGH = 8
"""Answers before a meter is called silent any earlier than the ceiling: one quick answer says little."""

_GAIN = 1 / 8
_SPREAD_GAIN = 1 / 4
"""RFC 6298 §2.3: alpha and beta."""


@dataclass(slots=True)
class _Learned:
    seconds: float
    spread_s: float
    size: float
    answers: int = 1


class Latencies:
    """All meters that have answered. A meter that only failed has nothing to learn from, and keeps its ceiling."""

    __slots__ = ("_floor_s", "_meters")

    def __init__(self, *, floor_s: float = FLOOR_S) -> None:
        self._floor_s = floor_s
        self._meters: dict[str, _Learned] = {}

    def observed(self, meter: str, seconds: float, size: int = 0) -> None:
        """An answer came after so long. `size`: its bytes, where the question tells how many they are."""
        known = self._meters.get(meter)
        if known is None:
            self._meters[meter] = _Learned(seconds, seconds / 2, size)
            return
        known.answers += 1
        known.spread_s += _SPREAD_GAIN * (abs(seconds - known.seconds) - known.spread_s)
        known.seconds += _GAIN * (seconds - known.seconds)
        known.size += _GAIN * (size - known.size)

    def timeout(self, meter: str, ceiling: float, size: int = 0) -> float:
        """How long to wait for an answer of `size` bytes; the ceiling (the channel's time-out) for a meter hardly heard."""
        known = self._meters.get(meter)
        if known is None or known.answers < ENOUGH:
            return ceiling
        seconds = max(MULTIPLE * known.seconds, known.seconds + MULTIPLE * known.spread_s)
        if size > known.size:
            if not known.size:
                return ceiling
            seconds *= size / known.size
        return min(max(seconds, self._floor_s), ceiling)

    def expected(self, meter: str, size: int = 0) -> float | None:
        """How long its answer will most likely take; None for a meter never heard."""
        known = self._meters.get(meter)
        if known is None:
            return None
        return known.seconds * max(1.0, size / known.size) if known.size else known.seconds

    def forget(self, meter: str) -> None:
        """It left the registry, or another device hangs there now."""
        self._meters.pop(meter, None)
