"""What is left out on purpose, and when: by meter, by channel, by plan. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from storage.dues import Pause, Paused
from storage.registry import Registered

Interval = tuple[datetime, datetime]
"""Half open."""
_EVER = datetime.max.replace(tzinfo=UTC)


LeftOut = frozenset[tuple[Paused, str]]
"""What is left out now: kind and name."""


def is_left_out(plan: str, one: Registered, now: LeftOut) -> bool:
    """Whether a plan's values of this meter are."""
    return bool(now) and not now.isdisjoint(_keys(plan, one))


def _keys(plan: str, one: Registered) -> tuple[tuple[Paused, str], ...]:
    return (Paused.PLAN, plan), (Paused.CHANNEL, one.meter.channel), (Paused.METER, one.meter.meter)


class Pauses:
    """Those that are known; an open one lasts for ever."""

    def __init__(self, known: Iterable[Pause] = ()) -> None:
        self._intervals: defaultdict[tuple[Paused, str], list[Interval]] = defaultdict(list)
        for one in known:
            self._intervals[one.kind, one.name].append((one.since, one.until or _EVER))

    def __bool__(self) -> bool:
        return bool(self._intervals)

    def still(self) -> LeftOut:
        """What is left out until somebody resumes it."""
        return frozenset(key for key, intervals in self._intervals.items() if intervals[-1][1] == _EVER)

    def of(self, plan: str, one: Registered) -> tuple[Interval, ...]:
        """When a plan's values of this meter are left out: intervals that do not touch, in order."""
        found = sorted(interval for key in _keys(plan, one) for interval in self._intervals.get(key, ()))
        merged: list[Interval] = []
        for since, until in found:
            if merged and since <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], until)
            else:
                merged.append((since, until))
        return tuple(merged)
