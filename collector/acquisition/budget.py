"""What a meter may cost its line in vain: a tenth of the time, reckoned over a sliding period; when it has had that, it waits.

So a meter that is silent, or answers with garbage, takes nothing from its neighbours but its own bounded share, whatever is
owed of it and however often. The period is five minutes, so that a first round with its retries fits in, or as much longer as
one try at a tenth takes: a try of a minute is had every ten. Whatever a meter gives clears its account: on a line with noise a
meter that answers now and then must have its retries. Pure: time comes in. Only meters that failed lately are remembered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from collector.acquisition.breaker import Trouble

SHARE = 10
"""One part in so many (promise 6)."""
PERIOD = timedelta(minutes=5)


GRAIN = timedelta(seconds=1)
"""Tries that end within as much of each other count as one, so that a meter's account stays short."""


@dataclass(slots=True)
class _Spent:
    """When tries in vain ended, and what they took. `expected`: what the next one will take, by the last."""

    trouble: Trouble
    expected: timedelta
    begun: datetime
    tries: deque[tuple[datetime, timedelta]] = field(default_factory=deque)


class Budget:
    """All meters' spendings. `share` 1: everything may be spent in vain."""

    def __init__(self, *, share: int = SHARE, period: timedelta = PERIOD) -> None:
        self._share = share
        self._period = period
        self._spent: dict[str, _Spent] = {}

    def spent(self, meter: str, took: timedelta, trouble: Trouble, now: datetime) -> None:
        """A visit has ended now; `took` is how long its tries in vain kept the line from others."""
        found = self._spent.setdefault(meter, _Spent(trouble, took, now))
        found.trouble, found.expected = trouble, took
        if found.tries and timedelta(0) <= now - found.begun < GRAIN:
            took += found.tries.pop()[1]
        else:
            found.begun = now
        found.tries.append((now, took))

    def answered(self, meter: str) -> None:
        """A visit brought something."""
        self._spent.pop(meter, None)

    def rests_until(self, meter: str, now: datetime) -> datetime | None:
        """When one more try like the last one will be within its share; None: it is now."""
        if (found := self._spent.get(meter)) is None:
            return None
        period = max(self._period, found.expected * self._share)
        tries = found.tries
        while (
            tries and not now - period < tries[0][0] <= now
        ):  # what lies ahead was reckoned by a clock that was set back
            tries.popleft()
        if not tries:
            del self._spent[meter]
            return None
        left = period / self._share - found.expected - sum((took for _, took in tries), timedelta(0))
        until: datetime | None = None
        for ended, took in tries:
            if left >= timedelta(0):
                break
            left += took
            until = ended + period
        return until

    def trouble(self, meter: str, now: datetime) -> Trouble | None:
        """Why a meter that has to wait has to wait."""
        return self._spent[meter].trouble if self.rests_until(meter, now) is not None else None
