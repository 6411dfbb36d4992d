"""How a channel's meters are reached: what every job that talks to one needs."""

from __future__ import annotations

from dataclasses import dataclass

from collector.acquisition.line import Line
from collector.acquisition.timing import Timing
from protocols.dialect import Dialect
from storage.records import Attempt


@dataclass(frozen=True, slots=True)
class Route:
    """One channel's."""

    channel: str
    line: Line
    dialect: Dialect
    timing: Timing

    def held_s(self, attempt: Attempt) -> float:
        """How long a try in vain kept the line from others: where framing needs silence, as long as an answer may be late."""
        took_s = attempt.duration_us / 1e6
        return max(took_s, self.timing.quarantine_s) if self.dialect.streaming else took_s
