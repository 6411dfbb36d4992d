"""Will it finish in time: every polled line, with what is owed from now (or from a given instant) to an hour.

Reads only. Slots come from the plans of the configuration and the registry; how long they take from `acquisition.pace`, which
learns from the attempts that the ledger keeps, so that another process than the daemon can tell. Invariant: a meter that was
asked lately and never answered counts with the time that it costs its line, and not among what will be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from collector.acquisition.forecast import Outlook, Waiting, play
from collector.acquisition.listening import Ports
from collector.acquisition.pace import Known, Pace
from collector.acquisition.plan import gives_by, owed
from collector.acquisition.planner import LONGEST_WINDOW
from collector.acquisition.urgency import urgency_of
from collector.clock import Clock
from collector.jobs.costs import Costs, pace_of
from collector.jobs.routes import routes_for
from collector.settings.schema import Channel, Settings
from protocols.profile import Profile
from storage.days import from_local
from storage.dues import Pause, Paused
from storage.exchanged import Exchanged
from storage.ledger.port import Ledger
from storage.records import PlanVersion, Slot
from storage.registry import Registered

LEARN_FROM = timedelta(days=7)
MOST_ATTEMPTS = 200_000
"""What is learned from: so many attempts at most, a hundred bytes of memory each."""
_EVER = datetime.min.replace(tzinfo=UTC)
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_OfChannel = TypeVar("_OfChannel", Waiting, Exchanged)


@dataclass(frozen=True, slots=True)
class ChannelForecast:
    """What will become of one channel. `values`: slots of meters that answer; `silent`: meters that lately never did."""

    channel: str
    link: str
    by: datetime
    meters: int
    silent: int
    values: int
    begins: datetime | None
    done: datetime | None
    late: int
    missed: int
    known: Known
    heard: int
    """Of the meters: so many answered lately."""
    plans: Mapping[str, Outlook] = field(default_factory=dict)

    @property
    def finishes(self) -> bool:
        """All of it by the hour; a channel on which nobody answers brings nothing."""
        return not self.late and not self.missed and not (self.silent and self.silent == self.meters)


@dataclass(frozen=True, slots=True)
class Forecaster:
    """The job with what it needs."""

    settings: Settings
    profiles: Mapping[str, Profile]
    clock: Clock

    async def of_ledger(self, ledger: Ledger, start: datetime | None, by: time) -> list[ChannelForecast]:
        """From `start` on (None: from now on, with all that is open now), to the next time that it is `by`."""
        now = self.clock.now()
        begin = now if start is None else start
        done = await ledger.filled(now - LONGEST_WINDOW, now + _TICK) if start is None else frozenset()
        past = await ledger.exchanged(begin - LEARN_FROM, most=MOST_ATTEMPTS)
        pauses = await ledger.pauses(begin, begin + _TICK)
        registered = await ledger.registry()
        waiting = self._open(registered, begin, by, everything=start is None, done=done, pauses=pauses)
        return self._forecast(registered, waiting, past, begin, by)

    def of_registry(self, registered: Sequence[Registered], start: datetime | None, by: time) -> list[ChannelForecast]:
        """Before there is a database: nothing is read yet, and nothing learned."""
        begin = self.clock.now() if start is None else start
        waiting = self._open(registered, begin, by, everything=start is None, done=frozenset(), pauses=())
        return self._forecast(registered, waiting, (), begin, by)

    def _open(
        self,
        registered: Sequence[Registered],
        begin: datetime,
        by: time,
        *,
        everything: bool,
        done: frozenset[Slot],
        pauses: Iterable[Pause],
    ) -> list[Waiting]:
        zone, groups = self.settings.zone, self.settings.reading_days
        of = {one.meter.meter: one for one in registered}
        paused = {(pause.kind, pause.name) for pause in pauses}
        versions = [PlanVersion(plan, _EVER) for plan in self.settings.plan_records]
        since = begin - LONGEST_WINDOW if everything else begin
        slots = owed(
            versions,
            registered,
            since,
            next_time(begin, by, zone),
            zone=zone,
            gives=gives_by(self.profiles),
            open_after=begin,
        )
        waiting = []
        for entry in slots:
            slot, one = entry.slot, of[entry.slot.meter]
            left_out = {
                (Paused.PLAN, slot.plan),
                (Paused.METER, slot.meter),
                (Paused.CHANNEL, one.meter.channel),
            }
            if slot not in done and paused.isdisjoint(left_out):
                waiting.append(Waiting(entry, urgency_of(slot, one, groups, zone), one.meter.channel))
        return waiting

    def _forecast(
        self,
        registered: Sequence[Registered],
        waiting: Iterable[Waiting],
        past: Iterable[Exchanged],
        begin: datetime,
        by: time,
    ) -> list[ChannelForecast]:
        routes = routes_for(self.settings.channels, self.clock, Ports())
        until = next_time(begin, by, self.settings.zone)
        line_of = {channel: id(route.line) for channel, route in routes.items()}
        slots = _by_line(line_of, waiting)
        attempts = _by_line(line_of, past)
        standing: defaultdict[str, list[Registered]] = defaultdict(list)
        for one in registered:
            standing[one.meter.channel].append(one)
        found: list[ChannelForecast] = []
        for line in dict.fromkeys(line_of.values()):
            channels = [self.settings.channel(name) for name, of in line_of.items() if of == line]
            pace = pace_of(channels[0], routes[channels[0].name], attempts[line])
            there = {one.meter.meter: one for channel in channels for one in standing[channel.name]}
            silent = {meter for meter in there if pace.silent(meter)}
            costs = Costs(pace, routes, self.profiles, self.settings.zone, there)
            outlooks = play(slots[line], begin, until, costs.of, unheard=silent)
            for channel in channels:
                here = {plan: one for (name, plan), one in outlooks.items() if name == channel.name}
                meters = [one.meter.meter for one in standing[channel.name]]
                found.append(_summed(channel, until, meters, pace, here))
        return found


def _by_line(line_of: Mapping[str, int], things: Iterable[_OfChannel]) -> defaultdict[int, list[_OfChannel]]:
    """Those of other channels (meters that push, channels that have gone) are left out."""
    found: defaultdict[int, list[_OfChannel]] = defaultdict(list)
    for one in things:
        if one.channel in line_of:
            found[line_of[one.channel]].append(one)
    return found


def _summed(
    channel: Channel, by: datetime, meters: Sequence[str], pace: Pace, plans: Mapping[str, Outlook]
) -> ChannelForecast:
    every = plans.values()
    return ChannelForecast(
        channel=channel.name,
        link=channel.link.text,
        by=by,
        meters=len(meters),
        silent=sum(map(pace.silent, meters)),
        heard=sum(map(pace.heard, meters)),
        values=sum(one.slots for one in every),
        begins=min((one.first_due for one in every if one.first_due), default=None),
        done=max((one.done for one in every if one.done), default=None),
        late=sum(one.late for one in every),
        missed=sum(one.missed for one in every),
        known=pace.known,
        plans=plans,
    )


def next_time(after: datetime, clock_time: time, zone: ZoneInfo) -> datetime:
    """The first instant after `after` at which it is this time in the zone."""
    day = after.astimezone(zone).date()
    instants = (from_local(datetime.combine(day + n * _DAY, clock_time), zone) for n in range(3))
    return next(instant for instant in instants if instant > after)
