"""Polling: wakes, asks the planner what is owed, and keeps one worker a line busy with it.

The planner decides what; this only carries tasks to lines and their outcome back. A silent meter costs its own line its
time-out and no other line anything. Invariant: a task that was taken in hand comes back as filled, failed or released, also
when the daemon stops or the ledger fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from datetime import datetime

from collector.acquisition.breaker import FAILURES, Trouble
from collector.acquisition.line import Line
from collector.acquisition.outcome import rule
from collector.acquisition.planner import Planner, Task
from collector.acquisition.schedule import Waker
from collector.clock import Clock
from collector.jobs.collect import Collect, Collected, Route
from collector.jobs.routes import no_channel
from storage.days import data_day
from storage.errors import DatabaseBusy, DatabaseUnusable
from storage.ledger.port import Ledger
from storage.records import Batch, Missing, Slot

log = logging.getLogger(__name__)

BUSY_PAUSE_S = 1.0


class Poll:
    """The planner's hands. `listened`: channels whose meters push. `watch` is told of every task that has been committed."""

    def __init__(
        self,
        planner: Planner,
        collect: Collect,
        ledger: Ledger,
        clock: Clock,
        waker: Waker,
        routes: Mapping[str, Route],
        *,
        listened: Container[str] = (),
        drain_s: float,
        watch: Callable[[Collected], None] = lambda _: None,
    ) -> None:
        self._planner = planner
        self._collect = collect
        self._ledger = ledger
        self._clock = clock
        self._waker = waker
        self.routes = routes
        self._listened = listened
        self._drain_s = drain_s
        self._watch = watch
        self._queues: dict[Line, asyncio.Queue[Task]] = {}
        self._workers: dict[Line, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._busy = 0
        self._failures = False
        self._alarm: datetime | None = None
        """Until when the planner sleeps; None while it is awake or about to be."""
        self._fell_asleep = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`: then nothing new is begun, visits under way end, and what was not begun is released."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self.reroute(self.routes, self._listened)
            stopping = tasks.create_task(stop.wait())
            try:
                await self._plan(stop, stopping)
                self._release_waiting()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._drain_s):
                        await self._visits_over()
            finally:
                stopping.cancel()
                self._release_waiting()
                for worker in self._workers.values():
                    worker.cancel()

    def reroute(self, routes: Mapping[str, Route], listened: Container[str]) -> None:
        """Channels as they are from now on: lines that are new get a worker; one that is gone ends its visit and is closed.

        Lines that stay do not notice.
        """
        self.routes = routes
        self._listened = listened
        lines = {route.line for route in routes.values()}
        if self._tasks is None:
            return
        for line in lines - self._queues.keys():
            queue = self._queues[line] = asyncio.Queue()
            self._workers[line] = self._tasks.create_task(self._work(queue))
        for line in self._queues.keys() - lines:
            self._tasks.create_task(self._retire(line, self._queues.pop(line), self._workers.pop(line)))
        self.wake()

    def wake(self) -> None:
        """Plan anew: something changed."""
        self._alarm = None
        self._waker.nudge()

    async def _retire(self, line: Line, queue: asyncio.Queue[Task], worker: asyncio.Task[None]) -> None:
        self._release(queue)
        await queue.join()
        worker.cancel()
        await line.close()

    async def quiet(self) -> datetime:
        """Return when all that was due is done, with the instant of the planner's next alarm. For whoever drives the clock."""
        while self._busy or self._alarm is None or self._alarm <= self._clock.now():
            self._fell_asleep.clear()
            await self._fell_asleep.wait()
        return self._alarm

    async def _plan(self, stop: asyncio.Event, stopping: asyncio.Task[bool]) -> None:
        while not stop.is_set():
            now = self._clock.now()
            for task in self._planner.tasks(now):
                self._busy += 1
                self._queues[self.routes[task.registered.meter.channel].line].put_nowait(task)
            await self._close_windows()
            instant = self._planner.next_alarm(self._clock.now())
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

    async def _close_windows(self) -> None:
        """Slots whose window has closed without a value; what was tried before has its reason in the ledger already."""
        expired = self._planner.expired(self._clock.now())
        if untried := [slot for slot, tries in expired if tries == 0]:
            await self._append(Batch(missing=tuple(self._never(untried))))

    def _never(self, slots: Iterable[Slot]) -> Iterable[Missing]:
        for slot in slots:
            one = self._planner.registered(slot.meter)
            reason, detail = "window_closed", "it was not read, or not stored, in time"
            if one is not None and one.meter.channel in self._listened:
                reason, detail = "no_message", "no message came for it"
            elif one is not None and one.meter.channel not in self.routes:
                reason, detail = no_channel(one.meter.channel)
            elif trouble := self._planner.breakers.trouble(slot.meter):
                reason, detail = (
                    trouble.reason,
                    f"left alone after {FAILURES} visits in vain; the last: {trouble.detail}",
                )
            day = data_day(slot.at, slot.basis, self._planner.zone)
            yield Missing(slot, day, reason, rule(reason).owner, detail, attempts=0, since=slot.at)

    async def _work(self, queue: asyncio.Queue[Task]) -> None:
        while True:
            task = await queue.get()
            try:
                await self._visit(task)
            finally:
                self._busy -= 1
                queue.task_done()
                if not self._busy or self._failures:
                    self._failures = False
                    self.wake()  # a retry may be due before the alarm that is set, or all is done

    async def _visit(self, task: Task) -> None:
        try:
            collected = await self._collect.task(task)
        except (DatabaseBusy, DatabaseUnusable) as error:
            log.warning("%s: not stored, will be read again: %s", task.registered.meter.meter, error)
            self._planner.postponed(task.slots, self._clock.now())
            return
        except BaseException:
            self._planner.released(task.slots)
            raise
        done = set(collected.filled)
        self._planner.filled(done)
        if failed := [slot for slot in task.slots if slot not in done]:
            self._planner.failed(failed, self._clock.now())
            self._failures = True
        self._note_breaker(collected)
        self._watch(collected)

    def _note_breaker(self, collected: Collected) -> None:
        meter, breakers, now = collected.task.registered.meter.meter, self._planner.breakers, self._clock.now()
        if collected.batch.readings:
            if (since := breakers.answered(meter)) is not None:
                log.info("%s answers again, after it had failed since %s", meter, since.isoformat(timespec="seconds"))
            return
        in_vain = [missing for missing in collected.batch.missing if rule(missing.reason).in_vain]
        if in_vain and len(in_vain) == len(collected.batch.missing):
            last = in_vain[-1]
            if breakers.failed(meter, Trouble(last.reason, last.owner, last.detail), now):
                told = "%s: %d visits in a row brought nothing, left alone but for a try now and then: %s: %s"
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

    def _release_waiting(self) -> None:
        for queue in self._queues.values():
            self._release(queue)

    def _release(self, queue: asyncio.Queue[Task]) -> None:
        while not queue.empty():
            task = queue.get_nowait()
            self._planner.released(task.slots)
            self._busy -= 1
            queue.task_done()

    async def _visits_over(self) -> None:
        for queue in self._queues.values():
            await queue.join()
