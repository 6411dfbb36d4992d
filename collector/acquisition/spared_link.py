"""A link that is spared while nobody answers: a dead gateway is not knocked at by each poll of each meter behind it.

Stands before links that connect somewhere. Once a connection could not be made, the next try is made after a pause that
doubles with each failure, up to a minute, a random part of it each time (full jitter). Who opens the link meanwhile waits
if the pause is nearly over, else fails at once for the reason of the last try. Tries of the past bound the pause, so a
gateway that was away for seconds is back within seconds; one that is back after hours, within the minute. Only
connections that could not be made count; one that breaks is made anew at once. What we have no file descriptor for
knocks at nobody, and is tried at each poll.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from collector.acquisition.backoff import Backoff
from collector.acquisition.link import Link
from collector.acquisition.shortage import TOO_MANY_FILES
from collector.errors import LinkError


class SparedLink:
    """`link` with pauses."""

    __slots__ = ("_again", "_backoff", "_failure", "_link", "name")

    def __init__(self, link: Link, *, backoff: Backoff | None = None) -> None:
        self._link = link
        self.name = link.name
        self._backoff = backoff or Backoff()
        self._again = float("-inf")
        self._failure: LinkError | None = None

    async def open(self, deadline: float) -> None:
        """See `Link`. Of the time that is left at most half is spent waiting for the end of a pause."""
        loop = asyncio.get_running_loop()
        if self._failure is not None:
            pause_s = self._again - loop.time()
            if pause_s > (deadline - loop.time()) / 2:
                last = self._failure
                raise LinkError(last.reason, last.owner, f"{last.detail}; tried again in {pause_s:.0f} s at the latest")
            await asyncio.sleep(max(0.0, pause_s))
        try:
            await self._link.open(deadline)
        except LinkError as error:
            if error.reason == TOO_MANY_FILES:
                self._failure = None
                raise
            self._failure = LinkError(error.reason, error.owner, error.detail)
            self._again = loop.time() + self._backoff.next_s()
            raise
        self._failure = None
        self._backoff.reset()

    def write(self, data: bytes, deadline: float) -> Coroutine[Any, Any, None]:
        """See `Link`; handed on as it is."""
        return self._link.write(data, deadline)

    def read(self, deadline: float) -> Coroutine[Any, Any, bytes]:
        """See `Link`."""
        return self._link.read(deadline)

    def close(self) -> Coroutine[Any, Any, None]:
        """See `Link`."""
        return self._link.close()
