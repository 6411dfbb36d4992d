"""What happened to meters, beside collecting: the reasons that it explains, and the reports of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from collector.clock import Clock, sleep_until_or_set
from collector.kpi.supply import NO_SUPPLY, without_supply, worth_a_look
from protocols.witness import POWER_DOWN
from storage.care import MeterEvent
from storage.errors import DatabaseBusy, DatabaseUnusable
from storage.ledger.port import Ledger
from storage.records import Batch, Missing, Slot

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(hours=1)
BACK = timedelta(days=4)
"""A cut is known when the power is back and the meter has been asked for its events: so far back reasons are looked at."""
LONGEST_CUT = timedelta(days=31)
STEP = timedelta(hours=1)
_TICK = timedelta(microseconds=1)


class SupplyRounds:
    """Every hour: what is missing for want of supply gets that reason, in the ledger and in its counters."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            await sleep_until_or_set(self._clock, self._clock.now() + LOOK_EVERY, stop)
            if stop.is_set():
                return
            try:
                await self.look()
            except (DatabaseBusy, DatabaseUnusable) as error:
                log.warning("reasons wait for the database: %s", error)

    async def look(self) -> int:
        """Once, now. How many slots have a newer reason."""
        now = self._clock.now()
        cuts = await self._ledger.events(kinds=[POWER_DOWN], start=now - BACK - LONGEST_CUT)
        at, slots, meters = now - BACK, 0, set[str]()
        while at < now:  # an hour at a time: after an outage of everything there are many
            found = await self._found(at, min(at + STEP, now), cuts)
            if found:
                await self._ledger.append(Batch(missing=found))
            slots += len(found)
            meters.update(one.slot.meter for one in found)
            at += STEP
        if slots:
            log.info("%d missing values of %d meters: no supply", slots, len(meters))
        return slots

    async def _found(self, start: datetime, end: datetime, cuts: Sequence[MeterEvent]) -> tuple[Missing, ...]:
        missing = await self._ledger.closed(start, end)
        if all(one.reason == NO_SUPPLY for one in missing):
            return ()
        registered = await self._ledger.installations(start, end)
        filled: set[Slot] = set()
        for instant in sorted(worth_a_look(missing, registered)):
            filled |= await self._ledger.filled(instant, instant + _TICK)
        return without_supply(missing, filled, registered, cuts)
