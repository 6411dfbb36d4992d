"""A TCP connection to a device, a gateway or a serial server, as a `Link`."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Coroutine
from typing import Any

from collector.acquisition.outcome import rule
from collector.acquisition.shortage import TOO_MANY_FILES, is_short, none_left, words
from collector.acquisition.stream import Stream
from collector.errors import LinkError

_REASONS = {
    errno.ECONNREFUSED: "connection_refused",
    errno.ETIMEDOUT: "connection_timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ECONNRESET: "connection_lost",
    errno.EPIPE: "connection_lost",
}


def host_and_port(host: str, port: int) -> str:
    """As people write it: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class TcpLink:
    """`tcp://host:port`."""

    __slots__ = ("_host", "_port", "_stream", "_where", "name")

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._where = host_and_port(host, port)
        self.name = f"tcp://{self._where}"
        self._stream: Stream | None = None

    async def open(self, deadline: float) -> None:
        """See `Link`. A connection that the other side has closed meanwhile is made anew."""
        if self._stream is not None:
            if not self._stream.lost:
                return
            await self.close()
        self._stream = await connect(self._host, self._port, deadline)

    def write(self, data: bytes, deadline: float) -> Coroutine[Any, Any, None]:
        """See `Link`. Handed on as it is: each coroutine between costs as much as half the work."""
        return self._alive().write(data, deadline)

    def read(self, deadline: float) -> Coroutine[Any, Any, bytes]:
        """See `Link`."""
        return self._alive().read(deadline)

    async def close(self) -> None:
        """See `Link`. Bytes not yet sent are thrown away."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.hang_up()

    def _alive(self) -> Stream:
        if self._stream is None:
            raise _error("connection_lost", f"{self._where} is not connected")
        return self._stream


async def connect(host: str, port: int, deadline: float) -> Stream:
    """A new connection. :raises LinkError: why there is none."""
    loop, where = asyncio.get_running_loop(), host_and_port(host, port)
    try:
        async with asyncio.timeout_at(deadline):
            _, stream = await loop.create_connection(lambda: Stream(loop, where), host, port)
    except TimeoutError as error:
        raise _error("connection_timeout", f"{where} does not answer") from error
    except socket.gaierror as error:
        if none_left():
            raise _error(TOO_MANY_FILES, f"{host}: {words()}") from error
        raise _error("unknown_host", f"{host}: {error.strerror}") from error
    except OSError as error:
        if is_short(error) or (error.errno not in _REASONS and none_left()):  # a resolver does not always say it
            raise _error(TOO_MANY_FILES, f"{where}: {words()}") from error
        says = os.strerror(error.errno) if error.errno else str(error)
        raise _error(_reason(error), f"{where}: {says}") from error
    return stream


def _error(reason: str, detail: str) -> LinkError:
    return LinkError(reason, rule(reason).owner, detail)


def _reason(error: OSError) -> str:
    if error.errno is not None:
        return _REASONS.get(error.errno, "unreachable")
    # One host with several addresses, all of which failed: asyncio puts their texts into one error without a number.
    refused = f"[Errno {errno.ECONNREFUSED}]" in str(error)
    return "connection_refused" if refused else "unreachable"
