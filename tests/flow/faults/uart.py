"""What a UART makes of bytes that were sent at another speed or with another parity: it samples the line by its own clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plate:
    """Bits a second, and whether an even parity bit follows the eight."""

    baud: int
    parity: bool

    def bits(self, byte: int) -> list[int]:
        """Start, eight data bits (lowest first), parity, stop."""
        data = [byte >> place & 1 for place in range(8)]
        return [0, *data, *([sum(data) % 2] if self.parity else []), 1]


def heard(data: bytes, sent: Plate, by: Plate) -> bytes:
    """What arrives. A byte with a wrong parity or stop bit is kept as it was sampled, as Linux does by default."""
    return bytes(_sampled([bit for byte in data for bit in sent.bits(byte)], sent, by))


def _sampled(line: list[int], sent: Plate, by: Plate) -> Iterator[int]:
    ratio = sent.baud / by.baud  # of the sender's bits, one of the receiver's
    at = 0.0
    while (start := next((n for n in range(int(at), len(line)) if line[n] == 0), None)) is not None:
        begin = max(at, float(start))
        samples = [_level(line, begin + (place + 1.5) * ratio) for place in range(8)]
        yield sum(bit << place for place, bit in enumerate(samples))
        at = begin + (1 + 8 + by.parity + 0.5) * ratio
        while at < len(line) and _level(line, at) == 0:  # it waits for the line to be idle again
            at += 1


def _level(line: list[int], at: float) -> int:
    return line[int(at)] if int(at) < len(line) else 1
