"""A breaker per meter: one that is dead is not asked again and again by every plan that owes something of it.

After `FAILURES` rounds in a row that brought nothing at all it opens: the meter is left alone but for one visit now and
then (a probe), with pauses that double up to `LONGEST`. The first answer closes it. It says one line when it opens and one
when it closes. What is owed meanwhile is missing for the reason of the last visit, which is the meter's or its line's and
not ours. Pure: time comes in.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.records import Owner

FAILURES = 3
SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(minutes=15)
"""Fault matrix F29: a meter's breaker probes with pauses up to 15 minutes."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the last visit brought nothing."""

    reason: str
    owner: Owner
    detail: str


@dataclass(slots=True)
class _State:
    failures: int = 0
    since: datetime | None = None
    probe_at: datetime | None = None
    """None: closed."""
    last: Trouble | None = None


class Breakers:
    """All meters that have failed lately; one that answers is forgotten."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}

    def failed(self, meter: str, trouble: Trouble, now: datetime) -> bool:
        """A round brought nothing, its retries included. True: this is what opened the breaker."""
        state = self._states.setdefault(meter, _State(since=now))
        state.failures += 1
        state.last = trouble
        if state.failures < FAILURES:
            return False
        opened = state.probe_at is None
        state.probe_at = now + pause(meter, state.failures - FAILURES)
        return opened

    def answered(self, meter: str) -> datetime | None:
        """A visit brought something. Since when it had failed, if the breaker was open."""
        state = self._states.pop(meter, None)
        return state.since if state is not None and state.probe_at is not None else None

    def rests_until(self, meter: str) -> datetime | None:
        """When an open breaker lets the next visit through; None where it is closed."""
        state = self._states.get(meter)
        return state.probe_at if state is not None else None

    def doubted(self, meter: str) -> bool:
        """The last round brought nothing. Another try at once helps against noise, and hardly against this."""
        return meter in self._states

    def trouble(self, meter: str) -> Trouble | None:
        """Why nothing comes from a meter whose breaker is open."""
        state = self._states.get(meter)
        return state.last if state is not None and state.probe_at is not None else None

    def open_meters(self) -> list[str]:
        """Those that are left alone now, by name."""
        return sorted(meter for meter, state in self._states.items() if state.probe_at is not None)


def pause(meter: str, probes: int) -> timedelta:
    """Before the next probe, after so many: doubled each time, up to a quarter more by the meter's name, at most `LONGEST`."""
    doublings: int = 2 ** min(probes, 10)
    whole = min(SHORTEST * doublings, LONGEST * 4 / 5)
    spread = zlib.crc32(f"{meter}/{probes}".encode()) % 256
    return whole + whole * spread // 1024
