"""Once a day: what the meters' clocks come to, in one line of the log, and correcting them where the configuration allows it.

    correct = "never", "command"    reports
    correct = "broadcast"           … and tells the time to each line that has a clock off by little, once a day, in a quiet hour
    correct = "set"                 … and sets, one by one, those that are off by more, with the password of the configuration

A meter that is off again after two corrections in a month is faulty: it is reported and left as it is.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from collector.acquisition.calendar import timetable
from collector.acquisition.clocks import (
    ClockPolicy,
    Correct,
    Remedy,
    Standing,
    Verdict,
    may_broadcast,
    to_be_told,
    told_today,
)
from collector.acquisition.line import Line
from collector.clock import Clock, sleep_until_or_set
from collector.errors import UsageError, WorkFailed
from collector.jobs.clocks import ClockSetter, standings
from collector.jobs.route import Route
from collector.settings.durations import show_duration
from collector.settings.schema import Settings
from collector.settings.secrets import CLOCK_PASSWORD, clock_password
from protocols.clockwork import Key
from protocols.dialects import TIMEKEEPERS
from storage.errors import AuditRefused, DatabaseBusy, DatabaseUnusable
from storage.ledger.port import Ledger
from storage.records import Plan
from storage.registry import Registered

log = logging.getLogger(__name__)

CORRECT = {name.name.lower(): name for name in Correct}
WHO = "chaobiao"
FRESH = timedelta(hours=36)
"""Nothing is done about a clock on the word of an older check."""
NAMED = 10
_TICK = timedelta(microseconds=1)


def policy_of(settings: Settings) -> ClockPolicy:
    """As the configuration says."""
    return ClockPolicy(limit=settings.clock.limit, correct=CORRECT[settings.clock.correct])


def clock_key(settings: Settings) -> Key | None:
    """What lets clocks be set, if the configuration or the environment has it. :raises OSError: for its file."""
    password = clock_password(settings.clock, os.environ)
    return None if password is None else Key(password, settings.clock.operator)


def setting_key(settings: Settings) -> Key:
    """What the daemon sets a clock with that a person wants set. :raises UsageError: it does not, or has no password."""
    if policy_of(settings).correct < Correct.COMMAND:
        raise UsageError('the running collector sets no clocks: [clock] correct is "never"; "command" allows it')
    key = clock_key(settings)
    if key is None:
        raise UsageError(f"the running collector has no password: [clock] password_file, or {CLOCK_PASSWORD}")
    return key


class ClockRounds:
    """Looks daily. Settings, routes and meters are asked for: as they are at that moment."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        ledger: Ledger,
        clock: Clock,
        routes: Callable[[], Mapping[str, Route]],
        meters: Callable[[], Iterable[Registered]],
    ) -> None:
        self._settings_now = settings
        self._ledger = ledger
        self._clock = clock
        self._routes = routes
        self._meters = meters

    @property
    def _settings(self) -> Settings:
        return self._settings_now()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            await sleep_until_or_set(self._clock, self._next(self._clock.now()), stop)
            if stop.is_set():
                return
            try:
                await self.look()
            except (DatabaseBusy, DatabaseUnusable, AuditRefused, WorkFailed, OSError) as error:
                log.warning("clocks are not looked at today: %s", error)

    def _next(self, now: datetime) -> datetime:
        daily = Plan("clocks", (), at_minute=self._settings.clock.at)
        return next(timetable(daily, now + _TICK, now + timedelta(days=2), self._settings.zone)).due

    async def look(self) -> None:
        """Once, now."""
        policy = policy_of(self._settings)
        found = await standings(self._ledger, policy)
        if found:
            told = log.warning if any(one.verdict is not Verdict.RIGHT for one in found) else log.info
            told("%s", summary(found, policy))
        now = self._clock.now()
        fresh = {one.check.meter: one for one in found if now - one.check.at <= FRESH}
        if policy.correct >= Correct.BROADCAST:
            await self._tell_lines(fresh)
        if policy.correct >= Correct.SET:
            await self._set_some(fresh)

    async def _tell_lines(self, found: Mapping[str, Standing]) -> None:
        zone = self._settings.zone
        for members, route in self._lines():
            meant = to_be_told([found[one.meter.meter] for one in members if one.meter.meter in found])
            now = self._clock.now()
            if not meant or not may_broadcast(now, zone, self._settings.plan_records):
                continue
            names = [one.meter.meter for one in members]
            if told_today(await self._ledger.clock_changes(meters=names, since=now - timedelta(days=2)), now, zone):
                continue
            why = f"{len(meant)} of {len(members)} clocks off by more than {show_duration(self._settings.clock.limit)}"
            done = await self._setter().tell_line(members, route, meant, who=WHO, why=why)
            right = sum(one.outcome == "ok" for one in done)
            log.info("%s: told the time; %d of %d clocks that were off are right now", route.channel, right, len(meant))

    async def _set_some(self, found: Mapping[str, Standing]) -> None:
        key, routes = clock_key(self._settings), self._routes()
        for one in self._meters():
            standing, route = found.get(one.meter.meter), routes.get(one.meter.channel)
            if standing is None or route is None or standing.remedy is not Remedy.SET:
                continue
            if key is None:
                raise WorkFailed("clocks are to be set, but [clock] has no password_file")
            done = await self._setter().set_one(one, route, key, who=WHO, why="off by more than a broadcast corrects")
            if done.reason:
                log.warning("%s: its clock was not set: %s: %s", done.meter, done.reason, done.detail)
            elif done.before is not None:
                log.info("%s: its clock was set; it was off by %s", done.meter, show_drift(done.before.drift))

    def _setter(self) -> ClockSetter:
        return ClockSetter(self._ledger, self._clock, self._settings.zone)

    def _lines(self) -> list[tuple[list[Registered], Route]]:
        """Meters with a clock by the line that they hear."""
        routes, by_line = self._routes(), dict[Line, tuple[list[Registered], Route]]()
        for one in self._meters():
            route = routes.get(one.meter.channel)
            if route is not None and route.dialect.name in TIMEKEEPERS:
                by_line.setdefault(route.line, ([], route))[0].append(one)
        return list(by_line.values())


def summary(found: Iterable[Standing], policy: ClockPolicy) -> str:
    """One line: which clocks are off, and by how much."""
    every = list(found)
    wrong = [one for one in every if one.verdict is not Verdict.RIGHT]
    limit = show_duration(policy.limit)
    if not wrong:
        return f"clocks: all {len(every)} that were ever read are right within {limit}"
    told = ", ".join(f"{one.check.meter} {one.verdict} ({show_drift(one.check.drift)})" for one in wrong[:NAMED])
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return f"clocks: {len(wrong)} of {len(every)} are off by more than {limit}: {told}{more}"


def show_drift(drift: timedelta) -> str:
    """`+3m20s`, `-1.5s`, `-365d`: the meter's time less ours."""
    sign, tenths = "-" if drift < timedelta() else "+", abs(drift) // timedelta(milliseconds=100)
    seconds = tenths // 10
    if seconds < 60:
        return f"{sign}{seconds}.{tenths % 10}s"
    parts = (("d", seconds // 86_400), ("h", seconds // 3600 % 24), ("m", seconds // 60 % 60), ("s", seconds % 60))
    return sign + "".join(f"{count}{unit}" for unit, count in parts if count)
