"""How long is waited on a line, in seconds of the event loop's time. A channel's settings make one; tests make small ones."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

TURN_S = 0.02
"""The turn-round of a half-duplex line whose speed we do not know. Modbus wants 3.5 characters (16 ms at 2400 baud, MODBUS over
Serial Line V1.02 §2.5.1.1), and a meter on DL/T 645 does not answer before 20 ms itself."""
LEAST_TURN_S = 0.00175
"""However fast the line (the same clause, above 19200 baud)."""


CONNECT_S = 5.0
"""For a connection; also for the next call of a device that has just hung up."""

CARRIED_GAP_S = 0.2
"""The least gap where a modem or a broker carries the bytes: they keep no silence, and may cut a frame in two and wait."""


def turn_s(characters: Decimal, byte_s: float) -> float:
    """The turn-round of a line of known speed."""
    return max(float(characters) * byte_s, LEAST_TURN_S)


@dataclass(frozen=True, slots=True)
class Timing:
    """One channel's patience.

    `timeout_s`: from the last byte of a request to the last byte of its answer. `retries`: further tries after the first.
    `worst_reply_s`: how late an answer may still come; rules the quarantine; None = three times the timeout. `gap_s`: silence
    that ends a frame, so that what is not whole by then never will be; a line is given up as quiet after as much.
    """

    timeout_s: float = 1.0
    retries: int = 2
    worst_reply_s: float | None = None
    gap_s: float = 0.03
    connect_s: float = CONNECT_S
    silence_s: float = TURN_S
    """Before a question, after a good answer."""

    @property
    def quarantine_s(self) -> float:
        """How long after a request an answer must still be expected; never shorter than the timeout itself."""
        return max(self.timeout_s, 3 * self.timeout_s if self.worst_reply_s is None else self.worst_reply_s)

    @property
    def turn_s(self) -> float:
        """Silence between a good answer and the next question; never longer than the gap."""
        return min(self.silence_s, self.gap_s)
