"""A line with several questions under way at once: a Modbus TCP gateway that allows it (`in_flight` of its channel).

Whoever waits and finds nobody reading reads for all, and hands each frame to the question with its transaction; when its own
answer has come it leaves the reading to the next. Invariants: every question is one `Attempt`, as on any line; a frame that
is wrong, or whose transaction nobody has open, hurts at most its own question; where framing is lost all that is under way
fails for that reason, and the connection is made anew before anything else is asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from collector.acquisition.latency import Latencies
from collector.acquisition.line import DEAF_S, OVERSLEEP, Errand, Line, Try
from collector.acquisition.link import Link
from collector.acquisition.talk import Talk, Trouble, silence, trouble_of
from collector.acquisition.timing import Timing
from collector.acquisition.turnstile import Turnstile
from collector.clock import Clock
from collector.errors import LinkError
from protocols.dialect import Dialect
from protocols.errors import ProtocolError, Refused, RequestError
from protocols.modbus.tcp import TcpSession
from protocols.modbus.tcp_many import TcpMany
from protocols.telegram import NeedMore, Request, Telegram
from storage.records import Owner


@dataclass(slots=True, eq=False)
class _Open:
    """A question that waits for its answer. `turn`: resolved when there is news for it, or nobody reads any more."""

    session: TcpSession
    talk: Talk
    answer: Telegram | Trouble | None = None
    turn: asyncio.Future[None] | None = None

    def call(self) -> None:
        if self.turn is not None and not self.turn.done():
            self.turn.set_result(None)


class PipelinedLine(Line):
    """`in_flight`: so many at once."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        *,
        in_flight: int,
        deaf_s: float = DEAF_S,
        oversleep: float = OVERSLEEP,
        latencies: Latencies | None = None,
    ) -> None:
        super().__init__(link, clock, deaf_s=deaf_s, oversleep=oversleep, latencies=latencies)
        self.width = in_flight
        self._places = Turnstile(in_flight)
        self._many = TcpMany()
        self._spare: list[TcpSession] = []
        self._under_way: dict[int, _Open] = {}
        self._reading = False
        self._heard_at = float("-inf")
        self._ended_one = asyncio.Event()

    async def exchange(self, dialect: Dialect, request: Request, timing: Timing, errand: Errand) -> Try:
        """As `Line.exchange`; who comes while `in_flight` others are under way waits for a place."""
        if not self._places.try_enter():
            await self._places.enter()
        session = self._spare.pop() if self._spare else self._many.session()
        one = _Open(session, Talk(self._clock.now(), asyncio.get_running_loop().time()))
        number = 0
        try:
            number = self._many.number(self._under_way)
            answer = await self._ask(one, number, request, timing, errand)
            return self._ended(one.talk, errand, answer, timing)
        finally:
            self._under_way.pop(number, None)
            self._spare.append(session)
            self._ended_one.set()
            self._pass_on()
            self._places.leave()

    async def close(self) -> None:
        """Let go of the connection once all that is under way has ended."""
        self._torn = True
        await self._renewed()

    async def _ask(
        self, one: _Open, number: int, request: Request, timing: Timing, errand: Errand
    ) -> Telegram | Trouble:
        now, session, talk = asyncio.get_running_loop().time, one.session, one.talk
        session.number(number)
        try:
            data = session.send(request)
        except RequestError as error:
            return Trouble("bad_request", Owner.OURS, str(error))
        try:
            await self._connected(timing)
            talk.started_at, talk.begun, talk.sent = self._clock.now(), now(), data
            self._under_way[number] = one
            await self.link.write(data, talk.begun + timing.timeout_s)
        except LinkError as error:
            self._broken(Trouble(error.reason, error.owner, error.detail))
            return one.answer or Trouble(error.reason, error.owner, error.detail)
        talk.sent_at = sent_at = now()
        patience_s = timing.timeout_s
        if sent_at >= self._doubtful_until:
            patience_s = self.latencies.timeout(errand.meter, timing.timeout_s, session.expects)
        await self._wait(one, sent_at + patience_s)
        if one.answer is not None and talk.heard_at > sent_at + (1 + self._oversleep) * timing.timeout_s:
            talk.overslept, one.answer = True, None
        if isinstance(one.answer, Telegram):
            if sent_at >= self._doubtful_until:
                self.latencies.observed(errand.meter, talk.heard_at - sent_at, session.expects)
            return one.answer
        if one.answer is None:
            self._doubtful_until = max(self._doubtful_until, sent_at + timing.quarantine_s)
            if self._heard_at < sent_at:  # nobody has heard anything since: the connection may be dead
                self._torn = True
        return one.answer or silence(talk, timing, patience_s)

    async def _connected(self, timing: Timing) -> None:
        """:raises LinkError: as `Link.open`. A torn connection is made anew when nothing is under way on it any more."""
        if self._torn:
            await self._renewed()
        if not self._gate.try_enter():  # one opens, the others find it open
            await self._gate.enter()
        try:
            await self.link.open(asyncio.get_running_loop().time() + timing.connect_s)
        finally:
            self._gate.leave()

    async def _renewed(self) -> None:
        while self._under_way:  # each has its deadline
            self._ended_one.clear()
            await self._ended_one.wait()
        await self._gate.enter()
        try:
            if self._torn and not self._under_way:
                self._many.forget()
                await self._hang_up()
        finally:
            self._gate.leave()

    async def _wait(self, one: _Open, deadline: float) -> None:
        """Until it has its answer, or the deadline has passed."""
        loop = asyncio.get_running_loop()
        while one.answer is None and loop.time() < deadline:
            if self._reading:
                one.turn = loop.create_future()
                timer = loop.call_at(deadline, one.call)
                try:
                    await one.turn
                finally:
                    timer.cancel()
                    one.turn = None
                continue
            self._reading = True
            try:
                data = await self.link.read(deadline)
            except LinkError as error:
                self._broken(Trouble(error.reason, error.owner, error.detail))
                continue
            finally:
                self._reading = False
            self._take(data)

    def _take(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if data:
            self._heard_at, self._unheard_since = now, None
        for found in self._many.receive(data) if data else ():
            if isinstance(found, ProtocolError):
                for one in self._under_way.values():
                    one.talk.take(data, now)
                self._broken(trouble_of(found))
                return
            number, frame = found
            if (whose := self._under_way.get(number)) is not None and whose.answer is None:
                whose.talk.take(frame, now)
                whose.session.receive(frame)
                event = whose.session.next_event()
                if not isinstance(event, NeedMore):
                    whose.answer = event if isinstance(event, Telegram) else _refused(event.error)
                    whose.call()

    def _broken(self, why: Trouble) -> None:
        """The connection is of no use any more, to nobody."""
        self._torn = True
        for one in self._under_way.values():
            if one.answer is None:
                one.answer = why
                one.call()

    def _pass_on(self) -> None:
        """Somebody who waits reads from now on."""
        if not self._reading and (waits := next((one for one in self._under_way.values() if one.turn), None)):
            waits.call()


def _refused(error: ProtocolError) -> Trouble:
    return replace(trouble_of(error), refusal=isinstance(error, Refused))
