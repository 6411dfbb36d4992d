"""A device that dials in, as a `Link`: open while its call lasts, and open again with its next one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from collector.acquisition.bell import Bell
from collector.acquisition.caller import Caller
from collector.acquisition.heartbeats import Heartbeats
from collector.acquisition.outcome import rule
from collector.errors import LinkError

log = logging.getLogger(__name__)


def shown(identity: bytes) -> str:
    """As it is written in a configuration."""
    text = identity.decode("ascii", "replace")
    readable = text.isascii() and text.isprintable() and not text.startswith("hex:") and not set(text) & set('"\\')
    return f'"{text}"' if readable else f'"hex:{identity.hex(" ")}"'


class DialInLink:
    """One identity on one listening port. `listen` makes sure that the port is open."""

    def __init__(
        self, port_name: str, identity: bytes, heartbeat: bytes, *, listen: Callable[[], Awaitable[None]]
    ) -> None:
        self.name = port_name
        self._who = shown(identity)
        self._words = (heartbeat, identity)  # modems that have no heartbeat say who they are again and again
        self._listen = listen
        self._caller: Caller | None = None
        """The newest call."""
        self._used: Caller | None = None
        """That of the exchange under way: when it breaks because a newer one came, the newer one must not be hung up on."""
        self._bell: Bell | None = None
        self._in_vain = False
        """It was waited for and did not come: until it does, nobody waits for it again."""

    async def open(self, deadline: float) -> None:
        """See `Link`. Waits for the call; once in vain, it is no more waited for until it has come."""
        if not self._connected():
            await self._listen()
        loop = asyncio.get_running_loop()
        self._bell = Bell(loop)
        while not self._connected():
            if self._in_vain or loop.time() >= deadline:
                self._in_vain = True
                raise self._error("not_online", f"{self._who} has not dialled in to {self.name}")
            await self._bell.wait(deadline)
        self._used = self._caller

    async def write(self, data: bytes, deadline: float) -> None:
        """See `Link`."""
        await self._alive().write(data, deadline)

    async def read(self, deadline: float) -> bytes:
        """See `Link`."""
        return await self._alive().read(deadline)

    async def close(self) -> None:
        """See `Link`. The port stays open: the device may dial in again."""
        used, self._used = self._used, None
        if used is not None:
            await used.hang_up()

    def take(self, caller: Caller) -> None:
        """Its call, told by its identity. The newest is believed: a modem that lost its old one does not always say so."""
        older, self._caller, self._in_vain = self._caller, caller, False
        caller.known_as(Heartbeats(*self._words))
        if older is None or older.lost:
            log.info("%s: %s dials in from %s", self.name, self._who, caller.where)
        else:
            log.info(
                "%s: %s dials in anew from %s; its older connection from %s is closed",
                *(self.name, self._who, caller.where, older.where),
            )
            older.abort(f"it dialled in anew from {caller.where}")
        if self._bell is not None:
            self._bell.ring()

    def retire(self) -> None:
        """Another link has taken its place."""
        if self._caller is not None:
            self._caller.abort("its channel was changed")

    def _connected(self) -> bool:
        return self._caller is not None and not self._caller.lost

    def _alive(self) -> Caller:
        if self._used is None:
            raise self._error("connection_lost", f"{self._who} is not connected")
        return self._used

    @staticmethod
    def _error(reason: str, detail: str) -> LinkError:
        return LinkError(reason, rule(reason).owner, detail)
