"""What was asked lately, in figures: how long each question took, and how much was said. For whoever forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
