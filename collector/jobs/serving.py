"""How an order on demand is served by the daemon: with its lines, its profiles, its registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from collector.acquisition.outcome import OK
from collector.acquisition.scan import Findings
from collector.acquisition.submitted import Submitted
from collector.acquisition.tasks import Collected, Task
from collector.clock import Clock
from collector.errors import UsageError
from collector.jobs.asking import ClockWanted, ProbeWanted, ReadWanted, ScanStep, ScanWanted
from collector.jobs.clock_rounds import setting_key
from collector.jobs.clocks import ClockSetter
from collector.jobs.orders import Log
from collector.jobs.poll import Poll
from collector.jobs.reach import Reach, Reached
from collector.jobs.read import Heard, Round, choose_meters
from collector.jobs.routes import channel_of
from collector.settings.link_url import parse_link
from collector.settings.schema import Settings
from protocols.profile import Profile, load_profile
from storage.ledger.port import Ledger
from storage.orders import Order, OrderKind
from storage.record_text import from_json, to_json
from storage.registry import Registered

Wanted = TypeVar("Wanted")

TROUBLE = "trouble"
"""The outcome of a line that tells of no value."""
PROGRESS = "progress"


class Serving:
    """The daemon's hands. `source`: where `poll` gets what is asked on demand from; `settings`: as they are now."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        profiles: Mapping[str, Profile],
        ledger: Ledger,
        clock: Clock,
        poll: Poll,
        source: Submitted,
    ) -> None:
        self._settings = settings
        self._profiles = profiles
        self._ledger = ledger
        self._clock = clock
        self._poll = poll
        self._source = source

    async def serve(self, order: Order, log: Log) -> None:
        """:raises UsageError: for what cannot be done."""
        match order.kind:
            case OrderKind.READ:
                await self._read(order, _wanted(ReadWanted, order), log)
            case OrderKind.PROBE:
                await self._probe(_wanted(ProbeWanted, order), log)
            case OrderKind.SCAN:
                await self._scan(_wanted(ScanWanted, order), log)
            case OrderKind.CLOCK:
                await self._set_clock(_wanted(ClockWanted, order), log)

    async def _read(self, order: Order, wanted: ReadWanted, log: Log) -> None:
        """As `chaobiao read`; meters that had their turn before the daemon was restarted are not asked again."""
        before = [from_json(Heard, line.said) for line in await self._ledger.order_lines(order.id) if line.said]

        def told(heard: Heard) -> None:
            outcome, detail = _outcome(heard)
            log.say(heard.meter, outcome, detail, to_json(heard))

        asking = Round(
            *(self._settings(), self._profiles, self._ledger, self._clock),
            self._queue,
            partial(self._ask, order.deadline),
            told,
        )
        await asking.run(
            await self._ledger.registry(),
            wanted.meters,
            wanted.plan,
            timedelta(seconds=wanted.wait_s),
            but={heard.meter for heard in before if heard.over},
        )

    async def _probe(self, wanted: ProbeWanted, log: Log) -> None:
        from collector.jobs.by_hand import probe_for  # with pymodbus behind it, which a daemon seldom needs

        profile = self._profile(wanted.profile)
        probe = probe_for(wanted, self._clock, self._reached(wanted.url))
        probed = await (probe.with_profile(profile) if profile else probe.without_profile())
        log.say(probed.address, TROUBLE if probed.nothing else OK, probed.why_not, to_json(probed))

    def _profile(self, name: str) -> Profile | None:
        if not name:
            return None
        if name in self._profiles:
            return self._profiles[name]
        return load_profile(Path(name))

    async def _scan(self, wanted: ScanWanted, log: Log) -> None:
        from collector.jobs.by_hand import scan_for, search_wanted
        from collector.jobs.scan import Scanned

        search = search_wanted(wanted)
        if search is None:
            raise UsageError(f"the devices of {wanted.protocol} cannot be searched for")
        scanned = Scanned(search.findings)
        told = _Steps(log, self._clock)
        scan = scan_for(wanted, self._profiles, self._clock, self._reached(wanted.url))
        await scan.run(
            search,
            scanned,
            within_s=wanted.within_s,
            told=lambda findings, left_s: told.step(findings, left_s, lambda: to_json(scanned)),
        )
        log.say("", OK, "", to_json(ScanStep(search.findings.asked, search.findings.ahead, 0, to_json(scanned))))

    async def _set_clock(self, wanted: ClockWanted, log: Log) -> None:
        """As `chaobiao clock set`, between two visits of its line, with the daemon's own password and rules."""
        settings = self._settings()
        (one,) = choose_meters(await self._ledger.registry(), [wanted.meter])
        key = setting_key(settings)
        channel = one.meter.channel
        async with self._poll.guest(channel):
            route = self._poll.routes[channel]
            try:
                setter = ClockSetter(self._ledger, self._clock, settings.zone)
                done = await setter.set_one(one, route, key, who=wanted.who, why=wanted.why)
            finally:
                route.line.rest(route.timing)
        log.say(wanted.meter, done.reason or OK, done.detail, to_json(done))

    def _reached(self, url: str) -> Reached | None:
        """On a line of ours, if the URL is that of one; else over one of its own. :raises UsageError: it is set otherwise."""
        try:
            link = parse_link(url)
        except ValueError as error:
            raise UsageError(str(error)) from error
        channel = channel_of(link, self._settings().channels)
        if channel is None or channel.name not in self._poll.routes:
            return None
        if channel.link.line != link.line:
            raise UsageError(f"the collector has this line as {channel.link.text}: name it so, or stop the collector")
        return partial(self._lent, channel.name)

    @asynccontextmanager
    async def _lent(self, channel: str) -> AsyncIterator[Reach]:
        route = self._poll.routes[channel]

        @asynccontextmanager
        async def turn() -> AsyncIterator[None]:
            async with self._poll.guest(channel):
                try:
                    yield
                finally:
                    route.line.rest(route.timing)

        yield Reach(route.line, turn)

    def _queue(self, one: Registered) -> str | None:
        """Each meter for itself: what is handed in waits at its line, which takes one after the other."""
        return one.meter.meter if one.meter.channel in self._poll.routes else None

    async def _ask(self, deadline: datetime, task: Task) -> Collected | None:
        answer: asyncio.Future[Collected | None] = asyncio.get_running_loop().create_future()

        def answered(collected: Collected | None) -> None:
            if not answer.done():  # who asked may have gone
                answer.set_result(collected)

        self._source.submit(task, closes=deadline, answer=answered)
        self._poll.wake()
        try:
            return await answer
        except asyncio.CancelledError:
            self._source.withdraw(task)
            raise


class _Steps:
    """What of a search's progress is said: whenever somebody was found, and at most once a second."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._known = -1
        self._next: datetime | None = None

    def step(self, findings: Findings, left_s: float, shown: Callable[[], str]) -> None:
        """After every question."""
        now, known = self._clock.now(), len(findings.found) + len(findings.unclear)
        if known == self._known and self._next is not None and now < self._next:
            return
        scanned = "" if known == self._known else shown()
        self._known, self._next = known, now + timedelta(seconds=1)
        self._log.say("", PROGRESS, "", to_json(ScanStep(findings.asked, findings.ahead, left_s, scanned)))


def _wanted(kind: type[Wanted], order: Order) -> Wanted:
    try:
        return from_json(kind, order.what)
    except ValueError as error:
        raise UsageError(f"the order cannot be read: {error}") from error


def _outcome(heard: Heard) -> tuple[str, str]:
    """What a line of progress says of one meter, for those who do not take it apart."""
    if heard.trouble:
        return TROUBLE, heard.trouble
    if heard.missing and not heard.readings:
        return heard.missing[0].reason, heard.missing[0].detail
    return OK, ""
