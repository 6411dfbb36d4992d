"""Ports that devices dial in to, each opened once however many channels share it.

A call says first who it is and is then the link's of that identity; who says nothing known within a bounded time and a
bounded number of bytes is hung up on, and that is said once. A port lives longer than any exchange: from the start of
the daemon (`Ports`, `async with`) to the end of its drain. A port that cannot be opened is said and tried again by each
poll: the other channels are collected all the same.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from types import TracebackType
from typing import Self

from collector.acquisition.caller import Caller
from collector.acquisition.dial_in_link import DialInLink, shown
from collector.acquisition.outcome import rule
from collector.acquisition.registration import begins, recognise
from collector.acquisition.shortage import NUMBERS, TOO_MANY_FILES
from collector.acquisition.tcp_link import host_and_port
from collector.errors import LinkError

log = logging.getLogger(__name__)

PATIENCE_S = 15.0
"""For somebody to say who they are. Modems do it within a second or two of their call."""
SETTLE_S = 0.2
"""Silence that ends a packet."""
MOST_BYTES = 1024
"""Four times the longest identity that the configuration takes."""
MOST_STRANGERS = 256
"""Calls not yet known at one time; of more, the oldest is hung up on."""
REMEMBERED, FORGOTTEN_S = 256, 24 * 3600.0
"""So many strangers are named, each once, and none anew before so long: a scanner must not fill the log."""
SHOWN = 64
"""Bytes of a stranger that the log shows."""
BACKLOG = 1024
"""After a power cut a whole town dials in at once."""

_REASONS = {
    errno.EADDRINUSE: "port_in_use",
    errno.EACCES: "no_permission",
    errno.EADDRNOTAVAIL: "no_such_port",
    **dict.fromkeys(NUMBERS, TOO_MANY_FILES),
}


class ListeningPort:
    """One host and port, and who is expected there."""

    def __init__(self, host: str, port: int, *, patience_s: float = PATIENCE_S, settle_s: float = SETTLE_S) -> None:
        self._host, self._port = host, port
        self.name = f"listen://{host_and_port(host, port)}"
        self._patience_s, self._settle_s = patience_s, settle_s
        self._links: dict[bytes, DialInLink] = {}
        self._heartbeats: dict[bytes, None] = {}
        self._server: asyncio.Server | None = None
        self._opening = asyncio.Lock()
        self._callers: set[Caller] = set()
        self._strangers: dict[Caller, None] = {}
        self._named: set[str] = set()
        self._named_since = 0.0
        self._closed = False

    @property
    def bound(self) -> tuple[int, ...]:
        """The numbers of the ports that are open; the system's choice where 0 was asked for."""
        return tuple(one.getsockname()[1] for one in self._server.sockets) if self._server is not None else ()

    def expect(self, identity: bytes, heartbeat: bytes = b"") -> DialInLink:
        """The link of a device that will dial in. One that was expected before, with other settings, has to call again."""
        if (former := self._links.get(identity)) is not None:
            former.retire()
        link = self._links[identity] = DialInLink(self.name, identity, heartbeat, listen=self.open)
        if heartbeat:
            self._heartbeats[heartbeat] = None
        return link

    async def open(self) -> None:
        """Take calls; nothing to do if that is done already. :raises LinkError: `port_in_use`, `no_permission` …"""
        async with self._opening:
            if self._server is not None or self._closed:
                return
            loop = asyncio.get_running_loop()
            try:
                self._server = await loop.create_server(
                    lambda: Caller(loop, self), self._host, self._port, backlog=BACKLOG
                )
            except OSError as error:
                reason = _REASONS.get(error.errno or 0, "port_failed")
                raise LinkError(reason, rule(reason).owner, f"{self.name}: {error.strerror or error}") from error

    async def close(self) -> None:
        """Take no more calls, and end those that there are."""
        self._closed = True
        self._strangers.clear()
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for caller in tuple(self._callers):
            await caller.hang_up()
        if server is not None:
            await server.wait_closed()

    def arrived(self, caller: Caller) -> None:
        """See `Reception`."""
        self._callers.add(caller)
        if self._closed:
            caller.abort("we are ending")
            return
        self._strangers[caller] = None
        caller.timers = [asyncio.get_running_loop().call_later(self._patience_s, self._refuse, caller)]
        if len(self._strangers) > MOST_STRANGERS:
            self._refuse(next(iter(self._strangers)))

    def heard(self, caller: Caller, data: bytes) -> None:
        """See `Reception`."""
        if caller not in self._strangers:
            return  # refused, and its last bytes were on their way
        caller.said = (caller.said + data)[: MOST_BYTES + 1]
        caller.packet += data
        self._decide(caller, whole=False)
        if caller not in self._strangers:
            return
        if len(caller.said) > MOST_BYTES:
            self._refuse(caller)
            return
        for timer in caller.timers[1:]:
            timer.cancel()
        settling = asyncio.get_running_loop().call_later(self._settle_s, self._settled, caller)
        caller.timers[1:] = [settling]

    def gone(self, caller: Caller) -> None:
        """See `Reception`."""
        self._callers.discard(caller)
        if caller in self._strangers:
            self._refuse(caller)

    def _settled(self, caller: Caller) -> None:
        self._decide(caller, whole=True)
        if not begins(caller.packet, self._links):
            caller.packet = b""  # a greeting, a heartbeat that is not configured: who it is may still come

    def _decide(self, caller: Caller, *, whole: bool) -> None:
        identity = recognise(caller.packet, self._links, self._heartbeats, whole=whole)
        if identity is not None:
            del self._strangers[caller]
            self._links[identity].take(caller)

    def _refuse(self, caller: Caller) -> None:
        self._strangers.pop(caller, None)
        said = f"says {shown(caller.said[:SHOWN])}, which is no channel's identity"
        says = said if caller.said else "says nothing"
        log.log(
            logging.WARNING if self._is_news(f"{caller.host} {says}") else logging.DEBUG,
            "%s: %s dialled in and %s; hung up",
            *(self.name, caller.where, says),
        )
        caller.abort("nobody knows it")

    def _is_news(self, stranger: str) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._named_since > FORGOTTEN_S:
            self._named.clear()
            self._named_since = now
        if stranger in self._named or len(self._named) >= REMEMBERED:
            return False
        self._named.add(stranger)
        return True


class Ports:
    """All listening ports of a process."""

    def __init__(self) -> None:
        self._ports: dict[tuple[str, int], ListeningPort] = {}

    def link(self, host: str, port: int, identity: bytes, heartbeat: bytes = b"") -> DialInLink:
        """The link of a device that will dial in there."""
        return self._ports.setdefault((host, port), ListeningPort(host, port)).expect(identity, heartbeat)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def open(self) -> None:
        """Take calls at every port; one that cannot be opened is said."""
        for port in self._ports.values():
            if port.bound:
                continue
            try:
                await port.open()
            except LinkError as error:
                log.warning("%s; each poll tries it again", error.detail)
            else:
                log.info("%s: waiting for calls", port.name)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Take no more calls, and end those that there are."""
        for port in self._ports.values():
            await port.close()
