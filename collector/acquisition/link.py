"""The port of every medium: bytes out, bytes in, nothing understood. Adapters: the `*_link.py` beside it.

A link is half-duplex and has one user at a time (the line). Deadlines are the event loop's time (`loop.time()`).
"""

from __future__ import annotations

from typing import Protocol


class Link(Protocol):
    """One medium."""

    name: str
    """Its URL, for messages."""

    async def open(self, deadline: float) -> None:
        """Be connected; nothing to do if it already is.

        :raises LinkError: `connection_refused`, `connection_timeout`, `port_in_use`, `no_such_port` …
        """

    async def write(self, data: bytes, deadline: float) -> None:
        """Send all of `data`. :raises LinkError: `connection_lost`, `no_answer` if the deadline passes."""

    async def read(self, deadline: float) -> bytes:
        """The bytes that are there, or come first; b"" when the deadline passes without any.

        :raises LinkError: `connection_lost` when the other side has gone.
        """

    async def close(self) -> None:
        """Let go of the medium; `open` may be called again."""
