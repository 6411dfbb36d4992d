"""A Modbus RTU device that answers late at random, and the oracle: a register's value is known from its address.

An RTU answer does not say which address it is about, so an answer taken for the next question's passes every check and is
wrong. The device is in order and answers every question, as real ones do. Its frames and checksum are written out here.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.acquisition.line import Errand, Line
from collector.acquisition.link import Link
from collector.acquisition.quarantine import Settled
from collector.acquisition.timing import Timing
from protocols.dialects import DIALECTS
from protocols.telegram import Request

RTU = DIALECTS["modbus-rtu"]
REGISTERS = 2


def crc(data: bytes) -> bytes:
    """MODBUS over Serial Line V1.02 appendix B, bit by bit, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


def truth(start: int) -> bytes:
    """What the registers from this address on hold."""
    return b"".join(struct.pack(">H", address ^ 0x5A5A) for address in range(start, start + REGISTERS))


@dataclass(slots=True)
class LateDevice:
    """Answers after `usual_s`, or with probability `late_p` after anything up to three time-outs."""

    dice: random.Random
    late_p: float
    timeout_s: float
    usual_s: float
    late: int = 0
    took_s: float = 0.0
    """From each question to its answer, all together."""
    _buffer: bytearray = field(default_factory=bytearray)
    _free_at: float = 0.0

    def __call__(self, data: bytes) -> Iterator[tuple[float, bytes]]:
        """Bytes in; (seconds from now, bytes out)."""
        self._buffer += data
        while len(self._buffer) >= 8:
            frame = bytes(self._buffer[:8])
            if crc(frame[:6]) != frame[6:]:
                del self._buffer[0]
                continue
            del self._buffer[:8]
            yield self._due(), self._answer(frame)

    def _due(self) -> float:
        now = asyncio.get_running_loop().time()
        delay_s = self.usual_s
        if self.dice.random() < self.late_p:
            delay_s = self.dice.uniform(0, 3 * self.timeout_s)
            self.late += delay_s > self.timeout_s
        self._free_at = max(now + delay_s, self._free_at)
        self.took_s += self._free_at - now
        return self._free_at - now

    @staticmethod
    def _answer(frame: bytes) -> bytes:
        unit, function, start, count = struct.unpack(">BBHH", frame[:6])
        words = b"".join(struct.pack(">H", address ^ 0x5A5A) for address in range(start, start + count))
        body = bytes([unit, function, len(words)]) + words
        return body + crc(body)


@dataclass(slots=True)
class Tally:
    """What came of many questions."""

    right: int = 0
    wrong: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


async def ask_many(line: Line, count: int, timing: Timing, dice: random.Random) -> Tally:
    """Questions at random addresses, one after the other, without retries; each answer held against the truth."""
    tally = Tally()
    for _ in range(count):
        start = dice.randrange(0x8000)
        one = await line.exchange(RTU, Request("1", 4, str(start), REGISTERS), timing, Errand("M1"))
        tally.outcomes[one.attempt.outcome] = tally.outcomes.get(one.attempt.outcome, 0) + 1
        if one.telegram is not None:
            right = one.telegram.payload == truth(start)
            tally.right += right
            tally.wrong += not right
    return tally


class NoGuard:
    """The weak variant: gives up at the time-out, and sends whenever it is asked to. The product has no such adapter."""

    def listen_s(self, timing: Timing) -> float:
        """No longer than the time-out."""
        return timing.timeout_s

    def answered(self, at: float, timing: Timing) -> None:
        """Nothing is remembered."""

    def doubt(self, sent_at: float, timing: Timing) -> None:
        """Nothing is remembered."""

    async def settle(self, link: Link, timing: Timing) -> Settled:
        """It is never unsafe to send."""
        return Settled(silent=True, drained=0)
