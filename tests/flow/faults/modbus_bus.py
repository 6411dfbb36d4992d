"""Simulated meters on a Modbus bus or behind a Modbus TCP gateway, sans-io, and the lies that such devices tell.

Frames and checksum are written out by hand; what stands in the registers, and the truth of it, is the simulators'.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from simulators.modbus_registers import RegisterImage
from simulators.truth import Truth
from tests.links.late_device import crc


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device is about to say; a lie changes it. `size` is the byte count as it says."""

    transaction: int
    unit: int
    function: int
    size: int
    words: bytes
    cut: int = 0
    """Bytes that the end of the frame lacks."""


Lie = Callable[[Answer], Answer]


def of_the_neighbour(answer: Answer) -> Answer:
    """F22: another unit answers what stands there, all else in order."""
    return replace(answer, unit=answer.unit % 247 + 1, words=_elsewhere(answer.words))


def of_another_function(answer: Answer) -> Answer:
    """F23: function 3 for 4 and 4 for 3, and what stands there."""
    return replace(answer, function=7 - answer.function, words=_elsewhere(answer.words))


def a_register_short(answer: Answer) -> Answer:
    """F24: one register fewer than asked, and consistent with itself."""
    return replace(answer, size=answer.size - 2, words=answer.words[:-2])


def a_register_long(answer: Answer) -> Answer:
    """F24: one more."""
    return replace(answer, size=answer.size + 2, words=answer.words + b"\x12\x34")


def of_wrong_size(answer: Answer) -> Answer:
    """F24: the byte count does not fit what follows."""
    return replace(answer, size=answer.size - 1)


def cut_short(answer: Answer) -> Answer:
    """F24: the frame ends two bytes early."""
    return replace(answer, cut=2)


def of_the_question_before(answer: Answer) -> Answer:
    """F21: the transaction before."""
    return replace(answer, transaction=answer.transaction - 1 & 0xFFFF)


def _elsewhere(words: bytes) -> bytes:
    return bytes(byte ^ 0x05 for byte in words)


@dataclass(slots=True)
class ModbusBus:
    """Bytes in; (seconds from now, bytes out). `lie` with `share` says how many answers are lies."""

    images: Mapping[int, RegisterImage]
    truth: Truth
    now: Callable[[], datetime]
    tcp: bool = False
    reply_s: float = 0.05
    lies: tuple[Lie, ...] = ()
    share: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    lied: int = 0
    _buffer: bytearray = field(default_factory=bytearray)

    def hang_up(self) -> None:
        """A new connection: half a question is forgotten."""
        self._buffer.clear()

    def __call__(self, data: bytes) -> Iterator[tuple[float, bytes]]:
        self._buffer += data
        length = 12 if self.tcp else 8
        while len(self._buffer) >= length:
            frame = bytes(self._buffer[:length])
            if not self.tcp and crc(frame[:6]) != frame[6:]:
                del self._buffer[0]
                continue
            del self._buffer[:length]
            transaction = struct.unpack(">H", frame[:2])[0] if self.tcp else 0
            unit, function, first, count = struct.unpack(">BBHH", frame[6:] if self.tcp else frame[:6])
            if unit in self.images:
                yield self.reply_s, self._answer(transaction, unit, function, first, count)

    def _answer(self, transaction: int, unit: int, function: int, first: int, count: int) -> bytes:
        words = [0] * count
        at, image = self.now(), self.images[unit]
        displays = image.fill(function, first, count, at, words, first)
        answer = Answer(transaction, unit, function, 2 * count, struct.pack(f">{count}H", *words))
        if self.lies and self.dice.random() < self.share:
            self.lied += 1
            answer = self.dice.choice(self.lies)(answer)
        self.truth.show(image.meter.name, at, displays)
        return self._frame(answer)

    def _frame(self, answer: Answer) -> bytes:
        pdu = bytes([answer.unit, answer.function, answer.size]) + answer.words
        frame = struct.pack(">HHH", answer.transaction, 0, len(pdu)) + pdu if self.tcp else pdu + crc(pdu)
        return frame[: len(frame) - answer.cut]
