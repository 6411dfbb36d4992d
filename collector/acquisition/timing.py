"""How long is waited on a line, in seconds of the event loop's time. A channel's settings make one; tests make small ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """One channel's patience.

    `timeout_s`: from the last byte of a request to the last byte of its answer. `retries`: further tries after the first.
    `worst_reply_s`: how late an answer may still come; rules the quarantine; None = three times the timeout. `gap_s`: silence
    that ends a frame, and that is kept before the next one.
    """

    timeout_s: float = 1.0
    retries: int = 2
    worst_reply_s: float | None = None
    gap_s: float = 0.03
    connect_s: float = 5.0

    @property
    def quarantine_s(self) -> float:
        """How long after a request an answer must still be expected; never shorter than the timeout itself."""
        return max(self.timeout_s, 3 * self.timeout_s if self.worst_reply_s is None else self.worst_reply_s)
