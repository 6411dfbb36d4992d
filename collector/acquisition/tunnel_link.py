"""Bytes through a broker: a topic that a modem passes on to its serial line, and one by which the line's bytes come back.

A line, not a mailbox: what cannot be delivered at once is of no use any more. So everything is sent once and unconfirmed
(QoS 0), the broker keeps nothing for us, and what it had retained is passed over. The client id is made of the topic: of
two collectors on one tunnel the newer has it and the older's exchange fails, so that no answer is taken by the wrong one.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from collector.acquisition.bell import Bell
from collector.acquisition.intake import Pushed
from collector.acquisition.mqtt_connection import Broker, Connection
from collector.acquisition.outcome import rule
from collector.acquisition.stream import LIMIT
from collector.acquisition.tcp_link import host_and_port
from collector.clock import Clock
from collector.errors import LinkError


@dataclass(frozen=True, slots=True)
class TunnelEnds:
    """The broker, and the topics to the device and back."""

    host: str
    port: int
    to: str
    back: str

    @property
    def client_id(self) -> str:
        """The same for everybody who wants this tunnel: the broker lets one have it."""
        return f"chaobiao-tunnel-{hashlib.sha256(self.to.encode()).hexdigest()[:12]}"


class _Inbox:
    """What came back and waits to be taken."""

    window = 1000
    paused = False

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.data = bytearray()
        self.connection: Connection | None = None
        self.lost = False
        self._full = False

    def offer(self, message: Pushed) -> None:
        """See `Taker`. A flood is left in the network."""
        if message.retained:
            return  # an answer to somebody's question of long ago
        self.data += message.payload
        if len(self.data) >= LIMIT and self.connection is not None:
            self._full = True
            self.connection.read(False)
        self.bell.ring()

    def take(self) -> bytes:
        data = bytes(self.data)
        self.data.clear()
        if self._full and self.connection is not None and not self.lost:
            self._full = False
            self.connection.read(True)
        return data

    def ended(self) -> None:
        self.lost = True
        self.bell.ring()


class TunnelLink:
    """`mqtt-tunnel://host:1883/to/device?back=from/device`."""

    def __init__(
        self, ends: TunnelEnds, clock: Clock, *, username: str | None = None, password: str | None = None
    ) -> None:
        self._where = host_and_port(ends.host, ends.port)
        self.name = f"mqtt-tunnel://{self._where}/{ends.to}?back={ends.back}"
        self._ends = ends
        self._clock = clock
        self._broker = Broker(ends.host, ends.port, ends.client_id, (ends.back,), username, password, kept=False, qos=0)
        self._connection: Connection | None = None
        self._inbox: _Inbox | None = None

    async def open(self, deadline: float) -> None:
        """See `Link`. Open is what is subscribed: an answer cannot come before."""
        if self._inbox is not None and not self._inbox.lost:
            return
        await self.close()
        inbox = _Inbox(Bell(asyncio.get_running_loop()))
        connection = inbox.connection = Connection(self._broker, inbox, self._clock, 1, manual_ack=False)
        try:
            async with asyncio.timeout_at(deadline):
                if (refusal := await connection.open(self._broker)) is not None:
                    # `refused` is a meter's word; that a broker refuses us is known by its owner.
                    raise LinkError("connection_refused", refusal.owner, refusal.detail)
                self._connection, self._inbox = connection, inbox
                await connection.subscribe(self._broker)
        except TimeoutError as error:
            await self.close()
            raise self._error("connection_timeout", f"{self._where} does not answer") from error
        except LinkError as error:
            await self.close()
            reason = "connection_refused" if error.reason == "refused" else error.reason
            raise LinkError(reason, error.owner, error.detail) from error
        connection.when_ended(inbox.ended)

    async def write(self, data: bytes, deadline: float) -> None:
        """See `Link`. One message; a modem passes each on as it is."""
        connection, _ = await self._alive()
        try:
            async with asyncio.timeout_at(deadline):
                await connection.publish(self._ends.to, data)
        except TimeoutError as error:
            raise self._error("no_answer", f"{self._where} takes no more bytes") from error

    async def read(self, deadline: float) -> bytes:
        """See `Link`."""
        inbox = self._inbox
        if inbox is not None and not inbox.data and not inbox.lost:
            await inbox.bell.wait(deadline)
        if inbox is not None and inbox.data:
            return inbox.take()
        await self._alive()
        return b""

    async def close(self) -> None:
        """See `Link`."""
        connection, self._connection, self._inbox = self._connection, None, None
        if connection is not None:
            await connection.close()

    async def _alive(self) -> tuple[Connection, _Inbox]:
        if self._connection is None or self._inbox is None:
            raise self._error("connection_lost", f"{self._where} is not connected")
        if self._inbox.lost:
            raise self._error("connection_lost", f"{self._where}: {await self._connection.ended()}")
        return self._connection, self._inbox

    @staticmethod
    def _error(reason: str, detail: str) -> LinkError:
        return LinkError(reason, rule(reason).owner, detail)
