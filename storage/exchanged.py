"""What was asked lately, in figures: how long each question took, and how much was said. For whoever forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage.records import Attempt


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One attempt without its bytes. `sent`, `received`: how many there were."""

    meter: str
    channel: str
    started_at: datetime
    duration_us: int
    outcome: str
    sent: int
    received: int


def in_figures(attempt: Attempt) -> Exchanged:
    """Of one attempt."""
    return Exchanged(
        meter=attempt.meter,
        channel=attempt.channel,
        started_at=attempt.started_at,
        duration_us=attempt.duration_us,
        outcome=attempt.outcome,
        sent=len(attempt.sent),
        received=len(attempt.received),
    )
