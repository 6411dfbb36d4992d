"""What we tell concentrators that keep their messages: up to where we have them, and which we miss (docs/mqtt.md).

    acknowledgement    {"boot_id": …, "upto_seq": 17}          all of this boot up to 17 is on disk here: you may forget it
    request            {"boot_id": …, "from": 4, "to": 9}      send these again; without "to": all from there on

Invariant: an acknowledgement says nothing that the ledger has not given a receipt for. Both may get lost: who keeps
messages sends them again, which brings the acknowledgement again, and what is still missing is asked for again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from collector.acquisition.backoff import Backoff
from collector.acquisition.mqtt_link import MqttLink
from collector.acquisition.resend import Gaps, Request
from collector.clock import Clock
from collector.errors import LinkError
from storage.senders import Progress

log = logging.getLogger(__name__)

REMEMBERED = timedelta(days=7)
"""A boot that was not heard for so long is not asked any more; should it be heard again, it is."""
SENDER = "{sender}"


class Answers:
    """To the senders of one channel. Topics hold `{sender}`; None: this is not told.

    `known`: what the ledger has of them all, asked when we begin and when the broker has forgotten us.
    """

    def __init__(
        self,
        link: MqttLink,
        channel: str,
        known: Callable[[], Awaitable[tuple[Progress, ...]]],
        clock: Clock,
        *,
        ack: str | None = None,
        resend: str | None = None,
        gaps: Gaps | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._link = link
        self._channel = channel
        self._known = known
        self._clock = clock
        self._ack = ack
        self._resend = resend
        self._gaps = gaps or Gaps()
        self._backoff = backoff or Backoff(first_s=0.5, ceiling_s=30)
        self._acks: dict[tuple[str, str], Progress] = {}
        """The newest of each: what is not said yet is overtaken, never queued."""
        self._lost: dict[tuple[str, str], int] = {}
        self._news = asyncio.Event()
        link.when_subscribed(self._news.set)

    def committed(self, progress: Iterable[Progress]) -> None:
        """These have a receipt."""
        now = asyncio.get_running_loop().time()
        for one in progress:
            key = one.sender, one.boot
            if self._ack is not None:
                self._acks[key] = one
            if self._resend is not None:
                self._gaps.heard(one, now)
            if one.lost > self._lost.get(key, 0):
                more = one.lost - self._lost.get(key, 0)
                log.error("%s: %s has given up %d messages that never came", self._link.name, one.sender, more)
                self._lost[key] = one.lost
        self._news.set()

    async def run(self) -> None:
        """Tell them, whenever there is a connection, until cancelled."""
        loop = asyncio.get_running_loop()
        for one in await self._recent():
            self._lost[one.sender, one.boot] = one.lost
            self._gaps.heard(one, loop.time())
        forgotten, refused = 0, False
        while True:
            await self._link.subscribed.wait()
            if self._resend is not None and self._link.forgotten > forgotten:
                # What the broker kept for us went with it, the last messages too, after which no gap can be seen.
                for one in await self._recent():
                    self._gaps.tail(one, loop.time())
            forgotten = self._link.forgotten
            try:
                await self._tell(loop.time())
            except LinkError as error:
                if error.reason == "refused" and not refused:
                    refused = True
                    log.error("%s: concentrators hear nothing from us and keep everything: %s", self._link.name, error)
                await asyncio.sleep(self._backoff.next_s())
                continue
            if refused:
                refused = False
                log.info("%s: concentrators hear us again", self._link.name)
            self._backoff.reset()
            await self._woken()

    async def _recent(self) -> list[Progress]:
        """Of each sender and boot that was heard lately."""
        since = self._clock.now() - REMEMBERED
        return [one for one in await self._known() if one.channel == self._channel and one.heard_at >= since]

    async def _tell(self, now: float) -> None:
        while self._acks:
            key, progress = next(iter(self._acks.items()))
            await self._say(self._ack, progress.sender, {"boot_id": progress.boot, "upto_seq": progress.upto})
            if self._acks.get(key) is progress:
                del self._acks[key]
        if self._resend is not None:
            for request in tuple(self._gaps.due(now)):  # while they are sent, more is heard
                await self._ask(request)

    async def _ask(self, request: Request) -> None:
        body: dict[str, object] = {"boot_id": request.boot, "from": request.first}
        if request.last is not None:
            body["to"] = request.last
        await self._say(self._resend, request.sender, body)

    async def _say(self, topic: str | None, sender: str, body: dict[str, object]) -> None:
        if topic is not None:
            payload = json.dumps(body, separators=(",", ":")).encode()
            await self._link.deliver(topic.replace(SENDER, sender), payload)

    async def _woken(self) -> None:
        """By a commit, by a gap that is to be asked for, or by a new connection."""
        if self._acks or not self._link.subscribed.is_set():
            return
        self._news.clear()
        at = self._gaps.next_at
        try:
            async with asyncio.timeout_at(at if self._resend is not None else None):
                await self._news.wait()
        except TimeoutError:
            return
