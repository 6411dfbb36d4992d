"""A bounded buffer for the bytes of an unfinished frame.

A parser that is fed by strangers must not grow without end: what would pass `limit` is refused at the door, and the
caller turns it into `Garbage`. No frame of our protocols is longer than 300 bytes (Modbus TCP 260, DL/T 645 216 with its
preamble and tail), so 1 KiB holds a frame, a late one before it, and noise.
"""

from __future__ import annotations

DEFAULT_LIMIT = 1024


class Buffer:
    """Bytes in, frames out; `drop` says how many were used."""

    __slots__ = ("_bytes", "limit")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._bytes = bytearray()
        self.limit = limit

    def __len__(self) -> int:
        return len(self._bytes)

    def append(self, data: bytes) -> bytes:
        """Take `data`; what has no room left is returned, oldest first, so that the newest frame survives a flood."""
        self._bytes += data
        over = len(self._bytes) - self.limit
        return self.take(over) if over > 0 else b""

    def peek(self) -> bytes:
        """All that is held, untouched."""
        return bytes(self._bytes)

    def take(self, count: int) -> bytes:
        """The first `count` bytes, removed."""
        taken = bytes(self._bytes[:count])
        del self._bytes[:count]
        return taken

    def clear(self) -> bytes:
        """Everything, removed."""
        return self.take(len(self._bytes))
