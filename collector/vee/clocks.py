"""How far a meter's clock was off when it stamped a value, and whether it was changed between two of its stamps. Pure.

A check says, of one instant, what the clock showed; a stamp is on the meter's own scale, so checks are looked up by what they
*showed*. A change begins a new *epoch*: within one the clock runs undisturbed, and a stamp lies between two checks of it. A
clock that was put back shows some stamps twice, in two epochs; then the worse one counts, for nobody can say which it was.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from storage.care import ClockChange, ClockCheck

NEAR = timedelta(days=8)
"""A check says nothing of stamps further from it: a clock that is read once a week is still known."""
_UNKNOWN = timedelta()


@dataclass(frozen=True, slots=True)
class _Epoch:
    """Stamps from–to (None: open), and the checks made in it by what they showed."""

    first: datetime | None
    last: datetime | None
    checks: tuple[ClockCheck, ...]

    def drift(self, stamp: datetime) -> timedelta | None:
        """The worse of the two checks around a stamp; None where none is near."""
        if (self.first is not None and stamp < self.first) or (self.last is not None and stamp > self.last):
            return None
        place = bisect_left(self.checks, stamp, key=lambda one: one.shown)
        around = self.checks[max(0, place - 1) : place + 1]
        return max((one.drift for one in around if abs(one.shown - stamp) <= NEAR), key=abs, default=None)


@dataclass(frozen=True, slots=True)
class Shift:
    """The clock was put forward (positive) or back by so much."""

    by: timedelta


@dataclass(frozen=True)
class ClockRecord:
    """One meter's clock: all its checks and changes that matter for some stamps, in any order."""

    checks: tuple[ClockCheck, ...] = ()
    changes: tuple[ClockChange, ...] = ()

    def drift(self, stamp: datetime) -> timedelta | None:
        """How far the clock was off at a stamp of its own, at worst; None where nobody knows."""
        found = (epoch.drift(stamp) for epoch in self._epochs)
        return max((one for one in found if one is not None), key=abs, default=None)

    def shift(self, after: datetime, until: datetime) -> Shift | None:
        """By how much the clock was changed between two stamps (after, until]; None where it was not."""
        steps = [step for step in map(_step, self.changes) if step is not None]
        between = [
            after_ - before
            for at, before, after_ in steps
            if after < at + before <= until or after < at + after_ <= until
        ]
        total = sum(between, timedelta())
        return Shift(total) if total else None

    @cached_property
    def _epochs(self) -> tuple[_Epoch, ...]:
        steps = sorted(step for step in map(_step, self.changes) if step is not None)
        epochs: list[_Epoch] = []
        begins: datetime | None = None
        since: datetime | None = None
        for at, before, after in [*steps, (None, _UNKNOWN, _UNKNOWN)]:
            inside = [one for one in self.checks if (since is None or one.at >= since) and (at is None or one.at < at)]
            ends = None if at is None else at + before
            epochs.append(_Epoch(begins, ends, tuple(sorted(inside, key=lambda one: one.shown))))
            if at is not None:
                begins, since = at + after, at
        return tuple(epochs)


def _step(change: ClockChange) -> tuple[datetime, timedelta, timedelta] | None:
    """When, from which drift, to which; None for what changed nothing, or nobody knows what."""
    if change.before is None or change.after is None or change.before == change.after:
        return None
    return change.at, change.before, change.after


def record_of(checks: Iterable[ClockCheck], changes: Iterable[ClockChange]) -> dict[str, ClockRecord]:
    """By meter."""
    seen: dict[str, tuple[list[ClockCheck], list[ClockChange]]] = {}
    for check in checks:
        seen.setdefault(check.meter, ([], []))[0].append(check)
    for change in changes:
        seen.setdefault(change.meter, ([], []))[1].append(change)
    return {meter: ClockRecord(tuple(known), tuple(changed)) for meter, (known, changed) in seen.items()}
