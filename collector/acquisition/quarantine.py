"""When it is safe to send: the rule that no late answer can be taken for the answer to the next question.

An answer that comes after its time-out looks, on Modbus RTU, exactly like the answer to whatever is asked next, and a
client that goes on asking stays one behind for ever, reporting wrong values and no error. So after every exchange
that did not end with its own answer nothing is sent until the device's worst reply time has passed and the line has then been
silent for its gap. The exchange itself listens until then (`listen_s`): as nothing else was sent, an answer that comes late
is still its own, and ends the wait. What comes after it is thrown away and counted. A line that never falls silent is given
as long again, and then given up.

The rule is as good as the configured worst reply time; a second proof of identity (address, identifier, serial) stands beside it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from collector.acquisition.link import Link
from collector.acquisition.timing import Timing

LEAST_PATIENCE_S = 1.0
"""A line is given at least this long to fall silent, however short its worst reply time."""


@dataclass(frozen=True, slots=True)
class Settled:
    """`silent`: it is safe to send. `drained`: bytes that came meanwhile and were thrown away."""

    silent: bool
    drained: int


class Guard(Protocol):
    """The port: the product has one adapter, below; tests build a weak one to see wrong values appear."""

    def listen_s(self, timing: Timing) -> float:
        """How long after a question its answer is listened for: as long as nothing else may be sent."""

    def answered(self, at: float, timing: Timing) -> None:
        """An exchange ended with its own answer; its last byte came at `at`."""

    def doubt(self, sent_at: float, timing: Timing) -> None:
        """An exchange ended without: its answer may still be on the way."""

    async def settle(self, link: Link, timing: Timing) -> Settled:
        """Wait until it is safe to send, for a bounded time. :raises LinkError: the medium has gone."""


class Quarantine:
    """Keeps, for one line, the instant until which an answer may still come."""

    def __init__(self) -> None:
        self._until = float("-inf")
        self._silence_s = 0.0
        self._patience_s = LEAST_PATIENCE_S
        self._restless = False  # given up while it was talking: its silence must be heard, however long ago that was

    def listen_s(self, timing: Timing) -> float:
        """See `Guard`: until no late answer can come."""
        return timing.quarantine_s

    def answered(self, at: float, timing: Timing) -> None:
        """Only the line's turn-round is left to be kept."""
        self._until, self._silence_s, self._patience_s = at, timing.turn_s, LEAST_PATIENCE_S

    def doubt(self, sent_at: float, timing: Timing) -> None:
        """Two doubts: the later end counts."""
        self._until = max(self._until, sent_at + timing.quarantine_s)
        self._silence_s = max(self._silence_s, timing.gap_s)
        self._patience_s = max(timing.quarantine_s, LEAST_PATIENCE_S)

    async def settle(self, link: Link, timing: Timing) -> Settled:
        """See `Guard`. What has been lying in the link since the last exchange is read too, and breaks the silence."""
        loop = asyncio.get_running_loop()
        quiet_since = max(self._until, loop.time()) if self._restless else self._until
        silence_s = self._silence_s
        give_up = max(self._until, loop.time()) + silence_s + self._patience_s
        drained = 0
        while data := await link.read(max(quiet_since + silence_s, loop.time())):
            drained += len(data)
            quiet_since, silence_s = max(loop.time(), self._until), max(silence_s, timing.gap_s)
            if loop.time() >= give_up:
                self._restless = True
                return Settled(silent=False, drained=drained)
        self._restless = False
        return Settled(silent=True, drained=drained)
