"""What a listener on RS-485 hears when several speak at once, bit by bit: a low level wins over a high one.

Each byte is eleven bits, as DL/T 645 has it: a start bit (low), eight data bits with the lowest first, even parity and a stop
bit (high); the idle line is high. The listener is a common UART that hands on what it samples: it begins a byte at a low level,
looks at neither parity nor stop bit, and after a stop bit that was low (a break) waits for the line to be high again. Bits of
different speakers are taken to begin together, which hides more than a real line does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BITS = 11
"""Of a byte on the line."""


def together(sent: Iterable[tuple[int, bytes]]) -> bytes:
    """The bytes that are heard. `sent`: what each says, and how many bit times after the quickest it begins."""
    speaking = [(lag, data) for lag, data in sent if data]
    first = min((lag for lag, _ in speaking), default=0)
    levels = bytearray(b"\x01" * max((lag - first + BITS * len(data) for lag, data in speaking), default=0))
    for lag, data in speaking:
        for place, level in enumerate(_levels(data), start=lag - first):
            levels[place] &= level
    return bytes(_sampled(levels))


def _levels(data: bytes) -> Iterator[int]:
    for byte in data:
        yield 0
        yield from (byte >> bit & 1 for bit in range(8))
        yield byte.bit_count() & 1
        yield 1


def _sampled(levels: bytearray) -> Iterator[int]:
    place = levels.find(0)
    while place >= 0:
        frame = levels[place : place + BITS].ljust(BITS, b"\x01")
        yield sum(level << bit for bit, level in enumerate(frame[1:9]))
        place += BITS
        if not frame[-1] and (place := levels.find(1, place)) < 0:
            return
        place = levels.find(0, place)
