"""One pass now, without a scheduler (召测): every meter asked once for what its plans read, what came is stored.

Nothing here fills a slot of a plan or counts in a rate: `read` is on demand, and may be done twice in one slot. What was asked
for and not got is kept as missing under no plan's name. Who asks is open (`Ask`): the lines of this process (`ReadNow`), or
those of the daemon, in whose hands they are while it runs (`orders`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.calendar import latest_at
from collector.acquisition.line import Line
from collector.acquisition.listening import Ports
from collector.acquisition.outcome import rule
from collector.acquisition.plan import takes
from collector.acquisition.tasks import Collected, Task
from collector.clock import Clock
from collector.errors import LinkError, UsageError
from collector.jobs.collect import Collect
from collector.jobs.receive import Receive
from collector.jobs.receivers import listener, receivers_for
from collector.jobs.registry import import_registry
from collector.jobs.routes import no_channel, routes_for
from collector.settings.schema import Settings
from collector.settings.spelling import did_you_mean
from protocols.profile import Profile
from storage.days import data_day
from storage.ledger.port import Ledger
from storage.records import Basis, Batch, Missing, Owner, Plan, Reading, Receipt, Slot
from storage.registry import Registered

ON_DEMAND = ""
"""The plan of what is asked on demand."""

Ask = Callable[[Task], Awaitable[Collected | None]]
"""Ask a meter and store what it says; None: its turn did not come in time."""

Queue = Callable[[Registered], object]
"""What a meter stands in line for: those of one queue are asked one after the other. None: it is not asked, it pushes."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one meter gave, stored. `over`: no more comes of it. `trouble`: why nothing was asked, or what failed beside single
    meters (`meter` is empty then): a broker that is down.
    """

    meter: str
    point: str = ""
    readings: tuple[Reading, ...] = ()
    missing: tuple[Missing, ...] = ()
    trouble: str = ""
    over: bool = True


@dataclass(slots=True)
class Pass:
    """What one pass came to, so far."""

    asked: int = 0
    answered: int = 0
    readings: int = 0
    missing: int = 0
    silent: list[str] = field(default_factory=list)
    """Meters that gave nothing."""
    troubles: list[str] = field(default_factory=list)
    """What failed beside single meters: a broker that is down."""
    _speaking: set[str] = field(default_factory=set)
    """Meters that gave something and may give more."""

    def take(self, heard: Heard) -> None:
        """Count it."""
        if heard.trouble:
            self.troubles.append(heard.trouble)
        self.readings += len(heard.readings)
        self.missing += len(heard.missing)
        if heard.readings:
            self._speaking.add(heard.meter)
        if not heard.over or not heard.meter:
            return
        self.asked += 1
        if heard.meter in self._speaking:
            self._speaking.discard(heard.meter)
            self.answered += 1
        else:
            self.silent.append(heard.meter)


def choose_meters(registered: Iterable[Registered], meters: Collection[str]) -> list[Registered]:
    """Those named, or all. :raises UsageError: for a name that the registry does not know."""
    known = {one.meter.meter: one for one in registered}
    if unknown := [meter for meter in meters if meter not in known]:
        raise UsageError(f"the registry knows no meter {unknown[0]!r}{did_you_mean(unknown[0], known)}")
    return [known[meter] for meter in meters] if meters else list(known.values())


def choose_plans(plans: Iterable[Plan], name: str | None) -> list[Plan]:
    """The one named, or all. :raises UsageError: for a name that the configuration does not know."""
    known = {plan.name: plan for plan in plans}
    if name is None:
        return list(known.values())
    if name not in known:
        raise UsageError(f"the configuration has no plan {name!r}{did_you_mean(name, known)}")
    return [known[name]]


def on_demand(one: Registered, plans: Iterable[Plan], profile: Profile, now: datetime, zone: ZoneInfo) -> Task:
    """What a meter is asked for: what these plans read of it, the newest of each; instant values of now.

    With no plan at all: every instant value its profile has.
    """
    taking = [plan for plan in plans if takes(plan, one)]
    wanted = [(quantity, plan.basis, latest_at(plan, now, zone)) for plan in taking for quantity in plan.read]
    if not taking:
        running = [register for register in profile.registers if Basis(register.basis) is Basis.INSTANT]
        wanted = [(register.quantity, Basis.INSTANT, now) for register in running]
    slots = {
        Slot(ON_DEMAND, one.meter.meter, quantity, basis, at)
        for quantity, basis, at in wanted
        if profile.gives(quantity, basis)
    }
    return Task(one, tuple(sorted(slots)))


class ReadNow:
    """One pass over the meters of an installation, over lines of our own. `told` after each commit."""

    def __init__(
        self,
        settings: Settings,
        profiles: Mapping[str, Profile],
        ledger: Ledger,
        clock: Clock,
        *,
        told: Callable[[Heard], None],
    ) -> None:
        self._settings = settings
        self._profiles = profiles
        self._ledger = ledger
        self._clock = clock
        self._told = told

    async def run(self, meters: Collection[str], plan: str | None, wait: timedelta) -> None:
        """Ask the polled meters, lines side by side, and listen at most `wait` to those that push; so long a device may take
        to dial in, too.

        :raises UsageError: for a meter or plan that nobody knows. :raises SettingsError: for the registry file.
        """
        choose_plans(self._settings.plan_records, plan)
        await import_registry(self._ledger, self._settings, self._profiles, self._clock)
        await self._ledger.keep_plans(self._settings.plan_records, at=self._clock.now())
        ports = Ports()
        routes = routes_for(self._settings.channels, self._clock, ports, call_s=wait.total_seconds())
        collect = Collect(self._ledger, self._clock, self._settings.zone, routes, self._profiles)
        lines = {channel: route.line for channel, route in routes.items()}

        def queue(one: Registered) -> Line | None:
            return lines.get(one.meter.channel)

        asking = Round(self._settings, self._profiles, self._ledger, self._clock, queue, collect.task, self._told)
        try:
            await asking.run(await self._ledger.registry(), meters, plan, wait)
        finally:
            for line in set(lines.values()):
                await line.close()
            await ports.close()


class Round:
    """The pass itself, whoever asks."""

    def __init__(
        self,
        settings: Settings,
        profiles: Mapping[str, Profile],
        ledger: Ledger,
        clock: Clock,
        queue: Queue,
        ask: Ask,
        told: Callable[[Heard], None],
    ) -> None:
        self._settings = settings
        self._profiles = profiles
        self._ledger = ledger
        self._clock = clock
        self._queue = queue
        self._ask = ask
        self._told = told
        self._down: dict[str, LinkError] = {}

    async def run(
        self,
        registered: Iterable[Registered],
        meters: Collection[str],
        plan: str | None,
        wait: timedelta,
        *,
        but: Collection[str] = (),
    ) -> None:
        """Ask those named, or all, `but` those. :raises UsageError: for a meter or plan that nobody knows."""
        plans = choose_plans(self._settings.plan_records, plan)
        chosen = [one for one in choose_meters(registered, meters) if one.meter.meter not in but]
        if plan is not None:
            chosen = [one for one in chosen if takes(plans[0], one)]
        configured = {channel.name for channel in self._settings.channels}
        queues: dict[object, list[Registered]] = {}
        pushing: list[Registered] = []
        for one in chosen:
            if (queue := self._queue(one)) is not None:
                queues.setdefault(queue, []).append(one)
            elif one.meter.channel in configured:
                pushing.append(one)
            else:
                await self._missed(one, plans, *no_channel(one.meter.channel))
        async with asyncio.TaskGroup() as tasks:
            for queue in queues.values():
                tasks.create_task(self._one_after_the_other(queue, plans))
            if pushing:
                tasks.create_task(self._listen(pushing, plans, wait))

    async def _listen(self, pushing: Collection[Registered], plans: Collection[Plan], wait: timedelta) -> None:
        """Until every one of them has said something, or `wait` is over."""
        stop = asyncio.Event()
        waiting = {one.meter.meter: one for one in pushing}
        heard: dict[str, int] = dict.fromkeys(waiting, 0)
        known: set[tuple[object, ...]] = set()

        def told(batch: Batch, receipt: Receipt) -> None:
            by_meter: dict[str, list[Reading]] = {}
            for reading in batch.readings:
                said = (reading.meter, reading.quantity, reading.basis, reading.time, reading.value)
                if said not in known:  # a broker may deliver twice; the ledger has it once
                    known.add(said)
                    by_meter.setdefault(reading.meter, []).append(reading)
            for meter, readings in by_meter.items():
                if meter in waiting:
                    heard[meter] += len(readings)
                    point = waiting[meter].point.point
                    self._told(Heard(meter, point, tuple(readings), over=False))
            if all(heard.values()):
                stop.set()

        channels = {one.meter.channel for one in pushing}
        receivers = receivers_for(
            self._settings.channels,
            await self._ledger.registry(),
            self._profiles,
            self._ledger,
            self._clock,
            zone=self._settings.zone,
            told=told,
            broker_of=listener,
            answer=False,
        )
        async with asyncio.TaskGroup() as tasks:
            listening = [tasks.create_task(self._listen_to(name, receivers[name], stop)) for name in sorted(channels)]
            await asyncio.wait(listening, timeout=wait.total_seconds())
            stop.set()
        for meter, count in heard.items():
            if count:
                self._told(Heard(meter, waiting[meter].point.point))
                continue
            down = self._down.get(waiting[meter].meter.channel)
            reason = down.reason if down else "no_message"
            detail = down.detail if down else f"no message within {wait.total_seconds():g} s"
            await self._missed(waiting[meter], plans, reason, detail, owner=down.owner if down else None)

    async def _missed(
        self, one: Registered, plans: Collection[Plan], reason: str, detail: str, *, owner: Owner | None = None
    ) -> None:
        """Nothing came of all that was asked for; kept under no plan's name, as for meters that are polled."""
        now, zone = self._clock.now(), self._settings.zone
        owner = owner or rule(reason).owner
        profile = self._profiles.get(one.meter.profile)
        task = on_demand(one, plans, profile, now, zone) if profile else Task(one, ())
        missing = tuple(
            Missing(slot, data_day(slot.at, slot.basis, zone), reason, owner, detail, since=now) for slot in task.slots
        )
        await self._ledger.append(Batch(missing=missing))
        self._told(Heard(one.meter.meter, one.point.point, missing=missing))

    async def _listen_to(self, channel: str, receiver: Receive, stop: asyncio.Event) -> None:
        try:
            await receiver.listen(stop)
        except LinkError as error:
            self._down[channel] = error
            self._told(Heard("", trouble=error.detail))

    async def _one_after_the_other(self, meters: Iterable[Registered], plans: Collection[Plan]) -> None:
        for one in meters:
            name, point = one.meter.meter, one.point.point
            profile = self._profiles.get(one.meter.profile)
            if profile is None:
                self._told(Heard(name, point, trouble=f"{name}: there is no profile {one.meter.profile!r} any more"))
                continue
            task = on_demand(one, plans, profile, self._clock.now(), self._settings.zone)
            if not task.slots:
                nothing = f"{name}: its profile {profile.id} has nothing of what is asked for"
                self._told(Heard(name, point, trouble=nothing))
                continue
            collected = await self._ask(task)
            if collected is None:
                detail = "its turn did not come before the deadline of the order"
                await self._missed(one, plans, "window_closed", detail)
            else:
                self._told(Heard(name, point, collected.batch.readings, collected.batch.missing))
