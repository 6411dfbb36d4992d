"""How a channel's meters are reached: what every job that talks to one needs."""

from __future__ import annotations

from dataclasses import dataclass

from collector.acquisition.line import Line
from collector.acquisition.timing import Timing
from protocols.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Route:
    """One channel's."""

    channel: str
    line: Line
    dialect: Dialect
    timing: Timing
