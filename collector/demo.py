"""The demo: a simulated district, the real collector beside it, and the truth to hold the outcome against.

Sockets, broker, database and deadlines are real; only civil time is driven. It moves to the next instant at which anybody has
something to do, and only when nothing is under way: no exchange open, every published message committed. So a night takes
seconds, and comes out the same every time. This is the one door from the collector to the simulators.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from collector.acquisition.schedule import ClockWaker
from collector.clock import Clock, DrivenClock
from collector.daemon import Daemon
from collector.errors import SettingsError, WorkFailed
from collector.jobs.report import NOT_YET, Reporter
from collector.jobs.ruleset import ruleset_for
from collector.jobs.settle import deliverer_for
from collector.jobs.validate import validate
from collector.settings.loading import load_settings
from collector.settings.schema import Settings
from protocols.profile import Profile, builtin_profiles
from simulators.fleet import Fleet, Listening, ScenarioError, SimulatorError, load_scenario, simulate
from storage.days import day_bounds
from storage.engine import open_ledger
from storage.ledger.port import Ledger
from storage.records import Delivery, Missing, Quality
from storage.values import to_text

__all__ = [
    "SPAN",
    "STEP",
    "District",
    "Fleet",
    "Latest",
    "Listening",
    "Numbers",
    "Standing",
    "open_district",
    "serve_scenario",
]

SPAN = timedelta(hours=12, minutes=15)
"""What `demo --once` lives through: from the evening over midnight, when the meters freeze their registers, to the morning.
The last quarter of an hour is for a meter that is left alone to be tried once more."""
STEP = timedelta(minutes=15)
"""The longest that civil time moves at once: how often meters that push do so."""
POLL_EVERY = timedelta(hours=1)
ENERGY = "1-0:1.8.0"
PATIENCE = {
    "timeout": timedelta(milliseconds=200),
    "worst_reply": timedelta(milliseconds=250),
    "gap": timedelta(milliseconds=20),
    "retries": 0,
}
"""Simulated meters answer within milliseconds; a dead one should not hold up a demo: the plan's later rounds ask it again."""
RECENT = timedelta(hours=2)
"""How far back the board looks for what is new."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest value of a meter, for the board."""

    value: str
    time: datetime
    quality: Quality


@dataclass(slots=True)
class Numbers:
    """What the demo came to."""

    expected: int = 0
    collected: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    readings: int = 0
    qualities: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    deliveries: tuple[Delivery, ...] = ()
    healthy: int = 0
    compared: int = 0
    difference: Decimal = Decimal(0)
    """The largest between a delivered value and what its meter showed, over all healthy meters."""
    untold: int = 0
    """Delivered values of healthy meters that no meter ever showed."""


@dataclass(slots=True)
class Standing:
    """How things stand, for the board; what is missing and found is that of yesterday and today."""

    expected: int = 0
    collected: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    trouble: dict[str, Counter[str]] = field(default_factory=dict)
    """By meter: why something is missing, and which rule spoke, how often."""
    overdue: frozenset[str] = frozenset()
    """Meters that owed a value after their last one, and did not give it."""


class District:
    """A fleet and the collector that reads it, on driven time."""

    def __init__(self, fleet: Fleet, clock: DrivenClock, settings: Settings, ledger: Ledger) -> None:
        self.fleet = fleet
        self.clock = clock
        self.settings = settings
        self.ledger = ledger
        self.profiles: Mapping[str, Profile] = builtin_profiles()
        self.daemon = Daemon(settings, self.profiles, ledger, clock=clock, waker=ClockWaker, settle=False)
        if settings.billing is None:
            raise WorkFailed("the simulated district has no [billing] directory")
        self.directory = settings.billing.directory
        self.latest: dict[str, Latest] = {}
        """By meter: its newest import register, as `look` found it."""
        self.judged: Counter[str] = Counter()
        """Verdicts by quality."""
        self.rules: Counter[str] = Counter()
        self._reporter = Reporter(
            ledger,
            clock,
            settings.zone,
            self.profiles,
            {channel.name: channel.protocol for channel in settings.channels},
        )

    async def live_until(self, instant: datetime) -> AsyncIterator[datetime]:
        """Let time pass; yields after each step, when all is quiet."""
        while True:
            await self.fleet.publish_until(self.clock.now())
            alarm = await self.daemon.quiet(self.fleet.acknowledged)
            yield self.clock.now()
            if self.clock.now() >= instant:
                return
            self.clock.advance(min(alarm, _next_step(self.clock.now()), instant))

    async def judge_and_hand_over(self) -> None:
        """Verdicts for what is new, and a delivery of what they released."""
        done = await validate(self.ledger, ruleset_for(self.settings, self.profiles), self.clock)
        self.judged.update(verified=done.verified, suspect=done.suspect)
        self.rules.update(done.by_rule)
        deliverer = deliverer_for(self.settings, self.profiles, self.ledger, self.clock)
        if deliverer is not None:
            await deliverer.run()

    async def numbers(self) -> Numbers:
        """The outcome, from the ledger and the files' rows, held against the truth."""
        found = Numbers(deliveries=await self.ledger.deliveries())
        first = self.fleet.start.astimezone(self.settings.zone).date()
        for line in await self._reporter.success(first, self._reporter.today(), by="day"):
            found.expected += line.expected
            found.collected += line.final
        for missing in await self._reporter.missing(first, self._reporter.today()):
            found.missing[missing.reason] += 1
        async for judged in self.ledger.readings():
            found.readings += 1
            found.qualities[judged.quality] += 1
        for finding in await self.ledger.findings():
            found.rules[finding.rule] += 1
        healthy = {member.name for member in self.fleet.healthy}
        found.healthy = len(healthy)
        for row in await asyncio.to_thread(self._handed_over, found.deliveries):
            found.delivered += 1
            if row["meter"] in healthy:
                self._compare(row, found)
        return found

    async def missing(self) -> tuple[Missing, ...]:
        """Every value that was owed and is not there, with its reason."""
        first = self.fleet.start.astimezone(self.settings.zone).date()
        return await self._reporter.missing(first, self._reporter.today())

    async def look(self) -> Standing:
        """How things stand. Reads what is recent alone, so that a demo that lives for days stays quick."""
        await self._see_newest()
        today = self._reporter.today()
        yesterday = today - timedelta(days=1)
        found = Standing()
        for line in await self._reporter.success(yesterday, today, by="day"):
            found.expected += line.expected
            found.collected += line.final
        overdue: set[str] = set()
        for missing in await self._reporter.missing(yesterday, today):
            if missing.reason == NOT_YET:
                continue
            meter = missing.slot.meter
            found.missing[missing.reason] += 1
            found.trouble.setdefault(meter, Counter())[missing.reason] += 1
            last = self.latest.get(meter)
            if last is None or last.time < missing.slot.at:
                overdue.add(meter)
        for finding in await self.ledger.findings(start=day_bounds(yesterday, self.settings.zone)[0]):
            found.trouble.setdefault(finding.meter, Counter())[finding.rule] += 1
        found.overdue = frozenset(overdue)
        return found

    async def _see_newest(self) -> None:
        start = self.clock.now() - RECENT if self.latest else None
        async for judged in self.ledger.readings(quantities=[ENERGY], start=start):
            before = self.latest.get(judged.reading.meter)
            if before is None or judged.reading.time >= before.time:
                shown = to_text(judged.value, judged.reading.resolution)
                self.latest[judged.reading.meter] = Latest(shown, judged.reading.time, judged.quality)

    def _handed_over(self, deliveries: Iterable[Delivery]) -> list[dict[str, Any]]:
        """The rows as they stand in the files, and only if the files are what the ledger promised."""
        rows: list[dict[str, Any]] = []
        for delivery in deliveries:
            path = self.directory / delivery.data_file
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != delivery.sha256:
                raise WorkFailed(f"{path} is not what delivery {delivery.batch_seq} promised")
            rows += (json.loads(line) for line in content.splitlines())
        return rows

    def _compare(self, row: Mapping[str, Any], found: Numbers) -> None:
        time = datetime.fromisoformat(row["time"])
        shown = self.fleet.truth.value(row["meter"], row["quantity"], row["basis"], time)
        if shown is None:
            found.untold += 1
            return
        found.compared += 1
        found.difference = max(found.difference, abs(Decimal(row["value"]) - Decimal(shown)))


@asynccontextmanager
async def open_district(scenario_name: str = "demo", *, folder: Path | None = None) -> AsyncIterator[District]:
    """Build the district in a folder (default: one that goes away), start it, and drain it at the end."""
    async with AsyncExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaobiao-demo-")))
        profiles = builtin_profiles()
        scenario = load_scenario(scenario_name, profiles)
        clock = DrivenClock(scenario.start)
        fleet = await stack.enter_async_context(Fleet(scenario, now=clock.now, profiles=profiles))
        configuration, _ = fleet.write_config(folder)
        settings = _hurried(load_settings(configuration))
        ledger = await open_ledger(settings.storage.url.url, create=True)
        stack.push_async_callback(ledger.close)
        district = District(fleet, clock, settings, ledger)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(district.daemon.run())
            try:
                yield district
            finally:
                district.daemon.stop()
                await asyncio.wait((running,))


def _hurried(settings: Settings) -> Settings:
    """The fleet's configuration with little patience, and every plan on a grid hourly: a night in seconds."""
    channels = tuple(channel.model_copy(update=PATIENCE) for channel in settings.channels)
    plans = tuple(
        plan.model_copy(update={"every": POLL_EVERY}) if plan.every is not None else plan for plan in settings.plans
    )
    return settings.model_copy(update={"channels": channels, "plans": plans})


def _next_step(now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + ((now - midnight) // STEP + 1) * STEP


async def serve_scenario(
    which: str | Path,
    clock: Clock,
    *,
    tell: Callable[[Fleet], None],
    broker: str | None = None,
    truth: Path | None = None,
) -> None:
    """Simulated meters alone, in real time, until cancelled; `tell` once they listen, `truth` written at the end.

    :raises SettingsError: every mistake of the scenario. :raises WorkFailed: a socket or the broker is not to be had.
    """
    profiles = builtin_profiles()
    try:
        scenario = load_scenario(which, profiles)
        await simulate(scenario, now=clock.now, profiles=profiles, tell=tell, broker=broker, truth=truth)
    except ScenarioError as error:
        raise SettingsError(str(error).splitlines()) from error
    except SimulatorError as error:
        raise WorkFailed(str(error)) from error
