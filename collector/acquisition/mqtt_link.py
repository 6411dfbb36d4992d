"""A subscription that is kept up: connection after connection, each said once, and never quicker than a broker can bear."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence

from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Intake, Ticket
from collector.acquisition.mqtt_connection import Broker, Connection
from collector.clock import Clock
from collector.errors import LinkError
from storage.records import Owner

log = logging.getLogger(__name__)

STEADY_S = 30.0
"""A connection that lasted so long was a good one: the next failure is the first."""


class MqttLink:
    """A subscription that is kept up, as the source of an intake."""

    def __init__(
        self,
        broker: Broker,
        intake: Intake,
        clock: Clock,
        *,
        backoff: Backoff | None = None,
        manual_ack: bool = True,
    ) -> None:
        self.name = broker.name
        self._broker = broker
        self._intake = intake
        self._clock = clock
        self._backoff = backoff or Backoff()
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
        """Keep subscribed until cancelled. Says once that the broker is down, and once that it is back."""
        loop = asyncio.get_running_loop()
        backoff, said_down, short_lived = self._backoff, False, 0
        while True:
            since = loop.time()
            try:
                async with self.session() as connection:
                    how = "subscribed again" if said_down else "subscribed"
                    log.info("%s: %s to %s", self.name, how, ", ".join(self._broker.topics))
                    said_down = False
                    reason = f"{self.name}: {await connection.ended()}"
                short_lived = short_lived + 1 if loop.time() - since < STEADY_S else 0
                if short_lived > 1:  # Mosquitto 2.0.11 does not say so itself
                    reason += f"; does another client call itself {self._broker.client_id!r}?"
                elif not short_lived:
                    backoff.reset()
            except LinkError as error:
                reason = error.detail
            delay_s = backoff.next_s()
            log.log(logging.DEBUG if said_down else logging.WARNING, "%s; trying again", reason)
            said_down = True
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
