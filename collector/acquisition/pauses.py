"""What is left out on purpose, and when: by meter, by channel, by plan. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from storage.dues import Pause, Paused
from storage.registry import Registered

PAUSED = "paused"
"""The reason of a slot that nobody asked for, on purpose."""

Interval = tuple[datetime, datetime]
"""Half open."""
_EVER = datetime.max.replace(tzinfo=UTC)


class Pauses:
    """Those that are known; an open one lasts for ever."""

    def __init__(self, known: Iterable[Pause] = ()) -> None:
        self._intervals: defaultdict[tuple[Paused, str], list[Interval]] = defaultdict(list)
        for one in known:
            self._intervals[one.kind, one.name].append((one.since, one.until or _EVER))

    def __bool__(self) -> bool:
        return bool(self._intervals)

    def holds(self, plan: str, one: Registered, instant: datetime) -> bool:
        """Whether a plan's value of this meter is left out at an instant."""
        return any(
            since <= instant < until
            for key in ((Paused.PLAN, plan), (Paused.CHANNEL, one.meter.channel), (Paused.METER, one.meter.meter))
            for since, until in self._intervals.get(key, ())
        )

    def of(self, plan: str, one: Registered) -> tuple[Interval, ...]:
        """When a plan's values of this meter are left out: intervals that do not touch, in order."""
        keys = ((Paused.PLAN, plan), (Paused.CHANNEL, one.meter.channel), (Paused.METER, one.meter.meter))
        found = sorted(interval for key in keys for interval in self._intervals.get(key, ()))
        merged: list[Interval] = []
        for since, until in found:
            if merged and since <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], until)
            else:
                merged.append((since, until))
        return tuple(merged)
