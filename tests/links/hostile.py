"""A Modbus TCP device that lies in one way at a time. Its frames are written out here by hand, by no codec."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.links.serving import serving

Answer = Callable[[int, int, bytes], list[bytes | float | None]]
"""(transaction, unit, words) → what to do: send bytes, wait seconds, None = close the connection."""


def mbap(transaction: int, unit: int, pdu: bytes, *, protocol: int = 0, length: int | None = None) -> bytes:
    """A frame that need not be true."""
    said = 1 + len(pdu) if length is None else length
    return struct.pack(">HHHB", transaction, protocol, said, unit) + pdu


def honest(transaction: int, unit: int, words: bytes) -> bytes:
    """The answer of a good device to function 4."""
    return mbap(transaction, unit, bytes([4, len(words)]) + words)


def one_short(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """One register fewer than asked, and consistent with itself."""
    return [honest(transaction, unit, words[:-2])]


def one_long(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """One register more than asked, and consistent with itself."""
    return [honest(transaction, unit, words + b"\x00\x07")]


def lying_byte_count(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """The byte count says one register fewer than follow; the header is right."""
    return [mbap(transaction, unit, bytes([4, len(words) - 2]) + words)]


def lying_header(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """The header announces less than follows."""
    return [mbap(transaction, unit, bytes([4, len(words)]) + words, length=len(words) - 1)]


def wrong_function(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """Function 3 for 4, all else right."""
    return [mbap(transaction, unit, bytes([3, len(words)]) + words)]


def wrong_unit(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """The neighbour answers."""
    return [honest(transaction, unit + 1, words)]


def wrong_transaction(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """The answer of the question before."""
    return [honest(transaction - 1 or 0xFFFF, unit, words)]


def zero_transaction(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """As gateways do that do not copy the header."""
    return [honest(0, unit, words)]


def leading_garbage(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """Four bytes, then a good answer."""
    return [b"\xde\xad\xbe\xef" + honest(transaction, unit, words)]


def other_protocol(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """A protocol identifier that is not Modbus."""
    return [mbap(transaction, unit, bytes([4, len(words)]) + words, protocol=1)]


def closes_mid_frame(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """Half an answer and the end."""
    return [honest(transaction, unit, words)[:7], None]


def stops_mid_frame(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """Half an answer and then nothing."""
    return [honest(transaction, unit, words)[:10]]


def never(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """Takes the question and says nothing."""
    return []


def slowly(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """A good answer, byte by byte."""
    return [part for byte in honest(transaction, unit, words) for part in (bytes([byte]), 0.002)]


def twice(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """A good answer, and the same again."""
    return [honest(transaction, unit, words) * 2]


def refuses(transaction: int, unit: int, words: bytes) -> list[bytes | float | None]:
    """Exception 2, and well framed."""
    return [mbap(transaction, unit, b"\x84\x02")]


@dataclass(slots=True)
class Hostile:
    """A server: lies as `lies` says, one entry a question; honest when the list is empty."""

    port: int = 0
    lies: list[Answer] = field(default_factory=list)
    connections: int = 0
    questions: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection. A register's value is its own wire address."""
        self.connections += 1
        while True:
            transaction, _, _, unit, _, start, count = struct.unpack(">HHHBBHH", await reader.readexactly(12))
            self.questions += 1
            words = b"".join(struct.pack(">H", start + n) for n in range(count))
            todo = self.lies.pop(0)(transaction, unit, words) if self.lies else [honest(transaction, unit, words)]
            for step in todo:
                if step is None:
                    return
                if isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
                else:
                    await asyncio.sleep(step)


@asynccontextmanager
async def hostile_server(*lies: Answer) -> AsyncIterator[Hostile]:
    """Running on a free port of this machine."""
    hostile = Hostile(lies=list(lies))
    async with serving(hostile.serve) as hostile.port:
        yield hostile
