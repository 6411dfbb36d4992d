"""Beside collecting: verdicts for what came, once a day what was due of a day that is over, and, where the configuration says
when, the hand-over to billing.

Neither may stop collecting. What fails is told and tried again; the ledger knows what is not done yet, so nothing is kept here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from collector.acquisition.calendar import timetable
from collector.billing.groups import ReadingDay
from collector.clock import Clock, sleep_until_or_set
from collector.errors import WorkFailed
from collector.jobs.deliver import Deliverer
from collector.jobs.denominators import Denominators
from collector.jobs.ruleset import ruleset_for
from collector.jobs.validate import validate
from collector.outlets.files import DeliveryDirectory
from collector.settings.schema import Settings
from protocols.profile import Profile
from storage.errors import DatabaseBusy, DatabaseUnusable, DeliveryRefused, VerdictRefused
from storage.ledger.port import Ledger
from storage.records import Plan

log = logging.getLogger(__name__)

JUDGE_EVERY = timedelta(minutes=1)
TRY_AGAIN = timedelta(minutes=15)
"""After a hand-over that failed."""


def deliverer_for(
    settings: Settings, profiles: Mapping[str, Profile], ledger: Ledger, clock: Clock
) -> Deliverer | None:
    """Who hands over, as the configuration says; None where it has no [billing]."""
    if settings.billing is None:
        return None
    groups = tuple(ReadingDay(group.name, group.day, group.release) for group in settings.billing.groups)
    directory = DeliveryDirectory(settings.billing.directory)
    return Deliverer(ledger, directory, clock, settings.zone, profiles, groups)


class Settle:
    """Judges every minute, hands over daily."""

    def __init__(self, settings: Settings, profiles: Mapping[str, Profile], ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._kept: date | None = None
        self.change(settings, profiles)

    def change(self, settings: Settings, profiles: Mapping[str, Profile]) -> None:
        """Rules and billing as they are from now on; the hour of hand-over counts from the next look, a minute away."""
        self._settings = settings
        self._ruleset = ruleset_for(settings, profiles)
        self._deliverer = deliverer_for(settings, profiles, self._ledger, self._clock)
        channels = {channel.name for channel in settings.channels}
        self._dues = Denominators(self._ledger, settings.zone, profiles, settings.reading_days, channels)
        self._hand_over_at: datetime | None = None
        self._hour_known = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; a portion or a delivery under way is finished first."""
        while not stop.is_set():
            await self._judge()
            await self._keep_denominators()
            if not self._hour_known:
                self._hand_over_at = await self._first_hand_over(self._clock.now())
                self._hour_known = True
            if self._hand_over_at is not None and self._clock.now() >= self._hand_over_at:
                done = await self._hand_over()
                now = self._clock.now()
                self._hand_over_at = self._next_hand_over(now) if done else now + TRY_AGAIN
            await sleep_until_or_set(self._clock, self._clock.now() + JUDGE_EVERY, stop)

    async def _judge(self) -> None:
        try:
            done = await validate(self._ledger, self._ruleset, self._clock)
        except (DatabaseBusy, DatabaseUnusable, VerdictRefused) as error:
            log.warning("judging waits: %s", error)
            return
        if done.suspect:
            rules = ", ".join(f"{rule} {count}" for rule, count in done.by_rule.items())
            log.warning("%d of %d new readings are suspect: %s", done.suspect, done.judged, rules)

    async def _keep_denominators(self) -> None:
        """Of the day that is over: what each meter owed of it is written down once, a day after its freezes were due."""
        now = self._clock.now()
        day = now.astimezone(self._settings.zone).date() - timedelta(days=2)
        if self._kept == day:
            return
        try:
            if await self._dues.keep(day, now):
                log.info("data day %s is over: what was due of it stays as it is", day)
        except (DatabaseBusy, DatabaseUnusable) as error:
            log.warning("what was due on %s is not written down yet: %s", day, error)
        else:
            self._kept = day

    async def _hand_over(self) -> bool:
        if self._deliverer is None:
            return True
        try:
            done = await self._deliverer.run()
        except (DatabaseBusy, DatabaseUnusable, DeliveryRefused, WorkFailed, OSError) as error:
            log.error("not handed over, will be tried again: %s", error)
            return False
        for delivery in (*done.again, *done.new):
            log.info("delivery %d: %d rows in %s", delivery.batch_seq, delivery.rows, delivery.data_file)
        return True

    async def _first_hand_over(self, now: datetime) -> datetime | None:
        """The next hour of hand-over; the last one, if the daemon was not there and nobody handed over since."""
        missed = self._next_hand_over(now - timedelta(days=1))
        if missed is None or missed > now:
            return missed
        deliveries = await self._ledger.deliveries()
        return missed if deliveries and deliveries[-1].created_at < missed else self._next_hand_over(now)

    def _next_hand_over(self, now: datetime) -> datetime | None:
        billing = self._settings.billing
        if billing is None or billing.deliver is None:
            return None
        daily = Plan("deliver", (), at_minute=billing.deliver)
        after = now + timedelta(microseconds=1)
        return next(timetable(daily, after, now + timedelta(days=2), self._settings.zone)).due
