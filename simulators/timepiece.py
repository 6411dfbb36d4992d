"""A meter's own clock: off, fast or slow, and set now and then. It remembers when it showed what, for its freezes are made by it.

A clock that was put forward over midnight never showed it, and kept no freeze; one that was put back showed an hour twice, and
what it keeps by name of that hour is what it kept first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class _Run:
    """From `since` on it ran undisturbed, `off` ahead at first."""

    since: datetime
    off: timedelta


class Timepiece:
    """`off` ahead of true time (negative: behind) at `since`, gaining `ppm` microseconds a second."""

    def __init__(self, zone: ZoneInfo, since: datetime, *, off: timedelta = timedelta(), ppm: int = 0) -> None:
        self.zone = zone
        self._ppm = ppm
        self._runs = [_Run(since, off)]

    @property
    def true(self) -> bool:
        """It has always been right."""
        return not self._ppm and all(not run.off for run in self._runs)

    def off(self, at: datetime) -> timedelta:
        """How far ahead it is."""
        run = next((run for run in reversed(self._runs) if run.since <= at), self._runs[0])
        return run.off + (at - run.since) * self._ppm / MILLION

    def shown(self, at: datetime) -> datetime:
        """Naive, in its own zone."""
        return (at + self.off(at)).astimezone(self.zone).replace(tzinfo=None)

    def set_to(self, stamp: datetime, at: datetime) -> None:
        """Somebody sets it, to a naive stamp."""
        self._runs.append(_Run(at, stamp.replace(tzinfo=self.zone) - at))

    def showed(self, stamp: datetime, until: datetime) -> datetime | None:
        """When, up to `until`, it first showed an (aware) stamp; None where it was put forward over it."""
        for place, run in enumerate(self._runs):
            end = self._runs[place + 1].since if place + 1 < len(self._runs) else None
            gained = stamp - run.since - run.off
            at = run.since + gained * MILLION / (MILLION + self._ppm)
            began = place == 0 or at >= run.since
            if began and at <= until and (end is None or at < end):
                return at
        return None
