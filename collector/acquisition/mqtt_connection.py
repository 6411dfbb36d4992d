"""The one door to aiomqtt: a connection whose messages are acknowledged only when told to (reliability.md §1.3–1.7, §1.11).

aiomqtt acknowledges a message when it has put it into memory, and has no public way to change that (empicano/aiomqtt
#345). So this file reaches through it to the paho client below, which has one, and reads the socket itself, so that
reading can stop. All such names are checked before use (`check_aiomqtt`), and no other file knows any.

MQTT 5 with a session that outlives the connection: unlike 3.1.1's it can be given an end (a collector that is scrapped
must not fill the broker's disk for ever), and the broker says what it refuses and why. `version="3.1.1"` is for brokers
that know nothing newer.

Invariant: without `manual_ack=False` (which only tests ask for) no PUBACK leaves before `acknowledge`, and none for a
message of an earlier connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collector.acquisition.intake import Pushed, Taker, Ticket
from collector.acquisition.lingering import heard_out
from collector.clock import Clock
from collector.errors import LinkError
from storage.records import Owner

log = logging.getLogger(__name__)
_aiomqtt_log = logging.getLogger(f"{__name__}.aiomqtt")
_aiomqtt_log.setLevel(logging.CRITICAL)  # what it has to say reaches us as the end of a connection, and is said once

KEEPALIVE_S = 15
"""A half-open connection is noticed after about 1.6 times this (measured, reliability.md §1.11)."""
PATIENCE_S = 5.0
"""For a connection, and for CONNACK and DISCONNECT each: SIGTERM leaves ten seconds for all."""
SESSION_EXPIRY_S = 30 * 24 * 3600
"""The broker keeps our subscription and what it could not deliver for a month: longer than any planned outage."""
LARGEST_PACKET = 1024 * 1024
"""Sixteen times the largest payload that is read. The broker does not send what is larger; MQTT 3.1.1 cannot say so."""
CREDENTIALS_REFUSED = (134, 135)
"""MQTT 5 §3.2.2.2: bad user name or password, not authorized; paho gives 3.1.1's codes 4 and 5 as these."""
SESSION_TAKEN_OVER = 142
RETAINED_WITH_NEW_SUBSCRIPTIONS = 1
"""MQTT 5 §3.8.3.1: retained messages come when the subscription is new, not each time it is renewed."""
REACHED_FOR = (
    "_disconnected",
    "_on_connect",
    "_on_publish",
    "_client.ack",
    "_client.loop_read",
    "_client.manual_ack_set",
    "_client.on_connect",
    "_client.on_message",
    "_client.on_publish",
    "_client.on_socket_register_write",
    "_client.loop_write",
    "_client.want_write",
    "_client.publish",
    "_client.socket",
    "_client._sock_close",
)
"""What we use of aiomqtt's client that it does not promise."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where, and who we are there. `client_id` stays the same for a channel: the broker knows the session by it."""

    host: str
    port: int
    client_id: str
    topics: tuple[str, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    version: Literal["5", "3.1.1"] = "5"
    kept: bool = True
    """Whether the broker keeps the session, and what it could not deliver, when we are gone."""
    qos: Literal[0, 1] = 1
    """Of what we subscribe to."""

    @property
    def name(self) -> str:
        """Its URL, for messages."""
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


def check_aiomqtt(client: object) -> None:
    """See that what we reach for is still there.

    :raises LinkError: `aiomqtt_changed`, naming what is gone.
    """
    gone = [name for name in REACHED_FOR if not _has(client, name)]
    if gone:
        raise LinkError(
            "aiomqtt_changed",
            Owner.OURS,
            f"this version of aiomqtt has no {', '.join(gone)}: install the version that pyproject.toml names",
        )


def _has(thing: object, dotted: str) -> bool:
    for name in dotted.split("."):
        if not hasattr(thing, name):
            return False
        thing = getattr(thing, name)
    return True


class Connection:
    """One connection from CONNECT to its end. The session in the broker is longer than that."""

    def __init__(self, broker: Broker, intake: Taker, clock: Clock, number: int, *, manual_ack: bool) -> None:
        self.number = number
        self._intake = intake
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._reading = True
        self._published: dict[int, asyncio.Future[object]] = {}
        self._accepted = False
        self.session_present = False
        """Whether the broker still knew our session, and what it keeps for us."""
        v5 = broker.version == "5"
        self._client = aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            identifier=broker.client_id,
            protocol=aiomqtt.ProtocolVersion.V5 if v5 else aiomqtt.ProtocolVersion.V311,
            clean_session=None if v5 else not broker.kept,
            # aiomqtt's default would wipe the session at the first connection of each process; 3.1.1 has no other word.
            clean_start=not broker.kept if v5 else MQTT_CLEAN_START_FIRST_ONLY,
            properties=_connect_properties(intake, kept=broker.kept) if v5 else None,
            keepalive=KEEPALIVE_S,
            timeout=PATIENCE_S,
            tls_context=broker.tls,
            logger=_aiomqtt_log,
        )
        check_aiomqtt(self._client)
        self._paho: Any = self._client._client  # noqa: SLF001 - see the head of the file
        # Before connecting: set later, the first window of a waiting session is acknowledged unasked (§1.3).
        self._paho.manual_ack_set(manual_ack)
        self._paho.on_message = self._arrived
        self._paho.on_connect = self._connected
        self._paho.on_publish = self._confirmed
        self._paho.on_socket_register_write = self._wants_to_write
        self._paho.connect_timeout = PATIENCE_S

    async def open(self, broker: Broker) -> LinkError | None:
        """Be connected, reading by ourselves; or why not.

        Returned, not raised: raised from here it would carry paho's exception along, and with it a socket, for as long as
        somebody looks at it.
        """
        entering = asyncio.ensure_future(self._client.__aenter__())
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            # paho connects in a thread that nothing can stop: let it end (it has a deadline), then hang up.
            with contextlib.suppress(aiomqtt.MqttError):
                await entering
            await self.close()
            raise
        except aiomqtt.MqttCodeError as error:
            self._let_go()
            return _refusal(broker, error)
        except aiomqtt.MqttError as error:
            self._let_go()
            return LinkError("connection_refused", Owner.UPLINK, f"{broker.name} cannot be reached: {error}")
        self._read_if_wanted()
        return None

    async def subscribe(self, broker: Broker) -> None:
        """:raises LinkError: if a topic is refused or the connection ends before the answer."""
        options = SubscribeOptions(qos=broker.qos, retainHandling=RETAINED_WITH_NEW_SUBSCRIPTIONS)
        how: Any = options if broker.version == "5" else broker.qos
        wanted = [(topic, how) for topic in broker.topics]
        # The answer may stand behind a whole window of messages and we may be told to stop reading before it; if the
        # broker is silent instead, the keepalive ends the connection.
        asking = asyncio.ensure_future(self._client.subscribe(wanted, timeout=float("inf")))
        ending = asyncio.ensure_future(self.ended())
        try:
            await asyncio.wait((asking, ending), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise LinkError("connection_lost", Owner.UPLINK, f"{broker.name}: {ending.result()}")
            granted = asking.result()
        except aiomqtt.MqttError as error:  # lost before the question could be sent
            raise LinkError("connection_lost", Owner.UPLINK, f"{broker.name}: connection lost: {error}") from None
        finally:
            await _cancelled(asking, ending)
        for topic, code in zip(broker.topics, granted, strict=True):
            if isinstance(code, ReasonCode) and code.is_failure:
                raise LinkError("refused", Owner.OURS, f"{broker.name} refuses the topic {topic!r}: {code}")

    async def publish(self, topic: str, payload: bytes) -> None:
        """Once, and unconfirmed (QoS 0). :raises LinkError: `connection_lost`."""
        try:
            await self._client.publish(topic, payload, qos=0)
        except aiomqtt.MqttError as error:
            raise LinkError("connection_lost", Owner.UPLINK, f"connection lost: {_shown(error)}") from None

    async def deliver(self, topic: str, payload: bytes) -> None:
        """Until the broker has it (QoS 1).

        :raises LinkError: `connection_lost`; `refused` where we may not publish this, which only MQTT 5 tells.
        """
        message = self._paho.publish(topic, payload, 1)
        if message.rc:
            raise LinkError("connection_lost", Owner.UPLINK, "connection lost")
        told = self._published[message.mid] = self._loop.create_future()
        ends = (self._broken, self._client._disconnected)  # noqa: SLF001 - see the head of the file
        await asyncio.wait((told, *ends), timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        self._published.pop(message.mid, None)
        if not told.done():
            raise LinkError("connection_lost", Owner.UPLINK, "the broker does not confirm what we publish")
        code = told.result()
        if isinstance(code, ReasonCode) and code.is_failure:
            raise LinkError("refused", Owner.OURS, f"the broker refuses what we publish to {topic!r}: {code}")

    def when_ended(self, tell: Callable[[], None]) -> None:
        """Be told of the end, once; `ended` then says why."""
        for end in (self._broken, self._client._disconnected):  # noqa: SLF001 - see the head of the file
            end.add_done_callback(lambda _: tell())

    async def ended(self) -> str:
        """Wait for the end of the connection; why it ended."""
        disconnected = self._client._disconnected  # noqa: SLF001 - see the head of the file
        await asyncio.wait((disconnected, self._broken), return_when=asyncio.FIRST_COMPLETED)
        errors = [future.exception() for future in (self._broken, disconnected) if future.done()]
        if self._intake.paused:
            return "hung up while the ledger takes nothing; the broker keeps the messages"
        return "; ".join(f"connection lost: {_shown(error)}" for error in errors if error) or "disconnected"

    @property
    def taken_over(self) -> bool:
        """The broker said that another client has our session now (MQTT 5 §3.14.2.1; Mosquitto 2.0.11 does not say so)."""
        disconnected = self._client._disconnected  # noqa: SLF001 - see the head of the file
        error = disconnected.exception() if disconnected.done() and not disconnected.cancelled() else None
        return isinstance(error, aiomqtt.MqttCodeError) and getattr(error.rc, "value", error.rc) == SESSION_TAKEN_OVER

    async def close(self) -> None:
        """Send what is acknowledged and DISCONNECT, then let go of the socket, whatever happens."""
        spare = self._spare()
        try:
            await self._client.__aexit__(None, None, None)
        except aiomqtt.MqttError as error:
            log.debug("no orderly end of the connection: %s", error)
        finally:
            self._let_go()
            if spare is not None:
                await heard_out(spare)

    def _spare(self) -> socket.socket | None:
        """The connection a second time: it outlives paho's closing of it. None where nothing was ever acknowledged."""
        sock = self._paho.socket()
        if not self._accepted or sock is None or sock.fileno() < 0:
            return None
        try:
            return socket.socket(fileno=os.dup(sock.fileno()))
        except OSError:  # none left: it ends as it may
            return None

    def acknowledge(self, ticket: Ticket) -> None:
        """Queue a PUBACK; the loop writes it at once."""
        self._paho.ack(ticket.mid, ticket.qos)

    def read(self, wanted: bool) -> None:
        """Whether to read the socket from now on."""
        if wanted != self._reading:
            self._reading = wanted
            self._read_if_wanted()

    def _read_if_wanted(self) -> None:
        sock = self._paho.socket()
        if sock is None or sock.fileno() < 0:
            return
        if self._reading:
            self._loop.add_reader(sock.fileno(), self._readable)  # in the place of aiomqtt's own
            self._loop.call_soon(self._readable)  # TLS may hold decoded bytes that no selector knows of
        else:
            self._loop.remove_reader(sock.fileno())

    def _readable(self) -> None:
        sock = self._paho.socket()
        while self._reading and sock is not None:
            try:
                self._paho.loop_read()
            except (OSError, ValueError, LookupError, struct.error, MemoryError) as error:
                # The broker sent what is no MQTT, or there was no memory for it: paho's buffer is of no use any more, and
                # neither is the connection. What was not acknowledged comes again.
                self._loop.remove_reader(sock.fileno())
                if not self._broken.done():
                    self._broken.set_exception(error)
                return
            if not (isinstance(sock, ssl.SSLSocket) and self._paho.socket() is sock and sock.pending()):
                return

    def _wants_to_write(self, _client: object, _userdata: object, sock: Any) -> None:
        # In the place of aiomqtt's own, which would watch the number of a socket that may be closed by then, or another's.
        # paho may call this from the thread in which it connects.
        self._loop.call_soon_threadsafe(self._watch, sock)

    def _watch(self, sock: Any) -> None:
        if self._paho.socket() is sock and sock.fileno() >= 0 and self._paho.want_write():
            self._loop.add_writer(sock.fileno(), self._writable)

    def _writable(self) -> None:
        try:
            self._paho.loop_write()
        except (OSError, ValueError, MemoryError) as error:
            if not self._broken.done():
                self._broken.set_exception(error)

    def _arrived(self, _client: object, _userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # forbidden by MQTT §1.5.4; no topic of ours, so it ends as a dead letter
            topic = ""
        ticket = Ticket(self.number, message.mid, message.qos)
        self._intake.offer(Pushed(topic, bytes(message.payload), message.retain, self._clock.now(), ticket))

    def _connected(self, client: object, userdata: object, flags: Any, *rest: Any) -> None:
        self.session_present, self._accepted = bool(flags.session_present), True
        self._client._on_connect(client, userdata, flags, *rest)  # type: ignore[arg-type]  # noqa: SLF001

    def _confirmed(self, client: object, userdata: object, mid: int, code: object, *rest: Any) -> None:
        told = self._published.get(mid)
        if told is None:
            self._client._on_publish(client, userdata, mid, code, *rest)  # type: ignore[arg-type]  # noqa: SLF001
        elif not told.done():
            told.set_result(code)

    def _let_go(self) -> None:
        # aiomqtt leaves the socket open when CONNACK does not come, or DISCONNECT cannot be sent.
        self._paho._sock_close()  # noqa: SLF001 - see the head of the file
        for future in (self._broken, self._client._disconnected):  # noqa: SLF001
            if future.done():
                future.exception()  # whoever waits for the end has been told; nobody may be left to


def _connect_properties(intake: Taker, *, kept: bool) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho types only half of itself
    properties.SessionExpiryInterval = SESSION_EXPIRY_S if kept else 0
    properties.MaximumPacketSize = LARGEST_PACKET
    # So its pings are heard however long the ledger is busy. Mosquitto 2.0.11 keeps to it only until the first
    # acknowledgement (measured), hence the intake's own limit.
    properties.ReceiveMaximum = intake.window
    return properties


def _shown(error: BaseException) -> str:
    """128 is what paho makes of an end without a word."""
    silent = isinstance(error, aiomqtt.MqttCodeError) and getattr(error.rc, "value", error.rc) == 128
    return "closed by the broker" if silent else str(error)


def _refusal(broker: Broker, error: aiomqtt.MqttCodeError) -> LinkError:
    """CONNACK said no."""
    code = error.rc.value if isinstance(error.rc, ReasonCode) else error.rc
    if code in CREDENTIALS_REFUSED:
        who = f"the user {broker.username!r} or the password" if broker.username else "a client without a user name"
        return LinkError("refused", Owner.OURS, f"{broker.name} refuses {who}: {error}")
    return LinkError("refused", Owner.UPLINK, f"{broker.name} refuses the connection: {error}")


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
