"""A subscription that is kept up: connection after connection, each said once, and never quicker than a broker can bear."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence

from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Intake, Ticket
from collector.acquisition.mqtt_connection import Broker, Connection
from collector.acquisition.takeovers import STEADY_S, Takeovers
from collector.clock import Clock
from collector.errors import LinkError
from storage.records import Owner

log = logging.getLogger(__name__)


class MqttLink:
    """A subscription that is kept up, as the source of an intake."""

    def __init__(
        self,
        broker: Broker,
        intake: Intake,
        clock: Clock,
        *,
        backoff: Backoff | None = None,
        takeovers: Takeovers | None = None,
        manual_ack: bool = True,
    ) -> None:
        self.name = broker.name
        self._broker = broker
        self._intake = intake
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._takeovers = takeovers or Takeovers()
        self._manual_ack = manual_ack
        self._connection: Connection | None = None
        self._connections = 0
        self.subscribed = asyncio.Event()
        """Set while there is a connection that may be used."""
        self.forgotten = 0
        """How often the broker no longer knew us and gave us a new session: what it had kept was gone."""
        self._tell: list[Callable[[], None]] = []
        self._reading = True
        intake.attach(self)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """Be subscribed, once. Leaving hangs up; the broker keeps the session.

        :raises LinkError: `connection_refused`, `refused` (user, password, topic), `aiomqtt_changed`.
        """
        self._connections += 1
        connection = Connection(self._broker, self._intake, self._clock, self._connections, manual_ack=self._manual_ack)
        refusal = await connection.open(self._broker)
        if refusal is not None:
            raise refusal
        self._connection = connection
        connection.read(self._reading)
        try:
            await connection.subscribe(self._broker)
            self.forgotten += not connection.session_present
            self.subscribed.set()
            for tell in self._tell:
                tell()
            yield connection
        finally:
            self.subscribed.clear()
            self._connection = None
            try:
                await connection.close()
            finally:
                self._intake.lost()

    async def run(self) -> None:
        """Keep subscribed until cancelled. Says once that the broker is down, and once that it is back; that it refuses us, or
        that somebody takes our session, is an error.
        """
        loop = asyncio.get_running_loop()
        said_down = said_refused = False
        while True:
            since = loop.time()
            try:
                async with self.session() as connection:
                    how = "subscribed again" if said_down else "subscribed"
                    log.info("%s: %s to %s", self.name, how, ", ".join(self._broker.topics))
                    if self.forgotten and not connection.session_present and self._connections > 1:
                        log.warning("%s: the broker had forgotten us, and with us what it kept for us", self.name)
                    said_down = said_refused = False
                    reason = f"{self.name}: {await connection.ended()}"
                self._takeovers.ended(lasted_s=loop.time() - since, told=connection.taken_over)
                if loop.time() - since >= STEADY_S:
                    self._backoff.reset()
            except LinkError as error:
                self._takeovers.unreachable()
                reason = error.detail
                if error.reason == "refused" and not said_refused:
                    said_refused = True
                    log.error("%s; nothing is received until that is put right", reason)
            delay_s = self._backoff.next_s()
            log.log(logging.DEBUG if said_down else logging.WARNING, "%s; trying again", reason)
            said_down = True
            if self._takeovers.suspected:
                delay_s = max(delay_s, self._takeovers.pause_s())
                if self._takeovers.news:
                    log.error(
                        "%s: another client calls itself %r and takes our session; what it acknowledges we never see",
                        self.name,
                        self._broker.client_id,
                    )
            await asyncio.sleep(delay_s)

    def when_subscribed(self, tell: Callable[[], None]) -> None:
        """Be told of each connection, once it may be used."""
        self._tell.append(tell)

    async def deliver(self, topic: str, payload: bytes) -> None:
        """Publish, and return when the broker has it. :raises LinkError: `connection_lost`, `refused`."""
        if self._connection is None:
            raise LinkError("connection_lost", Owner.UPLINK, f"{self.name}: there is no connection")
        await self._connection.deliver(topic, payload)

    def acknowledge(self, tickets: Sequence[Ticket]) -> None:
        """In the order given. A ticket of an earlier connection is passed over: its message is sent again."""
        for ticket in tickets:
            if self._connection is not None and ticket.connection == self._connection.number:
                self._connection.acknowledge(ticket)

    def pause(self) -> None:
        """Read no more until `resume`."""
        self._reading = False
        if self._connection is not None:
            self._connection.read(False)

    def resume(self) -> None:
        """Read again."""
        self._reading = True
        if self._connection is not None:
            self._connection.read(True)
