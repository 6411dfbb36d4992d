"""The DL/T 645 frame, both ways: `encode` makes one, `Framer` finds them in a stream. 1997 and 2007 frame alike.

    FE*  68 A0 A1 A2 A3 A4 A5 68 C L DATA(L) CS 16      DATA on the wire is +33H, CS = sum mod 256 from the first 68 to DATA

The end is computed from L, never searched: 68 and 16 are ordinary bytes inside DATA, in CS and in addresses. What looks
like a start is refuted by its content (an address byte that is no BCD, no second 68, L too large, no 16 or another sum
where the end must be) or by silence (`idle`), and then the search goes on at the very next byte; so a good frame behind
noise is always found. FE (preamble) and FF (tail of some meters) between frames are no noise and are dropped silently.

What the sum cannot see: it is one byte, so one wrong frame in 256 of those with many wrong bits passes, and of two flipped
bits about 7 % do. Any single flipped bit is seen. Address, control and identifier are checked by the session on top.
Sources: DL/T 645-2007 clause 5 as told in public implementations; the FF tail icprog/dlt698.45 (libDlt645).
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.buffer import DEFAULT_LIMIT, Buffer
from protocols.dlt645.address import LENGTH, VALID_BYTES, from_wire, to_wire
from protocols.errors import (
    BadChecksum,
    BadDigits,
    ProtocolError,
    RequestError,
    UnexpectedBytes,
    WrongLength,
)
from protocols.telegram import Garbage

START, END = 0x68, 0x16
PREAMBLE = b"\xfe" * 4
"""Sent before requests, wakes optical heads and old line drivers; answers carry 0 to 4 of them."""
MAX_DATA = 200
"""L of a read; a write may have 50."""
OVERHEAD = 12
"""Bytes of a frame beside DATA."""
ANSWER, ERROR, MORE, FUNCTION = 0x80, 0x40, 0x20, 0x1F
"""The bits of the control byte."""
_FILLER = b"\xfe\xff"
_SECOND = 1 + LENGTH
_OFFSET = bytes((byte + 0x33) % 256 for byte in range(256))
_PLAIN = bytes((byte - 0x33) % 256 for byte in range(256))
_TELLING = (UnexpectedBytes, BadDigits, WrongLength, BadChecksum)
"""Of all that is wrong with bytes given up together, the last of these is reported."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that is whole. `address` in full, `data` without the +33H, `raw` from the first 68 to the 16."""

    address: str
    control: int
    data: bytes
    raw: bytes

    @property
    def function(self) -> int:
        """The lower five bits of the control byte: what is asked or answered."""
        return self.control & FUNCTION

    @property
    def is_answer(self) -> bool:
        """It comes from a meter."""
        return bool(self.control & ANSWER)

    @property
    def is_error(self) -> bool:
        """The meter says no; DATA is its error word."""
        return self.is_answer and bool(self.control & ERROR)

    @property
    def more(self) -> bool:
        """The rest must be asked for with function 12H."""
        return self.is_answer and bool(self.control & MORE)


def encode(address: str, control: int, data: bytes = b"", *, preamble: bytes = PREAMBLE) -> bytes:
    """The bytes of a frame, question or answer. :raises RequestError: for an address or a length that has no frame."""
    if len(data) > MAX_DATA:
        raise RequestError(f"{len(data)} bytes of data; a DL/T 645 frame holds {MAX_DATA}")
    body = bytes([START, *to_wire(address), START, control, len(data)]) + data.translate(_OFFSET)
    return preamble + body + bytes([sum(body) % 256, END])


@dataclass(frozen=True, slots=True)
class _Open:
    """May still become a frame."""


@dataclass(frozen=True, slots=True)
class _Refuted:
    """Is no frame; `end` is where it would have ended."""

    error: ProtocolError
    end: int


class Framer:
    """Bytes in, frames and garbage out, in order."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._buffer = Buffer(limit)
        self._flood = b""
        self._silent = 0
        """Bytes of the buffer after which the line was silent: nothing that is open among them will be completed."""

    def receive(self, data: bytes) -> None:
        """Bytes arrived. Those that nobody asked for in time are given up, oldest first."""
        over = self._buffer.append(data)
        if over:
            self._flood = (self._flood + over)[-self._buffer.limit :]
            self._silent = max(0, self._silent - len(over))

    def idle(self) -> None:
        """Silence, or the end of the input."""
        self._silent = len(self._buffer)

    def clear(self) -> None:
        """Forget everything."""
        self._buffer.clear()
        self._flood, self._silent = b"", 0

    def next(self) -> Frame | Garbage | None:
        """The next frame, the bytes before it that are none, or None while nothing can be said."""
        if self._flood:
            data, self._flood = self._flood, b""
            return Garbage(data, UnexpectedBytes("more bytes than can be looked at", data=data))
        while True:
            held = self._buffer.peek()
            at, found, error, doubted = self._search(held)
            if at:
                if error is None and (found is not None or self._silent >= len(held) or not held[:at].strip(_FILLER)):
                    noise = self._take(at)
                    if not noise.strip(_FILLER):
                        continue
                    return Garbage(noise, UnexpectedBytes(data=noise))
                if error is not None and not (isinstance(found, _Open) and at < doubted):
                    return Garbage(self._take(at), error)
                return None
            if isinstance(found, Frame):
                self._take(len(found.raw))
                return found
            return None

    def _search(self, held: bytes) -> tuple[int, Frame | _Open | None, ProtocolError | None, int]:
        """Where the first frame, or what may become one, begins (the end, if nothing does), and what is wrong before."""
        error: ProtocolError | None = None
        doubted = 0
        at = held.find(START)
        while at >= 0:
            found = _look(held, at, ended=at < self._silent)
            if not isinstance(found, _Refuted):
                return at, found, error, doubted
            doubted = max(doubted, found.end)
            if error is None or _TELLING.index(type(found.error)) > _TELLING.index(type(error)):
                error = found.error
            at = held.find(START, at + 1)
        return len(held), None, error, doubted

    def _take(self, count: int) -> bytes:
        self._silent = max(0, self._silent - count)
        return self._buffer.take(count)


def _look(held: bytes, at: int, *, ended: bool) -> Frame | _Open | _Refuted:
    """What stands at a 68."""
    seen = held[at : at + OVERHEAD + MAX_DATA]
    for place, byte in enumerate(seen[1:_SECOND], start=1):
        if byte not in VALID_BYTES:
            return _refuted(BadDigits, f"an address byte is {byte:02X}", seen[: place + 1], place, at)
    if len(seen) > _SECOND and seen[_SECOND] != START:
        return _refuted(UnexpectedBytes, "no second 68 behind the address", seen[: _SECOND + 1], _SECOND, at)
    need = OVERHEAD + seen[9] if len(seen) > 9 else OVERHEAD
    if need > OVERHEAD + MAX_DATA:
        return _refuted(WrongLength, f"the length byte says {seen[9]}, more than {MAX_DATA}", seen[:10], 9, at)
    if len(seen) < need:
        if not ended:
            return _Open()
        return _refuted(WrongLength, f"the frame breaks off, {need - len(seen)} bytes short", seen, len(seen), at)
    raw = seen[:need]
    if raw[-1] != END:
        return _refuted(WrongLength, "no 16 where the length byte puts the end", raw, need - 1, at)
    if (should := sum(raw[:-2]) % 256) != raw[-2]:
        return _refuted(BadChecksum, f"the sum is {should:02X}, the frame says {raw[-2]:02X}", raw, need - 2, at)
    return Frame(from_wire(raw[1:_SECOND]), raw[8], raw[10:-2].translate(_PLAIN), raw)


def _refuted(kind: type[ProtocolError], detail: str, seen: bytes, position: int, at: int) -> _Refuted:
    return _Refuted(kind(detail, data=seen, position=position), at + len(seen))
