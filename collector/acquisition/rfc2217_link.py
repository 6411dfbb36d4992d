"""A serial port of another computer, which is set from here (RFC 2217), as a `Link`."""

from __future__ import annotations

import asyncio

from collector.acquisition.outcome import rule
from collector.acquisition.rfc2217 import ComPort
from collector.acquisition.serial_link import byte_s
from collector.acquisition.stream import Stream
from collector.acquisition.tcp_link import connect, host_and_port
from collector.errors import LinkError
from collector.settings.link_url import SerialLine


class Rfc2217Link:
    """`rfc2217://host:port?baudrate=2400&parity=E`."""

    def __init__(self, host: str, port: int, line: SerialLine) -> None:
        self._host, self._port, self._line = host, port, line
        self._where = host_and_port(host, port)
        self.name = f"rfc2217://{self._where}"
        self._stream: Stream | None = None
        self._port_state = ComPort(line)
        self._early = b""

    async def open(self, deadline: float) -> None:
        """See `Link`. Open is what is set: the server has said of each setting that it is as wanted."""
        if self._stream is not None:
            if not self._stream.lost:
                return
            await self.close()
        self._stream = stream = await connect(self._host, self._port, deadline)
        self._port_state, self._early = ComPort(self._line), b""
        agreed = False
        try:
            await self._negotiate(stream, self._port_state, deadline)
            agreed = True
        finally:
            if not agreed:
                await self.close()

    async def write(self, data: bytes, deadline: float) -> None:
        """See `Link`. Returns when the last bit should be on the wire there."""
        stream, state = self._alive(), self._port_state
        while state.suspended:
            if asyncio.get_running_loop().time() >= deadline:
                raise self._error("no_answer", "its buffer is full, it asks us to wait")
            self._early += await self._next(stream, state, deadline)
        await stream.write(state.encode(data), deadline)
        await asyncio.sleep(len(data) * byte_s(self._line))

    async def read(self, deadline: float) -> bytes:
        """See `Link`."""
        stream, state = self._alive(), self._port_state
        if self._early:
            early, self._early = self._early, b""
            return early
        loop = asyncio.get_running_loop()
        while not (data := await self._next(stream, state, deadline)):
            if loop.time() >= deadline:
                break
        return data

    async def close(self) -> None:
        """See `Link`."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.hang_up()

    async def _negotiate(self, stream: Stream, state: ComPort, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        await self._reply(stream, state, deadline)
        while not state.ready:
            if loop.time() >= deadline:
                raise self._error("port_failed", "it does not speak RFC 2217; a server that passes bytes on is tcp://")
            await self._next(stream, state, deadline)
            if state.refusal:
                raise self._error("port_failed", state.refusal)

    async def _next(self, stream: Stream, state: ComPort, deadline: float) -> bytes:
        """What came from the serial line, perhaps nothing; the Telnets' talk is answered."""
        data = state.receive(await stream.read(deadline))
        await self._reply(stream, state, deadline)
        return data

    @staticmethod
    async def _reply(stream: Stream, state: ComPort, deadline: float) -> None:
        if state.outgoing:
            reply = bytes(state.outgoing)
            state.outgoing.clear()
            await stream.write(reply, deadline)

    def _alive(self) -> Stream:
        if self._stream is None:
            raise self._error("connection_lost", "it is not connected")
        return self._stream

    def _error(self, reason: str, detail: str) -> LinkError:
        return LinkError(reason, rule(reason).owner, f"{self._where}: {detail}")
