"""How long a line takes for what it is asked: by its speed where it has one, and by what its meters took lately.

On a serial line a question takes its bytes and those of its answer at the line's speed, and the time that the meter thinks;
only that is learned. Where nothing is known of a line's speed (a serial server on a network, a modem), whole exchanges are
learned, by their size. A meter that was never heard is taken for one like its neighbours on the line, and where nobody
was heard for one of the usual make. Between two exchanges lies what the line needs to turn round, and our own work between
two visits; both are learned too. Medians throughout: one late answer changes nothing. Pure: figures in, seconds out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median

from collector.acquisition.breaker import FAILURES, LONGEST
from collector.acquisition.outcome import OK, rule
from collector.acquisition.timing import Timing
from storage.exchanged import Exchanged

THINKING_S = 0.05
"""Of a meter on a serial line before its answer; DL/T 645 allows 20 to 500 ms, Modbus meters take as long."""
ROUND_TRIP_S = 0.1
"""Over a network to a meter that was never heard. A guess, and called so (`Known.ASSUMED`)."""
LATEST = 20
"""Attempts of one meter that count."""
BUSY_S = 1.0
"""A longer pause between two exchanges is a line that had nothing to do."""


class Known(StrEnum):
    """How well it is known how long a line takes."""

    LEARNED = "learned"
    LINE = "line"
    """By the speed of the line alone."""
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Question:
    """In bytes: the question, and about how many its answer has."""

    sent: int
    answer: int

    @property
    def size(self) -> int:
        """On the wire, both ways."""
        return self.sent + self.answer


class Pace:
    """One line. `byte_s`: how long a byte takes on it; 0 where nobody knows. `past`: what was asked on it, oldest first."""

    def __init__(self, byte_s: float, timing: Timing, past: Iterable[Exchanged], *, streaming: bool) -> None:
        self._byte_s = byte_s
        self._timing = timing
        self._streaming = streaming
        log = sorted(past, key=lambda one: one.started_at)
        of_meter: defaultdict[str, list[Exchanged]] = defaultdict(list)
        for one in log:
            of_meter[one.meter].append(one)
        self._latest = latest = {meter: found[-LATEST:] for meter, found in of_meter.items()}
        self._heard = {meter: _sizes(found, byte_s) for meter, found in latest.items()}
        self._heard = {meter: sizes for meter, sizes in self._heard.items() if sizes}
        self._usual = _sizes([one for found in latest.values() for one in found], byte_s)
        self._failing = {meter: _failing(found) for meter, found in latest.items()}
        turn_s = timing.turn_s if streaming else 0.0
        self._within_s = _pause([(a, b) for a, b in pairwise(log) if a.meter == b.meter], turn_s)
        self._between_s = _pause([(a, b) for a, b in pairwise(log) if a.meter != b.meter], self._within_s)

    @property
    def known(self) -> Known:
        """Of the line as a whole."""
        if self._usual:
            return Known.LEARNED
        return Known.LINE if self._byte_s else Known.ASSUMED

    def heard(self, meter: str) -> bool:
        """Whether it has answered lately."""
        return meter in self._heard

    def silent(self, meter: str) -> bool:
        """Asked lately, and never answered."""
        return meter not in self._heard and self._failing.get(meter, 0.0) > 0

    def rests_until(self, meter: str) -> datetime | None:
        """A meter that was asked in vain so often that it is left alone: when it may be tried next, at the latest."""
        found = self._latest.get(meter, [])
        if not self.silent(meter) or len(found) < FAILURES:
            return None
        return found[-1].started_at + LONGEST

    def visit(self, meter: str, questions: Sequence[Question]) -> float:
        """How long all these questions take, to the end of the pause behind the last."""
        if self.silent(meter):
            return self._vain_s()
        seconds = sum(self._exchange(meter, one) for one in questions)
        if share := self._failing.get(meter):
            tries_in_vain = sum(share**n for n in range(1, self._timing.retries + 2))
            seconds += len(questions) * tries_in_vain * self._vain_s()
        return seconds + self._within_s * (len(questions) - 1) + self._between_s

    def _exchange(self, meter: str, question: Question) -> float:
        sizes = self._heard.get(meter) or self._usual
        if self._byte_s:
            thinking_s = next(iter(sizes.values())) if sizes else THINKING_S
            return question.size * self._byte_s + thinking_s
        if not sizes:
            return ROUND_TRIP_S
        nearest = min(sizes, key=lambda size: (abs(size - question.size), size))
        # Longer than anything seen: at the same pace, as if all of it were bytes on a slow line behind the network.
        return sizes[nearest] * max(1.0, question.size / max(1, nearest))

    def _vain_s(self) -> float:
        """A try that brings nothing, and the rest of the line after it."""
        return self._timing.quarantine_s + self._timing.gap_s if self._streaming else self._timing.timeout_s


def _sizes(found: Iterable[Exchanged], byte_s: float) -> dict[int, float]:
    """Size on the wire → seconds that are not explained by the line's speed; on a line with a speed all under one size."""
    seconds: defaultdict[int, list[float]] = defaultdict(list)
    for one in found:
        if one.outcome == OK:
            size = one.sent + one.received
            seconds[0 if byte_s else size].append(max(0.0, one.duration_us / 1e6 - size * byte_s))
    return {size: median(them) for size, them in seconds.items()}


def _failing(found: Sequence[Exchanged]) -> float:
    """The share of tries that brought nothing; a refusal is an answer."""
    in_vain = [one for one in found if one.outcome != OK and (rule(one.outcome).in_vain or rule(one.outcome).leave)]
    return len(in_vain) / len(found)


def _pause(pairs: Sequence[tuple[Exchanged, Exchanged]], usual_s: float) -> float:
    """Between the end of one exchange and the beginning of the next; below zero where several are under way at once."""
    gaps = [
        (after.started_at - before.started_at - timedelta(microseconds=before.duration_us)).total_seconds()
        for before, after in pairs
        if before.outcome == after.outcome == OK
    ]
    busy = [gap_s for gap_s in gaps if gap_s < BUSY_S]
    return median(busy) if busy else usual_s
