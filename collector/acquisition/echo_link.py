"""A line that hands back what is sent on it: two-wire RS-485 whose adapter listens while it talks.

Stands before any other link. Of what comes after a `write` the first bytes are swallowed as long as they are what was written;
with the first byte that differs there was no echo (or a disturbed one), and everything is handed on for the session to
judge: nothing is lost by a setting that is wrong.
"""

from __future__ import annotations

from collector.acquisition.link import Link


class EchoLink:
    """`link` without its echo."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.name = link.name
        self._expected = b""
        self._held = b""

    async def open(self, deadline: float) -> None:
        """See `Link`."""
        await self._link.open(deadline)

    async def write(self, data: bytes, deadline: float) -> None:
        """See `Link`."""
        self._expected, self._held = data, b""
        await self._link.write(data, deadline)

    async def read(self, deadline: float) -> bytes:
        """See `Link`. An echo that breaks off before the deadline is handed on as it is."""
        while True:
            data = await self._link.read(deadline)
            if not self._expected:
                return data
            if not data:
                return self._hand_over()
            self._held += data
            length = min(len(self._held), len(self._expected))
            if self._held[:length] != self._expected[:length]:
                return self._hand_over()
            if len(self._held) >= len(self._expected):
                rest = self._held[length:]
                self._expected = self._held = b""
                if rest:
                    return rest

    def _hand_over(self) -> bytes:
        data, self._expected, self._held = self._held, b"", b""
        return data

    async def close(self) -> None:
        """See `Link`."""
        self._expected = self._held = b""
        await self._link.close()
