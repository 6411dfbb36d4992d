"""A message to ourselves, now and then: whether the broker still lets us read.

A right to read that is taken away while we are subscribed makes no difference that a client could see: Mosquitto goes on
answering pings and grants every subscription, and gives nothing (measured, 2.0.11, MQTT 5). So we publish to a topic that is
among our own; what does not come back says that nothing would.
"""

from __future__ import annotations

import asyncio
import logging
import uuid

from collector.acquisition.mqtt_link import MqttLink
from collector.errors import LinkError

log = logging.getLogger(__name__)

EVERY_S = 20.0
PATIENCE_S = 20.0
"""Together less than the minute within which an alarm is promised."""


class Canary:
    """On one link. `heard` is told of every message that comes, ours or not."""

    def __init__(self, link: MqttLink, topic: str, *, every_s: float = EVERY_S, patience_s: float = PATIENCE_S) -> None:
        self.topic = topic
        self._link = link
        self._every_s = every_s
        self._patience_s = patience_s
        self._something = asyncio.Event()
        self._alarmed = False

    def heard(self) -> None:
        """Something came: behind a flood ours may be late, and then the right to read is there all the same."""
        self._something.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._link.subscribed.wait()
            wrong = await self._try()
            if wrong and not self._alarmed:
                log.error("%s: %s", self._link.name, wrong)
            elif not wrong and self._alarmed:
                log.info("%s: what we publish reaches us again", self._link.name)
            self._alarmed = bool(wrong)
            await asyncio.sleep(self._every_s)

    async def _try(self) -> str:
        """What is wrong; "" where nothing is, or where nobody can tell as there is no connection."""
        self._something.clear()
        try:
            await self._link.deliver(self.topic, uuid.uuid4().hex.encode())
            async with asyncio.timeout(self._patience_s):
                await self._something.wait()
        except LinkError as error:
            return f"{error.detail}; are our rights what they were?" if error.reason == "refused" else ""
        except TimeoutError:
            if not self._link.subscribed.is_set():
                return ""
            return (
                f"nothing comes, not even what we publish ourselves to {self.topic!r}:"
                " the broker no longer lets us read, or its messages are lost on the way"
            )
        return ""
