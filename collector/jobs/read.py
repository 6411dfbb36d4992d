"""One pass now, without a scheduler (召测): every meter asked once for what its plans read, what came is stored.

Nothing here fills a slot of a plan or counts in a rate: `read` is on demand, and may be done twice in one slot. What was asked
for and not got is kept as missing under no plan's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
from storage.days import data_day, day_start
from storage.ledger.port import Ledger
from storage.records import Basis, Batch, Missing, Owner, Plan, Reading, Receipt, Slot
from storage.registry import Registered

ON_DEMAND = ""
"""The plan of what is asked on demand."""


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

    def add(self, meter: str, *, readings: int, missing: int) -> None:
        """One meter is done."""
        self.asked += 1
        self.readings += readings
        self.missing += missing
        if readings:
            self.answered += 1
        else:
            self.silent.append(meter)


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


def on_demand(one: Registered, plans: Iterable[Plan], profile: Profile, today: datetime, now: datetime) -> Task:
    """What a meter is asked for: what these plans read of it, the freeze of last midnight and instant values of now.

    With no plan at all: every instant value its profile has.
    """
    taking = [plan for plan in plans if takes(plan, one)]
    wanted = [(quantity, plan.basis) for plan in taking for quantity in plan.read]
    if not taking:
        wanted = [(register.quantity, Basis(register.basis)) for register in profile.registers]
        wanted = [(quantity, basis) for quantity, basis in wanted if basis is Basis.INSTANT]
    slots = {
        Slot(ON_DEMAND, one.meter.meter, quantity, basis, today if basis is Basis.FREEZE else now)
        for quantity, basis in wanted
        if profile.gives(quantity, basis)
    }
    return Task(one, tuple(sorted(slots)))


class ReadNow:
    """One pass over the meters of an installation. `told` after each commit."""

    def __init__(
        self,
        settings: Settings,
        profiles: Mapping[str, Profile],
        ledger: Ledger,
        clock: Clock,
        *,
        told: Callable[[Collected], None],
    ) -> None:
        self._settings = settings
        self._profiles = profiles
        self._ledger = ledger
        self._clock = clock
        self._told = told
        self._done = Pass()
        self._down: dict[str, LinkError] = {}

    async def run(self, meters: Collection[str], plan: str | None, wait: timedelta) -> Pass:
        """Ask the polled meters, lines side by side, and listen at most `wait` to those that push; so long a device may take
        to dial in, too.

        :raises UsageError: for a meter or plan that nobody knows. :raises SettingsError: for the registry file.
        """
        plans = choose_plans(self._settings.plan_records, plan)
        await import_registry(self._ledger, self._settings, self._profiles, self._clock)
        await self._ledger.keep_plans(self._settings.plan_records, at=self._clock.now())
        chosen = choose_meters(await self._ledger.registry(), meters)
        if plan is not None:
            chosen = [one for one in chosen if takes(plans[0], one)]
        ports = Ports()
        routes = routes_for(self._settings.channels, self._clock, ports, call_s=wait.total_seconds())
        collect = Collect(self._ledger, self._clock, self._settings.zone, routes, self._profiles)
        by_line: dict[Line, list[Registered]] = {}
        for one in chosen:
            if one.meter.channel in routes:
                by_line.setdefault(routes[one.meter.channel].line, []).append(one)
        configured = {channel.name for channel in self._settings.channels}
        pushing = [one for one in chosen if one.meter.channel in configured - routes.keys()]
        for one in chosen:
            if one.meter.channel not in configured:
                await self._missed(one, plans, *no_channel(one.meter.channel))
        try:
            async with asyncio.TaskGroup() as tasks:
                for line_meters in by_line.values():
                    tasks.create_task(self._one_line(collect, line_meters, plans))
                if pushing:
                    tasks.create_task(self._listen(pushing, plans, wait))
        finally:
            for line in {route.line for route in routes.values()}:
                await line.close()
            await ports.close()
        return self._done

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
                    self._told(Collected(Task(waiting[meter], ()), Batch(readings=tuple(readings)), receipt, ()))
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
                self._done.add(meter, readings=count, missing=0)
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
        today = day_start(now.astimezone(zone).date(), zone)
        owner = owner or rule(reason).owner
        profile = self._profiles.get(one.meter.profile)
        task = on_demand(one, plans, profile, today, now) if profile else Task(one, ())
        missing = tuple(
            Missing(slot, data_day(slot.at, slot.basis, zone), reason, owner, detail, since=now) for slot in task.slots
        )
        receipt = await self._ledger.append(Batch(missing=missing))
        self._done.add(one.meter.meter, readings=0, missing=len(missing))
        self._told(Collected(task, Batch(missing=missing), receipt, ()))

    async def _listen_to(self, channel: str, receiver: Receive, stop: asyncio.Event) -> None:
        try:
            await receiver.listen(stop)
        except LinkError as error:
            self._down[channel] = error
            self._done.troubles.append(error.detail)

    async def _one_line(self, collect: Collect, meters: Iterable[Registered], plans: Collection[Plan]) -> None:
        for one in meters:
            profile = self._profiles.get(one.meter.profile)
            if profile is None:
                self._done.troubles.append(f"{one.meter.meter}: there is no profile {one.meter.profile!r} any more")
                self._done.add(one.meter.meter, readings=0, missing=0)
                continue
            now = self._clock.now()
            today = day_start(now.astimezone(self._settings.zone).date(), self._settings.zone)
            task = on_demand(one, plans, profile, today, now)
            if not task.slots:
                self._done.troubles.append(
                    f"{one.meter.meter}: its profile {profile.id} has nothing of what is asked for"
                )
                self._done.add(one.meter.meter, readings=0, missing=0)
                continue
            collected = await collect.task(task)
            batch = collected.batch
            self._done.add(one.meter.meter, readings=len(batch.readings), missing=len(batch.missing))
            self._told(collected)
