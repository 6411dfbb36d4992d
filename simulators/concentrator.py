"""A concentrator at a broker: sends what its store holds, hears what the collector has and what it misses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

from aiomqtt import Client, Message, MqttError, ProtocolVersion

from simulators.concentrator_store import Kept, Store
from simulators.json_face import Message as Published

RETRY_S = 0.05
"""Between two tries to reach the broker."""
AT_ONCE = 8
PUBACK_S = 5.0


class Concentrator:
    """One of them. `run` until cancelled; what is not acknowledged then is in its store."""

    def __init__(
        self, store: Store, *, host: str, port: int, prefix: str = "meters", login: tuple[str, str] | None = None
    ) -> None:
        self.store = store
        self._login: tuple[str, str] | tuple[None, None] = login or (None, None)
        self._host, self._port = host, port
        self._ack = f"{prefix}/{store.name}/ack"
        self._resend = f"{prefix}/{store.name}/resend"
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self.sent = 0
        """Messages that the broker has confirmed, those that were sent again too."""
        self.asked = 0
        """Requests that came."""

    def take(self, messages: Iterable[Published]) -> None:
        """What its meters owe."""
        for one in messages:
            self.store.add(one.topic, json.loads(one.payload))
        self._news.set()

    def restart(self, boot: str) -> None:
        """Power off and on."""
        self.store.restart(boot)
        self._news.set()

    async def emptied(self) -> None:
        """Until nothing is kept any more."""
        while len(self.store):
            self._empty.clear()
            await self._empty.wait()

    async def run(self) -> None:
        """Over one connection after the other."""
        while True:
            try:
                async with Client(
                    self._host,
                    self._port,
                    identifier=self.store.name,
                    username=self._login[0],
                    password=self._login[1],
                    protocol=ProtocolVersion.V5,
                    timeout=PUBACK_S,
                    keepalive=15,
                ) as client:
                    await client.subscribe([(self._ack, 1), (self._resend, 1)])
                    await self._talk(client)
            except* MqttError:
                pass
            await asyncio.sleep(RETRY_S)

    async def _talk(self, client: Client) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear(client))
            for _ in range(AT_ONCE):
                tasks.create_task(self._send(client))

    async def _hear(self, client: Client) -> None:
        async for message in client.messages:
            self._told(message)

    def _told(self, message: Message) -> None:
        body = json.loads(bytes(message.payload))
        if message.topic.value == self._ack:
            self.store.acknowledged(body["boot_id"], body["upto_seq"])
            self._empty.set()
        else:
            self.asked += 1
            self.store.asked(body["boot_id"], body["from"], body.get("to"))
            self._news.set()

    async def _send(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = self.store.next(loop.time())
            if due is None:
                await self._something(self.store.next_at())
                continue
            await self._publish(client, *due)

    async def _publish(self, client: Client, one: Kept, payload: bytes) -> None:
        try:
            await client.publish(one.topic, payload, qos=1)
        except BaseException:
            self.store.unsent(one)
            raise
        self.sent += 1
        self.store.confirmed(one)
        self._empty.set()

    async def _something(self, at: float | None) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout_at(at):
                await self._news.wait()
        except TimeoutError:
            return
