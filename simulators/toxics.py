"""What can happen to bytes on their way, sans-io: bytes and a time in, steps out, each with the time at which it is to be taken.

One `Disturbance` is one connection (or one bus). What one read brings is one utterance: a request, or an answer; each toxic
of the list touches it in turn. Seeded: the same bytes at the same times come to the same steps. Invariant: within one
direction nothing overtakes, as on a stream or a bus; and after an end nothing follows.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

BITS = 8


class Towards(StrEnum):
    """Who gets it."""

    COLLECTOR = "collector"
    METER = "meter"


class End(StrEnum):
    """How a connection ends."""

    RESET = "reset"
    """RST: what was not yet read is gone."""
    CLOSE = "close"
    """FIN, after all that was sent."""


class Place(StrEnum):
    """Where noise stands."""

    BEFORE = "before"
    BETWEEN = "between"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Step:
    """Bytes that leave at `at` (seconds of whoever drives it), or the end of the connection."""

    at: float
    to: Towards
    data: bytes = b""
    end: End | None = None


@dataclass(slots=True)
class Memory:
    """What toxics share within one connection. `hits` counts what was done, by toxic, over all connections of a list."""

    dice: random.Random
    hits: Counter[str] = field(default_factory=Counter)
    passed: Counter[Towards] = field(default_factory=Counter)

    def falls(self, toxic: object, share: float) -> bool:
        """Whether this utterance falls to a toxic; then it is counted."""
        if self.dice.random() >= share:
            return False
        self.hits[type(toxic).__name__] += 1
        return True


class Toxic(Protocol):
    """One thing that can happen. `to`: which direction it touches."""

    @property
    def to(self) -> Towards:
        """The direction."""

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterable[Step]:
        """What becomes of one utterance."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Everything comes later: by `delay_s`, and up to `jitter_s` more."""

    delay_s: float
    jitter_s: float = 0.0
    to: Towards = Towards.COLLECTOR

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterator[Step]:
        delay_s = self.delay_s + memory.dice.uniform(0, self.jitter_s)
        return (replace(step, at=step.at + delay_s) for step in steps)


@dataclass(frozen=True, slots=True)
class Late:
    """A share of the answers comes between `least_s` and `most_s` later."""

    share: float
    least_s: float
    most_s: float
    to: Towards = Towards.COLLECTOR

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterable[Step]:
        if not memory.falls(self, self.share):
            return steps
        delay_s = memory.dice.uniform(self.least_s, self.most_s)
        return [replace(step, at=step.at + delay_s) for step in steps]


@dataclass(frozen=True, slots=True)
class Slice:
    """Pieces of `size` bytes, `gap_s` apart."""

    gap_s: float
    size: int = 1
    share: float = 1.0
    to: Towards = Towards.COLLECTOR

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterator[Step]:
        if not memory.falls(self, self.share):
            yield from steps
            return
        late_s = 0.0
        for step in steps:
            for n, start in enumerate(range(0, len(step.data), self.size)):
                late_s += self.gap_s if n else 0.0
                yield Step(step.at + late_s, step.to, step.data[start : start + self.size])
            if step.end is not None:
                yield replace(step, at=step.at + late_s, data=b"")


@dataclass(frozen=True, slots=True)
class FlipBits:
    """Each byte loses one bit with probability `per_byte`: a noisy line."""

    per_byte: float
    to: Towards = Towards.COLLECTOR

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterator[Step]:
        for step in steps:
            hit = [place for place in range(len(step.data)) if memory.dice.random() < self.per_byte]
            memory.hits[type(self).__name__] += bool(hit)
            yield replace(step, data=_flipped(step.data, (BITS * at + memory.dice.randrange(BITS) for at in hit)))


@dataclass(frozen=True, slots=True)
class FlipExactly:
    """`bits` bits of one answer are turned: anywhere, or in a row (`burst`)."""

    bits: int
    share: float = 1.0
    burst: bool = False
    to: Towards = Towards.COLLECTOR

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterator[Step]:
        for step in steps:
            total = BITS * len(step.data)
            if total < self.bits or not memory.falls(self, self.share):
                yield step
            elif self.burst:
                first = memory.dice.randrange(total - self.bits + 1)
                yield replace(step, data=_flipped(step.data, range(first, first + self.bits)))
            else:
                yield replace(step, data=_flipped(step.data, memory.dice.sample(range(total), self.bits)))


@dataclass(frozen=True, slots=True)
class Double:
    """The same again, `gap_s` later."""

    share: float = 1.0
    gap_s: float = 0.0
    to: Towards = Towards.COLLECTOR

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterable[Step]:
        if not memory.falls(self, self.share):
            return steps
        return [*steps, *(replace(step, at=step.at + self.gap_s) for step in steps)]


@dataclass(frozen=True, slots=True)
class Noise:
    """Between `least` and `most` random bytes beside or inside an answer, without a pause."""

    place: Place
    share: float = 1.0
    least: int = 1
    most: int = 8
    to: Towards = Towards.COLLECTOR

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterator[Step]:
        for step in steps:
            if not step.data or not memory.falls(self, self.share):
                yield step
                continue
            noise = memory.dice.randbytes(memory.dice.randint(self.least, self.most))
            inside = memory.dice.randrange(1, max(2, len(step.data)))
            cut = {Place.BEFORE: 0, Place.BETWEEN: inside, Place.AFTER: len(step.data)}[self.place]
            yield replace(step, data=step.data[:cut] + noise + step.data[cut:])


@dataclass(frozen=True, slots=True)
class Echo:
    """The request comes back at once: two-wire RS-485 whose adapter listens while it talks."""

    share: float = 1.0
    to: Towards = Towards.METER

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterable[Step]:
        if not memory.falls(self, self.share):
            return steps
        return [*(replace(step, to=Towards.COLLECTOR) for step in steps), *steps]


@dataclass(frozen=True, slots=True)
class Lose:
    """A share vanishes; all of it: a black hole in this direction."""

    share: float = 1.0
    to: Towards = Towards.COLLECTOR

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterable[Step]:
        return () if memory.falls(self, self.share) else steps


@dataclass(frozen=True, slots=True)
class Cut:
    """A share of the answers breaks off at a random byte, and `after_s` later the connection ends."""

    share: float
    end: End = End.RESET
    after_s: float = 0.0
    to: Towards = Towards.COLLECTOR

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterator[Step]:
        for step in steps:
            if not step.data or not memory.falls(self, self.share):
                yield step
                continue
            yield replace(step, data=step.data[: memory.dice.randrange(len(step.data))])
            yield Step(step.at + self.after_s, step.to, end=self.end)
            return


@dataclass(frozen=True, slots=True)
class Limit:
    """So many bytes in this direction, then the connection ends."""

    most: int
    end: End = End.CLOSE
    to: Towards = Towards.COLLECTOR

    def touch(self, steps: Sequence[Step], memory: Memory) -> Iterator[Step]:
        left = self.most - memory.passed[self.to]
        for step in steps:
            yield replace(step, data=step.data[: max(0, left)])
            left -= len(step.data)
            if left < 0:
                memory.hits[type(self).__name__] += 1
                yield Step(step.at, step.to, end=self.end)
                return


class Disturbance:
    """One connection, or one bus. `toxics` may be changed while it lives; `half_open`: nothing passes any more, and
    neither side is told. `byte_s`: how long one byte takes; what is said meanwhile in the same direction waits.
    """

    def __init__(
        self,
        toxics: Sequence[Toxic],
        dice: random.Random,
        hits: Counter[str] | None = None,
        *,
        byte_s: float = 0.0,
    ) -> None:
        self.toxics = toxics
        self._byte_s = byte_s
        self.half_open = False
        self._memory = Memory(dice, Counter() if hits is None else hits)
        self._free_at = dict.fromkeys(Towards, float("-inf"))
        self._ended = False

    @property
    def hits(self) -> Counter[str]:
        """How often each toxic struck."""
        return self._memory.hits

    def pass_on(self, data: bytes, now: float, to: Towards) -> list[Step]:
        """One utterance."""
        if self.half_open or self._ended:
            return []
        steps: Sequence[Step] = [Step(now, to, data)]
        for toxic in self.toxics:
            here = [step for step in steps if step.to is toxic.to]
            if here:
                steps = [*(step for step in steps if step.to is not toxic.to), *toxic.touch(here, self._memory)]
        return list(self._in_order(steps))

    def _in_order(self, steps: Iterable[Step]) -> Iterator[Step]:
        for step in steps:
            if not step.data and step.end is None:
                continue
            at = max(step.at, self._free_at[step.to]) + len(step.data) * self._byte_s
            self._free_at[step.to] = at
            self._memory.passed[step.to] += len(step.data)
            yield replace(step, at=at)
            if step.end is not None:
                self._ended = True
                return


def on_a_bus(
    device: Callable[[bytes], Iterable[tuple[float, bytes]]], between: Disturbance, now: Callable[[], float]
) -> Callable[[bytes], Iterator[tuple[float, bytes]]]:
    """A device (bytes in; seconds from now and bytes out) with this between it and its reader: for a link in memory or a
    pty. A bus has no end of a connection: toxics that end one only cut.
    """

    def disturbed(data: bytes) -> Iterator[tuple[float, bytes]]:
        begun = now()
        for step in between.pass_on(data, begun, Towards.METER):
            if step.to is Towards.COLLECTOR:
                yield step.at - begun, step.data
                continue
            for delay_s, answer in device(step.data):
                for said in between.pass_on(answer, step.at + delay_s, Towards.COLLECTOR):
                    yield said.at - begun, said.data

    return disturbed


def _flipped(data: bytes, bits: Iterable[int]) -> bytes:
    spoilt = bytearray(data)
    for bit in bits:
        spoilt[bit // BITS] ^= 1 << bit % BITS
    return bytes(spoilt)
