"""What goes and comes in one exchange, and what is said of one that had no answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from collector.acquisition.outcome import rule
from collector.acquisition.timing import Timing
from protocols.errors import ProtocolError, Refused, WrongLength
from storage.records import Owner

KEPT = 1024
"""Bytes of an exchange that its `Attempt` keeps."""


@dataclass(slots=True)
class Talk:
    """What went and came in one exchange."""

    started_at: datetime
    begun: float
    sent: bytes = b""
    sent_at: float | None = None
    first_at: float = 0.0
    """When the first bytes came; `heard_at`: the last."""
    heard_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    count: int = 0
    drained: int = 0
    overslept: bool = False

    def take(self, data: bytes, now: float) -> None:
        if not self.count:
            self.first_at = now
        self.heard_at = now
        self.count += len(data)
        if len(self.received) < KEPT:
            self.received += data[: KEPT - len(self.received)]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no telegram."""

    reason: str
    owner: Owner
    detail: str
    refusal: bool = False
    hang_up: bool = False


def trouble_of(error: ProtocolError) -> Trouble:
    return Trouble(error.code, rule(error.code).owner, str(error), refusal=isinstance(error, Refused))


def lateness(talk: Talk, timing: Timing) -> str:
    """What is said of a good answer: nothing, unless it came after its time-out."""
    took_s = talk.heard_at - (talk.sent_at or talk.begun)
    return f"late: {took_s:.3g} s after the question" if took_s > timing.timeout_s else ""


def silence(talk: Talk, timing: Timing, patience_s: float) -> Trouble:
    """Nothing came in time, or the beginning of a frame that its session did not call wrong."""
    if talk.overslept:
        slept_s = talk.heard_at - (talk.sent_at or talk.begun)
        detail = (
            f"the program stood still: what came was read {slept_s:.0f} s after the question, too old to be the value"
        )
        return Trouble("no_answer", Owner.OURS, detail)
    if not talk.received:
        return Trouble(
            "no_answer",
            rule("no_answer").owner,
            f"no answer within {max(timing.timeout_s, patience_s) if talk.count else patience_s:.3g} s",
        )
    return trouble_of(WrongLength("an answer began and did not end", data=bytes(talk.received)))
