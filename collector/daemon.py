"""The composition root: the one file that knows every concrete class. Building a daemon starts nothing; `run` does.

    settings ─► routes (links, lines) ─┐
    ledger ──► planner ────────────────┼─► poll      one worker a line
    broker ──► intake ─────────────────┴─► receive   acknowledged after the commit
    ledger ──► settle                                verdicts every minute, deliveries at the hour that is configured

SIGTERM and SIGINT drain: nothing new is begun, what is under way ends, what was received is committed and acknowledged, and
the process ends with 0. What has not ended after `DRAIN_S` (another process holds the database) is given up: it was never
acknowledged, so its sender or its meter still has it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

from collector.acquisition.listening import Ports
from collector.acquisition.plan import gives_by
from collector.acquisition.planner import LONGEST_WINDOW, Planner
from collector.acquisition.schedule import ScheduledWaker, Waker
from collector.clock import Clock
from collector.jobs.collect import Collect, Collected
from collector.jobs.poll import Poll
from collector.jobs.receive import filled
from collector.jobs.receivers import owed_slots, receivers_for
from collector.jobs.registry import import_registry
from collector.jobs.routes import routes_for
from collector.jobs.settle import Settle
from collector.settings.schema import Settings
from protocols.profile import Profile
from storage.ledger.port import Ledger
from storage.records import Batch, Receipt

log = logging.getLogger(__name__)

DRAIN_S = 7.0


class Daemon:
    """Collects, judges and hands over until told to stop. The ledger is the caller's: opened before, closed after.

    `settle` False: whoever drives the clock judges and hands over himself.
    """

    def __init__(
        self,
        settings: Settings,
        profiles: Mapping[str, Profile],
        ledger: Ledger,
        *,
        clock: Clock,
        waker: Callable[[Clock], Waker] = ScheduledWaker,
        watch: Callable[[Collected], None] = lambda _: None,
        settle: bool = True,
    ) -> None:
        self._settings = settings
        self._profiles = profiles
        self._ledger = ledger
        self._clock = clock
        self._make_waker = waker
        self._watch = watch
        self._settle = Settle(settings, profiles, ledger, clock) if settle else None
        self._stop = asyncio.Event()
        self._pushed = 0
        self._committed = asyncio.Event()
        self._started: asyncio.Future[Poll] = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Drain and end."""
        self._stop.set()

    async def quiet(self, pushed: int = 0) -> datetime:
        """Return when all that was due is done and `pushed` messages are committed, with the instant of the next alarm.

        For whoever drives the clock.
        """
        poll = await asyncio.shield(self._started)  # who gives up waiting leaves it to the daemon
        while self._pushed < pushed:
            self._committed.clear()
            await self._committed.wait()
        return await poll.quiet()

    async def run(self) -> None:
        """Collect until `stop`."""
        await import_registry(self._ledger, self._settings, self._profiles, self._clock)
        await self._ledger.keep_plans(self._settings.plan_records, at=self._clock.now())
        ports = Ports()
        routes = routes_for(self._settings.channels, self._clock, ports)
        planner = await self._planner(frozenset(routes))
        collect = Collect(self._ledger, self._clock, self._settings.zone, routes, self._profiles)
        waker = self._make_waker(self._clock)
        receivers = receivers_for(
            self._settings.channels,
            planner.meters,
            self._profiles,
            self._ledger,
            self._clock,
            zone=self._settings.zone,
            slots_for=owed_slots(planner.versions, planner.zone, planner.gives),
            told=partial(self._received, planner),
        )
        poll = Poll(
            planner,
            collect,
            self._ledger,
            self._clock,
            waker,
            routes,
            listened=receivers,
            drain_s=DRAIN_S,
            watch=self._watch,
        )
        stranded = {one.meter.channel for one in planner.meters} - routes.keys() - receivers.keys()
        for channel in sorted(stranded):
            log.warning("meters stand on channel %r, which the configuration does not have; they are not read", channel)
        log.info("collecting %d meters over %d channels", len(planner.meters), len(self._settings.channels))
        try:
            async with ports, asyncio.TaskGroup() as tasks:
                working = [tasks.create_task(poll.run(self._stop))]
                working += [tasks.create_task(receiver.run(self._stop)) for receiver in receivers.values()]
                if self._settle is not None:
                    working.append(tasks.create_task(self._settle.run(self._stop)))
                tasks.create_task(self._give_up_on(working))
                self._started.set_result(poll)
        finally:
            waker.close()
            for route in routes.values():
                await route.line.close()
        log.info("drained")

    async def _give_up_on(self, working: Iterable[asyncio.Task[None]]) -> None:
        await self._stop.wait()
        _, late = await asyncio.wait(working, timeout=DRAIN_S + 0.5)  # polling gives up its visits by itself
        for task in late:
            log.warning("not drained within %g s, given up; what was not stored comes again", DRAIN_S)
            task.cancel()

    async def _planner(self, polled: frozenset[str]) -> Planner:
        now = self._clock.now()
        planner = Planner(self._settings.zone, gives_by(self._profiles), polled)
        since = now - LONGEST_WINDOW
        versions = await self._ledger.plan_versions(since, now + timedelta(microseconds=1))
        planner.load(versions, await self._ledger.registry(), now)
        tried = {missing.slot: missing.attempts for missing in await self._ledger.closed(since, now)}
        planner.restore(await self._ledger.filled(since, now), tried, now)
        return planner

    def _received(self, planner: Planner, batch: Batch, _: Receipt) -> None:
        planner.filled(filled(batch))
        planner.failed((missing.slot for missing in batch.missing), self._clock.now())  # its reason is the meter's own
        self._pushed += len(batch.frames) + len(batch.dead_letters)
        self._committed.set()


async def run_daemon(daemon: Daemon) -> None:
    """Run with signals: the first SIGTERM or SIGINT drains."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop)
    try:
        await daemon.run()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed, else the standard one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
