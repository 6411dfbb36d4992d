"""The composition root: the one file that knows every concrete class. Building a daemon starts nothing; `run` does.

    settings ─► routes (links, lines) ─┐
    ledger ──► planner ────────────────┼─► poll      one worker a line
    broker ──► intake ─────────────────┴─► receive   acknowledged after the commit
    ledger ──► backfill ► poll                       what meters still know of days gone by
    ledger ──► orders ───► poll                       on demand, beside the plans
    ledger ──► settle                                verdicts every minute, deliveries at the hour that is configured
    ledger ──► clock_rounds, events                  what the meters' clocks come to, daily; what is missing for want of supply

SIGTERM and SIGINT drain: nothing new is begun, what is under way ends, what was received is committed and acknowledged, and
the process ends with 0. What has not ended after `DRAIN_S` (another process holds the database) is given up: it was never
acknowledged, so its sender or its meter still has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import signal
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from collector.acquisition.listening import Ports
from collector.acquisition.pauses import Pauses
from collector.acquisition.plan import gives_by
from collector.acquisition.planner import LONGEST_WINDOW, Planner
from collector.acquisition.schedule import ScheduledWaker, Waker
from collector.acquisition.submitted import Submitted
from collector.acquisition.tasks import Collected
from collector.clock import Clock, sleep_until_or_set
from collector.errors import SettingsError
from collector.jobs.backfill import Backfill
from collector.jobs.clock_rounds import ClockRounds
from collector.jobs.collect import Collect, Route
from collector.jobs.events import SupplyRounds
from collector.jobs.hour import Hour
from collector.jobs.orders import Orders
from collector.jobs.poll import Poll
from collector.jobs.receive import PROTOCOL, Receive, filled
from collector.jobs.receivers import Receiving, cutoffs_owed, owed_slots, receivers_for
from collector.jobs.registry import import_registry
from collector.jobs.routes import line_key, routes_for
from collector.jobs.serving import Serving
from collector.jobs.settle import Settle
from collector.settings.schema import Channel, Settings
from protocols.profile import Profile
from storage.errors import DatabaseBusy, DatabaseUnusable, RegistryRefused
from storage.ledger.port import Ledger
from storage.records import Batch, Receipt

log = logging.getLogger(__name__)

DRAIN_S = 7.0
LOOK_EVERY = timedelta(minutes=1)
"""How long a registry that another process imported may go unnoticed."""


class Daemon:
    """Collects, judges and hands over until told to stop. The ledger is the caller's: opened before, closed after.

    `settle` False: whoever drives the clock judges and hands over himself. `orders`: serve what others ask on demand by the
    ledger; only who holds the office of collecting may (`storage.office`). Empty: don't; else who we are.
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
        orders: str = "",
    ) -> None:
        self._settings = settings
        self._profiles = dict(profiles)
        """Changed in place: whoever holds it sees what is valid now."""
        self._ledger = ledger
        self._clock = clock
        self._make_waker = waker
        self._watch = watch
        self._hour = Hour(clock.now())
        self._settle = Settle(settings, profiles, ledger, clock) if settle else None
        self._orders = orders
        self._on_demand = Submitted()
        self._stop = asyncio.Event()
        self._pushed = 0
        self._committed = asyncio.Event()
        self._started: asyncio.Future[tuple[Poll, Backfill]] = asyncio.get_running_loop().create_future()
        self._asked: tuple[Settings, Mapping[str, Profile]] | None = None
        self._changed = asyncio.Event()
        self._ports = Ports()

    def stop(self) -> None:
        """Drain and end."""
        self._stop.set()

    def change(self, settings: Settings, profiles: Mapping[str, Profile]) -> None:
        """Go on with another configuration, which has been checked. What stays as it was does not notice."""
        self._asked = settings, profiles
        self._changed.set()

    async def quiet(self, pushed: int = 0) -> datetime:
        """Return when all that was due is done and `pushed` messages are committed, with the instant of the next alarm.

        For whoever drives the clock.
        """
        poll, backfill = await asyncio.shield(self._started)  # who gives up waiting leaves it to the daemon
        while self._pushed < pushed:
            self._committed.clear()
            await self._committed.wait()
        while True:
            look = await backfill.settled()
            alarm = await poll.quiet()
            if backfill.is_settled():
                return min(alarm, look)

    async def run(self) -> None:
        """Collect until `stop`."""
        await import_registry(self._ledger, self._settings, self._profiles, self._clock)
        self._planner = Planner(self._settings.zone, gives_by(self._profiles), frozenset())
        routes = routes_for(self._settings.channels, self._clock, self._ports)
        await self._load(routes)
        self._collect = Collect(self._ledger, self._clock, self._settings.zone, routes, self._profiles)
        waker = self._make_waker(self._clock)
        self._backfill = Backfill(self._planner, self._profiles, self._ledger, self._clock)
        poll = Poll(
            *(self._planner, self._collect, self._ledger, self._clock, waker, routes),
            sources=(self._backfill.leads, self._on_demand),
            listened=_listened(self._settings),
            drain_s=DRAIN_S,
            watch=self._seen,
        )
        self._backfill.wake = poll.wake
        self._say_stranded()
        meters, channels = len(self._planner.meters), len(self._settings.channels)
        log.info("collecting %d meters over %d channels", meters, channels)
        try:
            async with self._ports, asyncio.TaskGroup() as tasks:
                receiving = Receiving(tasks, self._receiver)
                receiving.change(self._settings.channels, self._planner.meters)
                working = [tasks.create_task(poll.run(self._stop)), tasks.create_task(self._backfill.run(self._stop))]
                if self._settle is not None:
                    working.append(tasks.create_task(self._settle.run(self._stop)))
                    working.append(tasks.create_task(self._clocks(poll).run(self._stop)))
                    working.append(tasks.create_task(SupplyRounds(self._ledger, self._clock).run(self._stop)))
                if self._orders:
                    working.append(tasks.create_task(self._order_taker(poll).run(self._stop)))
                following = tasks.create_task(self._follow(poll, receiving))
                self._started.set_result((poll, self._backfill))
                await self._stop.wait()
                following.cancel()
                await _drained([*working, *receiving.stop()])
        finally:
            waker.close()
            for route in poll.routes.values():
                await route.line.close()
        log.info("ended; nothing is left half done")

    def _clocks(self, poll: Poll) -> ClockRounds:
        return ClockRounds(
            lambda: self._settings, self._ledger, self._clock, lambda: poll.routes, lambda: self._planner.meters
        )

    async def _follow(self, poll: Poll, receiving: Receiving) -> None:
        """Take what changes while we run: a configuration that was handed in, a registry that somebody imported."""
        while True:
            await sleep_until_or_set(self._clock, self._clock.now() + LOOK_EVERY, self._changed)
            self._changed.clear()
            if says := self._hour.over(self._clock.now()):
                log.info("%s", says)
            asked, self._asked = self._asked, None
            try:
                if asked is not None:
                    await self._take(*asked, poll, receiving)
                elif await self._pauses_changed():
                    poll.wake()
                    log.info("what is paused has changed")
                elif await self._ledger.registry_digest() != self._digest:
                    await self._load(poll.routes)
                    receiving.change(self._settings.channels, self._planner.meters)
                    self._backfill.changed()
                    poll.wake()
                    log.info("the registry was changed: %d meters", len(self._planner.meters))
            except (SettingsError, RegistryRefused) as error:
                log.error("the new configuration is not taken, the old one goes on: %s", error)
            except (DatabaseBusy, DatabaseUnusable) as error:
                log.warning("changes wait for the database: %s", error)
                self._ask_again(asked)

    async def _pauses_changed(self) -> bool:
        now = self._clock.now()
        known = Pauses(await self._ledger.pauses(now, now + timedelta(microseconds=1)))
        return self._planner.leave_out(known.still(), now)

    def _ask_again(self, asked: tuple[Settings, Mapping[str, Profile]] | None) -> None:
        """At the next look, unless a newer one has come."""
        if self._asked is None:
            self._asked = asked

    async def _take(
        self, settings: Settings, profiles: Mapping[str, Profile], poll: Poll, receiving: Receiving
    ) -> None:
        old = self._settings
        if (settings.storage, settings.site.zone) != (old.storage, old.site.zone):
            raise SettingsError(["[storage] and the zone of [site] are taken at a start of the daemon only"])
        await import_registry(self._ledger, settings, profiles, self._clock)
        anew = dict(profiles) != self._profiles
        self._settings = settings
        self._profiles.clear()
        self._profiles.update(profiles)
        lines = {
            line_key(channel): poll.routes[channel.name].line for channel in old.channels if channel.name in poll.routes
        }
        routes = routes_for(settings.channels, self._clock, self._ports, keep=lines)
        await self._load(routes)
        self._collect.change(routes, self._profiles)
        poll.reroute(routes, _listened(settings))
        await self._ports.open()
        self._say_stranded()
        if anew:
            receiving.stop()
            receiving.change((), ())
        receiving.change(settings.channels, self._planner.meters)
        self._backfill.changed()
        if self._settle is not None:
            self._settle.change(settings, self._profiles)
        log.info("configuration taken: %d meters over %d channels", len(self._planner.meters), len(settings.channels))

    async def _load(self, routes: Mapping[str, Route]) -> None:
        """Plans and registry into the planner, with what the ledger knows of slots that are still open."""
        now = self._clock.now()
        await self._ledger.keep_plans(self._settings.plan_records, at=now)
        self._digest = await self._ledger.registry_digest()
        since = now - LONGEST_WINDOW
        versions = await self._ledger.plan_versions(since, now + timedelta(microseconds=1))
        registered = await self._ledger.registry()
        tried = {missing.slot: missing.attempts for missing in await self._ledger.closed(since, now)}
        filled_already = await self._ledger.filled(since, now)
        self._planner.polled = frozenset(routes)
        self._planner.reading_days = self._settings.reading_days
        self._planner.load(versions, registered, now)
        self._planner.restore(filled_already, tried, now)
        await self._pauses_changed()

    def _order_taker(self, poll: Poll) -> Orders:
        serving = Serving(lambda: self._settings, self._profiles, self._ledger, self._clock, poll, self._on_demand)
        return Orders(self._ledger, self._clock, serving.serve, by=self._orders)

    def _say_stranded(self) -> None:
        known = {channel.name for channel in self._settings.channels}
        for channel in sorted({one.meter.channel for one in self._planner.meters} - known):
            log.warning("meters stand on channel %r, which the configuration does not have; they are not read", channel)

    def _receiver(self, channel: Channel) -> Receive:
        slots = owed_slots(lambda: self._planner.versions, self._planner.zone, self._planner.gives)
        (receiver,) = receivers_for(
            *([channel], (), self._profiles, self._ledger, self._clock),
            zone=self._settings.zone,
            slots_for=slots,
            cutoff_of=cutoffs_owed(lambda: self._planner.versions, self._planner.zone),
            told=self._received,
        ).values()
        return receiver

    def _seen(self, collected: Collected) -> None:
        self._hour.visited(
            collected.task.registered.meter.meter, values=len(collected.batch.readings) + len(collected.batch.done)
        )
        self._backfill.seen(collected)
        self._watch(collected)

    def _received(self, batch: Batch, _: Receipt) -> None:
        self._hour.pushed(len(batch.readings))
        self._planner.filled(filled(batch))
        # A meter that says it has no such value: the reason is its own.
        self._planner.failed((missing.slot for missing in batch.missing), self._clock.now())
        self._pushed += len(batch.frames) + len(batch.dead_letters)
        self._committed.set()


def _listened(settings: Settings) -> frozenset[str]:
    """Channels whose meters push."""
    return frozenset(channel.name for channel in settings.channels if channel.protocol == PROTOCOL)


async def _drained(working: Iterable[asyncio.Task[None]]) -> None:
    _, late = await asyncio.wait(working, timeout=DRAIN_S + 0.5)  # polling gives up its visits by itself
    for task in late:
        log.warning("not ended within %g s, given up; what was not stored comes again", DRAIN_S)
        task.cancel()


async def run_daemon(daemon: Daemon, reload: Callable[[], None]) -> None:
    """Run with signals: the first SIGTERM or SIGINT drains, SIGHUP calls `reload`. For the last thing that a process does:
    afterwards it is deaf to them, since a second SIGTERM would kill it while it closes the ledger, and its status would
    say that it had not ended well. (The loop's own handlers leave a gap: it puts the default back when it closes.)
    """
    loop = asyncio.get_running_loop()
    spare_the_collector()
    housekeeping = asyncio.create_task(_give_back_every_hour())
    heeded = {signal.SIGTERM: daemon.stop, signal.SIGINT: daemon.stop, signal.SIGHUP: reload}
    for number, act in heeded.items():
        signal.signal(number, lambda *_, act=act: loop.call_soon_threadsafe(act))
    try:
        await daemon.run()
    finally:
        housekeeping.cancel()
        for number in heeded:
            signal.signal(number, signal.SIG_IGN)


async def _give_back_every_hour() -> None:
    while True:
        await asyncio.sleep(3600)
        await asyncio.to_thread(give_back_memory)


def spare_the_collector() -> None:
    """What is there now stays as long as we run: the search for garbage in cycles leaves it out, and comes less often.

    Reading makes no cycles to speak of, and with the usual thresholds a fifth of a busy collector's time went into looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 4, 1_000)  # when 100,000 slots come due at once, no look may take longer than 10 ms


def give_back_memory() -> None:
    """Pages that nobody uses any more, back to the system: a rush leaves holes in the heap, as large again as what idles."""
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc has no such thing
        ctypes.CDLL(None).malloc_trim(0)


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed, else the standard one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
