"""Polling: when a line is free its worker takes the most urgent task that waits for it, asks the meter, and brings it back.

Sources say what may be asked (the planner's slots owed, and what is handed in beside them: `TaskSource`); this only carries
tasks to lines and their outcome back. A silent meter costs its own line its time-out and no other line anything. Invariant: a
task that was taken in hand comes back as ended, put off or released, also when the daemon stops or the ledger fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from functools import partial

from collector.acquisition.breaker import FAILURES, Trouble
from collector.acquisition.budget import Budget
from collector.acquisition.line import Line
from collector.acquisition.outcome import OK, rule
from collector.acquisition.planner import Planner, pause
from collector.acquisition.schedule import Waker
from collector.acquisition.shortage import Shortage
from collector.acquisition.tasks import Collected, Task, TaskSource
from collector.acquisition.turns import Turns
from collector.acquisition.urgency import Urgency
from collector.acquisition.visit import GiveWay
from collector.acquisition.worker import Worker
from collector.clock import Clock
from collector.errors import WorkFailed
from collector.jobs.collect import Collect, Route
from collector.jobs.routes import no_channel
from collector.jobs.untried import why_untried
from storage.days import data_day
from storage.errors import DatabaseBusy, DatabaseUnusable
from storage.ledger.port import Ledger
from storage.records import Batch, Missing, Slot

log = logging.getLogger(__name__)

BUSY_PAUSE_S = 1.0


class Poll:
    """The sources' hands. `listened`: channels whose meters push. `watch` is told of every task that has been committed.

    `sources`: where tasks come from beside the planner. `turns`: how a line is shared. `budget`: what a meter may cost in vain.
    """

    def __init__(
        self,
        planner: Planner,
        collect: Collect,
        ledger: Ledger,
        clock: Clock,
        waker: Waker,
        routes: Mapping[str, Route],
        *,
        sources: Sequence[TaskSource] = (),
        listened: Container[str] = (),
        drain_s: float,
        watch: Callable[[Collected], None] = lambda _: None,
        turns: Callable[[], Turns] = Turns,
        budget: Budget | None = None,
    ) -> None:
        self._planner = planner
        self._sources: tuple[TaskSource, ...] = (planner, *sources)
        self._collect = collect
        self._ledger = ledger
        self._clock = clock
        self._waker = waker
        self.routes = routes
        self._listened = listened
        self._drain_s = drain_s
        self._watch = watch
        self._turns = turns
        self._budget = Budget() if budget is None else budget
        self._shortage = Shortage()
        self._workers: dict[Line, tuple[Worker, asyncio.Task[None]]] = {}
        self._by_channel: dict[str, Worker] = {}
        self._idle_channels: set[str] = set()
        self._tasks: asyncio.TaskGroup | None = None
        self._busy = 0
        """Workers that are not idle."""
        self._draining = False
        self._alarm: datetime | None = None
        """Until when the planner sleeps; None while it is awake or about to be."""
        self._fell_asleep = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`: then nothing new is begun, and visits under way end."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self.reroute(self.routes, self._listened)
            stopping = tasks.create_task(stop.wait())
            try:
                await self._plan(stop, stopping)
                self._drain()
                if working := [task for _, task in self._workers.values()]:
                    await asyncio.wait(working, timeout=self._drain_s)
            finally:
                stopping.cancel()
                for _, task in self._workers.values():
                    task.cancel()

    def reroute(self, routes: Mapping[str, Route], listened: Container[str]) -> None:
        """Channels as they are from now on: lines that are new get a worker; one that is gone ends its visit and is closed.

        Lines that stay do not notice.
        """
        self.routes = routes
        self._listened = listened
        if self._tasks is None:
            return
        channels: dict[Line, list[str]] = {}
        for route in routes.values():
            channels.setdefault(route.line, []).append(route.channel)
        for line in channels.keys() - self._workers.keys():
            worker = Worker(line, self._turns())
            self._busy += 1
            self._workers[line] = worker, self._tasks.create_task(self._work(worker))
        for line in self._workers.keys() - channels.keys():
            self._tasks.create_task(self._retire(*self._workers.pop(line)))
        self._by_channel.clear()
        self._idle_channels.clear()
        for line, (worker, _) in self._workers.items():
            worker.channels = tuple(channels[line])
            self._by_channel.update(dict.fromkeys(worker.channels, worker))
            if worker.idle:
                self._idle_channels.update(worker.channels)
        self.wake()

    def wake(self) -> None:
        """Look anew at what there is to do: something changed."""
        self._alarm = None
        self._waker.nudge()

    async def _retire(self, worker: Worker, working: asyncio.Task[None]) -> None:
        worker.leaving = True
        self._ring(worker)
        await asyncio.wait([working])
        async with worker.turn:
            await worker.line.close()

    @asynccontextmanager
    async def guest(self, channel: str) -> AsyncIterator[None]:
        """The line of this channel is the caller's inside the block: between two visits, in the order of who came.

        :raises WorkFailed: it is configured no more.
        """
        worker = self._by_channel.get(channel)
        if worker is None:
            raise WorkFailed(no_channel(channel)[1])
        async with worker.turn:
            if worker.leaving:
                raise WorkFailed(no_channel(channel)[1])
            yield

    async def quiet(self) -> datetime:
        """Return when all that was due is done, with the instant of the next alarm. For whoever drives the clock."""
        while self._busy or self._alarm is None or self._alarm <= self._clock.now():
            self._fell_asleep.clear()
            await self._fell_asleep.wait()
        return self._alarm

    async def _plan(self, stop: asyncio.Event, stopping: asyncio.Task[bool]) -> None:
        while not stop.is_set():
            more = self._planner.advance(self._clock.now())
            more |= await self._close_windows()
            now = self._clock.now()
            alarms = [source.next_alarm(now) for source in self._sources]
            self._ring_who_has_work()
            if more:
                await asyncio.sleep(0)  # whoever waits meanwhile is served
                continue
            instant = min(one for one in alarms if one is not None)  # the planner always has one
            alarm = asyncio.ensure_future(self._waker.sleep_until(instant))
            try:
                self._alarm = instant
                self._fell_asleep.set()
                await asyncio.wait((alarm, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._alarm = None
                alarm.cancel()
                with suppress(asyncio.CancelledError):
                    await alarm

    def _ring_who_has_work(self) -> None:
        for source in self._sources:
            for channel in list(self._idle_channels.intersection(source.channels())):
                self._ring(self._by_channel[channel])

    def _ring(self, worker: Worker) -> None:
        if worker.idle:
            worker.idle = False
            self._busy += 1
            self._idle_channels.difference_update(worker.channels)
            if worker.bell is not None and not worker.bell.done():
                worker.bell.set_result(None)

    def _drain(self) -> None:
        self._draining = True
        for worker, _ in self._workers.values():
            self._ring(worker)

    async def _close_windows(self) -> bool:
        """Slots whose window has closed without a value; what was tried before has its reason in the ledger already.

        True: there may be more.
        """
        expired = self._planner.expired(self._clock.now())
        cut_short = [one.before for one in expired if one.before is not None]
        missing = [one.missing for one in cut_short]
        missing += self._never(one.slot for one in expired if one.before is None and one.tries == 0)
        rounds = {one.missing.slot.meter: one.missing for one in cut_short if not one.alive}
        for one in rounds.values():
            self._round_failed(one)
        if missing:
            await self._append(Batch(missing=tuple(missing)))
        return bool(expired)

    def _never(self, slots: Iterable[Slot]) -> Iterable[Missing]:
        now, zone = self._clock.now(), self._planner.zone
        for slot in slots:
            why = why_untried(
                *(slot, self._planner, self._budget, now),
                listened=self._listened,
                polled=self.routes,
                silence=lambda channel, meter: self._by_channel[channel].silence.trouble(meter),
            )
            yield Missing(slot, data_day(slot.at, slot.basis, zone), *why, attempts=0, since=slot.at)

    async def _work(self, worker: Worker) -> None:
        if worker.line.width > 1:
            await self._work_wide(worker)
            return
        while not worker.leaving and not self._draining:
            found = self._next(worker)
            if found is not None:
                await self._visit(worker, *found)
            else:
                await self._rest(worker)
        self._busy -= 1

    async def _work_wide(self, worker: Worker) -> None:
        """On a line that may have several questions under way: as many visits at once."""
        under_way: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as visits:
            while not worker.leaving and not self._draining:
                found = self._next(worker)
                if found is not None:
                    under_way.add(visits.create_task(self._visit(worker, *found)))
                elif not under_way:
                    await self._rest(worker)
                if under_way and (found is None or len(under_way) >= worker.line.width):
                    _, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        self._busy -= 1

    async def _rest(self, worker: Worker) -> None:
        """Until somebody rings."""
        worker.idle = True
        worker.bell = asyncio.get_running_loop().create_future()
        self._idle_channels.update(worker.channels)
        self._busy -= 1
        if not self._busy:
            self.wake()  # all is done
        await worker.bell
        worker.bell = None

    def _next(self, worker: Worker) -> tuple[TaskSource, Task] | None:
        """The task whose turn it is on this line."""
        now = self._clock.now()
        while waiting := self._waiting(worker, now):
            urgency = worker.turns.choose(waiting)
            _, which, channel = waiting[urgency]
            source = self._sources[which]
            task = source.take(channel, urgency, now)
            if task is None:
                continue
            if (until := self._rests_until(task, now)) is not None:
                source.put_off(task, until)
                self.wake()
                continue
            worker.turns.served(urgency)
            return source, task
        return None

    def _rests_until(self, task: Task, now: datetime) -> datetime | None:
        """Until when a meter that costs its line time in vain is left alone; who waits in person tries all the same."""
        if task.urgency is Urgency.ON_DEMAND:
            return None
        meter = task.registered.meter.meter
        ends = (self._planner.breakers.rests_until(meter), self._budget.rests_until(meter, now))
        return max((end for end in ends if end is not None and end > now), default=None)

    def _waiting(self, worker: Worker, now: datetime) -> dict[Urgency, tuple[datetime, int, str]]:
        """By urgency: the first window to close, and where its task is to be had."""
        found: dict[Urgency, tuple[datetime, int, str]] = {}
        for which, source in enumerate(self._sources):
            for channel in worker.channels:
                for urgency, closes in source.waiting(channel, now).items():
                    one = closes, which, channel
                    found[urgency] = min(found.get(urgency, one), one)
        return found

    async def _give_way(self, worker: Worker) -> None:
        """Between two questions of a visit: one person who waits goes first. (One, or the visit might never end.)"""
        now = self._clock.now()
        first = None if self._draining else self._waiting(worker, now).get(Urgency.ON_DEMAND)
        if first is not None and (task := self._sources[first[1]].take(first[2], Urgency.ON_DEMAND, now)) is not None:
            worker.turns.served(Urgency.ON_DEMAND)
            await self._visit(worker, self._sources[first[1]], task, turn=nullcontext())

    async def _visit(
        self, worker: Worker, source: TaskSource, task: Task, *, turn: AbstractAsyncContextManager[object] | None = None
    ) -> None:
        meter = task.registered.meter.meter
        try:
            async with turn or worker.turn:
                collected = await self._collect.task(task, self._between(worker, task))
        except (DatabaseBusy, DatabaseUnusable) as error:
            log.warning("%s: not stored, will be read again: %s", meter, error)
            now = self._clock.now()
            source.put_off(task, now + pause(meter, 1))
            self.wake()
            return
        except BaseException:
            source.released(task)
            raise
        source.ended(collected, self._clock.now())
        if len(collected.filled) < len(task.slots):
            self.wake()  # a retry may be due before the alarm that is set
        self._note(worker, collected)
        self._watch(collected)

    def _between(self, worker: Worker, task: Task) -> GiveWay | None:
        """Persons wait for each other; on a line that takes several questions at once nobody waits for one visit."""
        if task.urgency is Urgency.ON_DEMAND or worker.line.width > 1:
            return None
        return partial(self._give_way, worker)

    def _note(self, worker: Worker, collected: Collected) -> None:
        """What a visit says of the meter and of its line."""
        task, batch, now = collected.task, collected.batch, self._clock.now()
        if says := self._shortage.met(batch.attempts):
            log.warning("%s", says)
        meter, breakers = task.registered.meter.meter, self._planner.breakers
        route = self.routes.get(task.registered.meter.channel)
        if route is not None and (in_vain := [one for one in batch.attempts if rule(one.outcome).in_vain]):
            last, took_s = in_vain[-1], sum(route.held_s(attempt) for attempt in in_vain)
            why = Trouble(last.outcome, last.owner or rule(last.outcome).owner, last.detail)
            self._budget.spent(meter, timedelta(seconds=took_s), why, now)
        if batch.readings or batch.done or any(attempt.outcome == OK for attempt in batch.attempts):
            worker.silence.broken()
        if batch.readings or batch.done:
            self._budget.answered(meter)
            if (since := breakers.answered(meter)) is not None:
                log.info("%s answers again, after it had failed since %s", meter, since.isoformat(timespec="seconds"))
            return
        lacking = [*batch.missing, *(one.missing for one in collected.again)]
        if not lacking:
            return
        if all(attempt.outcome != OK for attempt in batch.attempts):
            worker.silence.in_vain(meter, Trouble(lacking[-1].reason, lacking[-1].owner, lacking[-1].detail))
        alive = task.before is not None and any(one.alive for one in task.before.values())
        if not alive and not collected.again and all(rule(one.reason).in_vain for one in lacking):
            self._round_failed(lacking[-1])

    def _round_failed(self, last: Missing) -> None:
        """A round of a meter brought nothing; why at last."""
        meter = last.slot.meter
        if not rule(last.reason).in_vain:
            return
        if self._planner.breakers.failed(meter, Trouble(last.reason, last.owner, last.detail), self._clock.now()):
            told = "%s: %d rounds in a row brought nothing, left alone but for a try now and then: %s: %s"
            log.warning(told, meter, FAILURES, last.reason, last.detail)

    async def _append(self, batch: Batch) -> None:
        while True:
            try:
                await self._ledger.append(batch)
            except (DatabaseBusy, DatabaseUnusable) as error:
                log.warning("closing windows waits for the database: %s", error)
                await asyncio.sleep(BUSY_PAUSE_S)
            else:
                return
