"""Carries what meters publish to a broker: MQTT 5, QoS 1, and nothing counts as sent before its PUBACK.

One connection serves a whole line of meters. What was taken from a meter and is not acknowledged stays here in order and
is sent first the next time, over a new connection where the old one broke; so a message may arrive twice, and never not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Self

from aiomqtt import Client, MqttError, ProtocolVersion

from simulators.errors import BrokerError
from simulators.faults import FaultKind, spoilt
from simulators.json_face import JsonMeter, Message
from simulators.truth import Truth

PUBACK_S = 10.0
"""A broker that takes longer is taken for dead."""
AT_ONCE = 8
"""Meters that publish at the same time; aiomqtt complains above ten."""
AT_LEAST_ONCE = 1


class MqttPublisher:
    """All pushing meters of one line. `async with` ends the connection; it begins with the first message."""

    def __init__(self, meters: Sequence[JsonMeter], *, host: str, port: int, name: str, truth: Truth) -> None:
        self._meters = tuple(meters)
        self._host, self._port, self._name = host, port, name
        self._truth = truth
        self._waiting: dict[str, deque[Message]] = {one.meter.name: deque() for one in meters}
        self._connection = AsyncExitStack()
        self._client: Client | None = None
        self._one_at_a_time = asyncio.Lock()
        self.acknowledged = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hang_up()

    @property
    def outstanding(self) -> int:
        """Messages that no PUBACK has come for."""
        return sum(map(len, self._waiting.values()))

    async def publish_until(self, instant: datetime) -> None:
        """Send all that is owed until an instant and return when the broker has acknowledged the last.

        :raises BrokerError: if it does not; what is left is sent first the next time.
        """
        async with self._one_at_a_time:
            for meter in self._meters:
                for message in meter.owed(instant):
                    kind = spoilt(meter.meter.faults, message.time, message.seq)
                    if kind in (FaultKind.SILENT, FaultKind.POWER_DOWN):
                        self._truth.spoil(message.meter, message.time, kind)
                    else:
                        self._waiting[message.meter].append(message)
            if self.outstanding:
                await self._empty()

    async def _empty(self) -> None:
        failed: BaseException | None = None
        try:
            client = self._client or await self._call()
            room = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as tasks:
                for queue in self._waiting.values():
                    tasks.create_task(self._send(client, queue, room))
        except* MqttError as errors:
            failed = errors.exceptions[0]
        if failed is not None:
            await self._hang_up()
            broker = f"the broker {self._host}:{self._port}"
            raise BrokerError(f"{broker} left {self.outstanding} messages unacknowledged: {failed}") from failed

    async def _send(self, client: Client, queue: deque[Message], room: asyncio.Semaphore) -> None:
        """One meter's messages in their order."""
        async with room:
            while queue:
                message = queue[0]
                await client.publish(message.topic, message.payload, qos=AT_LEAST_ONCE, timeout=PUBACK_S)
                queue.popleft()
                self.acknowledged += 1
                self._truth.show(message.meter, message.time, message.displays)

    async def _call(self) -> Client:
        client = Client(
            self._host, self._port, identifier=self._name, protocol=ProtocolVersion.V5, timeout=PUBACK_S, keepalive=15
        )
        self._client = await self._connection.enter_async_context(client)
        return self._client

    async def _hang_up(self) -> None:
        self._client = None
        try:
            await self._connection.aclose()
        except MqttError:
            return  # the broker went first; there is nobody to say goodbye to
