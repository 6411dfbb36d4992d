"""A line: one medium, strictly half-duplex, and every question on it ends as one `Attempt`.

Two protocols may share a line; each has one session, kept here because it remembers what was asked last. The line knows
nothing of meters' values and never retries (`visit` does). Invariant: when an exchange ended otherwise than with its own
answer (error, time-out, cancellation), nothing that belongs to it can reach the next one: where framing needs silence the
line goes into quarantine, elsewhere the connection is closed.

While nothing else has been sent, an answer that comes late is still the answer to the question. So where the quarantine would
have to be waited for in any case, it is spent listening: a late answer costs its lateness and no value, a silent meter as
much as before. Elsewhere a meter counts as silent after its own usual time (`latency`), at most after the channel's time-out.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from collector.acquisition.latency import Latencies
from collector.acquisition.link import Link
from collector.acquisition.outcome import OK, rule
from collector.acquisition.quarantine import Guard, Quarantine
from collector.acquisition.talk import Talk, Trouble, lateness, silence, trouble_of
from collector.acquisition.timing import Timing
from collector.acquisition.turnstile import Turnstile
from collector.clock import Clock
from collector.errors import LinkError
from protocols.dialect import Dialect
from protocols.errors import ProtocolError, Refused, RequestError, UnexpectedBytes
from protocols.telegram import NeedMore, Request, Session, Telegram
from storage.records import Attempt, Owner

MOST_BYTES = 4096
"""What one answer may bring with it, noise included; a line that says more in one time-out is babbling."""
DEAF_S = 25.0
"""A connection over which so long nothing came while questions went out is made anew. One that is dead is mostly told by the
system in as much time; a serial server whose session hangs, or a box between that takes our bytes, is told by nobody.
"""

OVERSLEEP = 1.0
"""In time-outs: an answer that is read so much after its time-out was lying there while this process stood still (stopped, or
its machine paused). Its value is an old one and would be stamped with the present.
"""


@dataclass(frozen=True, slots=True)
class Errand:
    """On whose behalf a question is asked: the labels of its `Attempt`."""

    meter: str = ""
    channel: str = ""
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Try:
    """How one question ended. `telegram` and `received_at` (the instant it was whole) only where it was answered."""

    attempt: Attempt
    telegram: Telegram | None = None
    received_at: datetime | None = None


class Line:
    """One medium and the sessions on it. `guard` decides when it is safe to send; `deaf_s`, when silence is the connection's;
    `oversleep`, when an answer is too old; `latencies` is what was learned of its meters.
    """

    width = 1
    """How many exchanges may be under way at once."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        *,
        guard: Guard | None = None,
        deaf_s: float = DEAF_S,
        oversleep: float = OVERSLEEP,
        latencies: Latencies | None = None,
    ) -> None:
        self.link = link
        self.latencies = Latencies() if latencies is None else latencies
        self._clock = clock
        self._guard: Guard = Quarantine() if guard is None else guard
        self._gate = Turnstile()
        self._sessions: dict[str, Session] = {}
        self._torn = False
        """The connection may hold half an exchange and must not be used again."""
        self._deaf_s = deaf_s
        self._oversleep = oversleep
        self._unheard_since: float | None = None
        """When the first question went out after the last byte came in."""
        self._doubtful_until = float("-inf")
        """Until then a gateway may still be busy with a question that had no answer: nobody else is called silent early."""

    async def exchange(self, dialect: Dialect, request: Request, timing: Timing, errand: Errand) -> Try:
        """Ask once. Who comes while another exchange is under way waits for its end. Never raises for what the medium or
        the device does: that is the attempt's outcome.
        """
        if not self._gate.try_enter():
            await self._gate.enter()
        talk = Talk(self._clock.now(), asyncio.get_running_loop().time())
        answer: Telegram | Trouble | None = None
        try:
            answer = await self._converse(dialect, request, timing, errand, talk)
            if isinstance(answer, Telegram):
                self._unheard_since = None
                self._guard.answered(talk.heard_at, timing)
            else:
                await self._failed(answer, timing, talk)
            return self._ended(talk, errand, answer, timing)
        finally:
            if answer is None:  # cancelled, or a mistake of ours: half an exchange may be on the line
                self._listened(talk)
                self._doubt(talk, timing)
                self._torn = True
            self._gate.leave()

    async def _failed(self, trouble: Trouble, timing: Timing, talk: Talk) -> None:
        self._listened(talk)
        if trouble.refusal:
            self._guard.answered(talk.heard_at, timing)
        else:
            self._doubt(talk, timing)
        if trouble.hang_up:
            self._torn = True  # also if we are cancelled now
            await self._hang_up()

    async def tell(self, dialect: Dialect, request: Request, timing: Timing, errand: Errand) -> Attempt:
        """Send what nobody answers (a broadcast). The line then rests as after a question without an answer: a device that
        answers all the same is not taken for the next one.
        """
        await self._gate.enter()
        try:
            talk = Talk(self._clock.now(), asyncio.get_running_loop().time())
            trouble: Trouble | None = None
            try:
                talk.sent = self._session(dialect).send(request)
                if self._torn:
                    await self._hang_up()
                await self.link.open(asyncio.get_running_loop().time() + timing.connect_s)
                settled = await self._guard.settle(self.link, timing)
                talk.drained = settled.drained
                talk.started_at, talk.begun = self._clock.now(), asyncio.get_running_loop().time()
                await self.link.write(talk.sent, talk.begun + timing.timeout_s)
                talk.sent_at = asyncio.get_running_loop().time()
            except LinkError as error:
                trouble = Trouble(error.reason, error.owner, error.detail)
                await self._hang_up()
            finally:
                self._doubt(talk, timing)
            return self._attempt(talk, errand, trouble, trouble.detail if trouble else "")
        finally:
            self._gate.leave()

    async def overhear(self, for_s: float, timing: Timing) -> bytes:
        """What comes behind an answer though nobody was asked again: who else answered to a wildcard.

        Listens for `for_s`, and to the end of what is being said then, at most for another time-out.
        """
        loop = asyncio.get_running_loop()
        heard = bytearray()
        await self._gate.enter()
        try:
            until = last = loop.time() + for_s
            end = until + timing.timeout_s
            while len(heard) < MOST_BYTES and (data := await self.link.read(until)):
                heard += data
                last = loop.time()
                until = min(max(until, last + timing.gap_s), end)
            if heard:
                self._guard.answered(last, timing)
        except LinkError:  # the next exchange meets it, and says so
            return bytes(heard)
        finally:
            self._gate.leave()
        return bytes(heard)

    def rest(self, timing: Timing) -> None:
        """Where framing needs silence: ask nobody before whatever was asked last would have been answered, by this patience.

        For whoever asked strangers with less of it, and gives the line back.
        """
        self._guard.doubt(asyncio.get_running_loop().time(), timing)

    async def close(self) -> None:
        """Let go of the medium once the exchange under way has ended."""
        await self._gate.enter()
        try:
            await self._hang_up()
        finally:
            self._gate.leave()

    async def _converse(
        self, dialect: Dialect, request: Request, timing: Timing, errand: Errand, talk: Talk
    ) -> Telegram | Trouble:
        loop = asyncio.get_running_loop()
        session = self._session(dialect)
        try:
            data = session.send(request)
        except RequestError as error:
            return Trouble("bad_request", Owner.OURS, str(error))
        try:
            now = talk.begun
            if self._torn or self._is_deaf(now):
                await self._hang_up()
                now = loop.time()
            await self.link.open(now + timing.connect_s)
            if dialect.streaming:
                settled = await self._guard.settle(self.link, timing)
                talk.drained = settled.drained
                if not settled.silent:
                    detail = f"{self.link.name} does not fall silent: {settled.drained} bytes that nobody asked for"
                    return Trouble("line_not_silent", rule("line_not_silent").owner, detail, hang_up=True)
                talk.started_at = self._clock.now()
            talk.sent, talk.begun = data, loop.time()
            await self.link.write(data, talk.begun + timing.timeout_s)
            talk.sent_at = sent_at = loop.time()
            patience_s = self._patience(session, dialect, timing, errand, sent_at)
            found = await self._listen(session, dialect, timing, talk, sent_at, patience_s)
        except LinkError as error:
            return Trouble(error.reason, error.owner, error.detail, hang_up=True)
        if isinstance(found, Telegram):
            if sent_at >= self._doubtful_until:  # else it may have queued behind another's silence
                self.latencies.observed(errand.meter, talk.first_at - sent_at, session.expects)
            return found
        trouble = trouble_of(found) if found is not None else silence(talk, timing, patience_s)
        return replace(trouble, hang_up=not dialect.streaming and not trouble.refusal)

    def _patience(self, session: Session, dialect: Dialect, timing: Timing, errand: Errand, now: float) -> float:
        """How long nothing may come before there is no answer, in seconds."""
        if dialect.streaming:
            return self._guard.listen_s(timing)
        if now < self._doubtful_until:
            return timing.timeout_s
        return self.latencies.timeout(errand.meter, timing.timeout_s, session.expects)

    async def _listen(
        self, session: Session, dialect: Dialect, timing: Timing, talk: Talk, sent_at: float, patience_s: float
    ) -> Telegram | ProtocolError | None:
        """The answer, or the first thing that was wrong, or None for silence. Where framing needs silence, what is wrong is
        skipped as long as the time lasts: a good frame may stand behind noise. An answer that has begun has at least the
        channel's whole time-out to end.
        """
        now_, timeout_s, streaming = asyncio.get_running_loop().time, timing.timeout_s, dialect.streaming
        now, deadline, in_time = sent_at, sent_at + patience_s, sent_at + timeout_s
        first: ProtocolError | None = None
        fresh = False  # bytes have come since the session was last told of silence
        while now < deadline or fresh:
            # Never longer than a time-out at once, so that it shows when this process has stood still meanwhile.
            until = min(deadline, now + timeout_s)
            due = max(until, in_time)
            if fresh and streaming:
                until = min(until, talk.heard_at + timing.gap_s)
            data = await self.link.read(until) if now < deadline else b""
            now = now_()
            if data:
                talk.take(data, now)
                if now > due + self._oversleep * timeout_s:
                    talk.overslept = True
                    return None
                deadline = max(deadline, in_time)
                session.receive(data)
                fresh = True
            elif fresh:
                session.idle()
                fresh = False
            while not isinstance(event := session.next_event(), NeedMore):
                if isinstance(event, Telegram):
                    return event
                if isinstance(event.error, Refused) or not streaming:
                    return event.error
                first = first or event.error
            if talk.count > MOST_BYTES:
                return first or UnexpectedBytes(
                    f"{talk.count} bytes and no answer among them", data=bytes(talk.received)
                )
        return first

    def _session(self, dialect: Dialect) -> Session:
        session = self._sessions.get(dialect.name)
        if session is None:
            session = self._sessions[dialect.name] = dialect.session()
        return session

    def _is_deaf(self, now: float) -> bool:
        return self._unheard_since is not None and now - self._unheard_since >= self._deaf_s

    def _listened(self, talk: Talk) -> None:
        if talk.count or talk.drained:
            self._unheard_since = None
        elif talk.sent_at is not None and self._unheard_since is None:
            self._unheard_since = talk.sent_at

    def _doubt(self, talk: Talk, timing: Timing) -> None:
        if talk.sent:
            sent_at = asyncio.get_running_loop().time() if talk.sent_at is None else talk.sent_at
            self._guard.doubt(sent_at, timing)
            self._doubtful_until = max(self._doubtful_until, sent_at + timing.quarantine_s)

    async def _hang_up(self) -> None:
        await self.link.close()
        self._torn, self._unheard_since = False, None

    def _ended(self, talk: Talk, errand: Errand, answer: Telegram | Trouble, timing: Timing) -> Try:
        if isinstance(answer, Trouble):
            return Try(self._attempt(talk, errand, answer, answer.detail))
        return Try(self._attempt(talk, errand, None, lateness(talk, timing)), answer, self._clock.now())

    def _attempt(self, talk: Talk, errand: Errand, trouble: Trouble | None, detail: str) -> Attempt:
        return Attempt(
            meter=errand.meter,
            channel=errand.channel,
            plan=errand.plan,
            started_at=talk.started_at,
            duration_us=round((asyncio.get_running_loop().time() - talk.begun) * 1_000_000),
            outcome=trouble.reason if trouble else OK,
            owner=trouble.owner if trouble else None,
            detail=detail,
            sent=talk.sent,
            received=bytes(talk.received),
            drained=talk.drained,
        )
