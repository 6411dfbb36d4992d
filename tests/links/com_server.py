"""Serial servers that we did not write, with a device behind them: pyserial's RFC 2217 `PortManager`, and Debian's ser2net.

pyserial's is a Telnet without a socket; the socket, and a serial port that exists only in memory, are ours.
"""

from __future__ import annotations

import asyncio
import importlib
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tests.links.memory_link import Device
from tests.links.serving import serving

SER2NET = shutil.which("ser2net", path="/usr/sbin:/usr/local/sbin:/usr/bin")

_rfc2217: Any = importlib.import_module("serial.rfc2217")
_loop: Any = importlib.import_module("serial.urlhandler.protocol_loop")


class _Sender:
    """What pyserial writes to."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.write = writer.write


class ComServer:
    """One client after the other. `port`: pyserial's, with the settings that the client made; `device` is behind it."""

    def __init__(self, device: Device, fastest: int) -> None:
        class Memory(_loop.Serial):  # type: ignore[misc] # pyserial's loop:// in all but its speed
            def _reconfigure_port(self) -> None:
                super()._reconfigure_port()
                if self._baudrate > fastest:
                    raise ValueError("too fast")

        self.port: Any = Memory("loop://", timeout=0)
        self.number = 0
        self._device = device
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        self._writer = writer
        manager = _rfc2217.PortManager(self.port, _Sender(writer))
        while data := await reader.read(1024):
            if said := b"".join(manager.filter(data)):
                for _, answer in self._device(said):
                    writer.write(b"".join(manager.escape(answer)))

    def drop(self) -> None:
        """The client's connection breaks."""
        assert self._writer is not None
        self._writer.transport.abort()


@asynccontextmanager
async def pyserial_server(device: Device, *, fastest: int = 115200) -> AsyncIterator[ComServer]:
    """Running on a free port of this machine."""
    server = ComServer(device, fastest)
    async with serving(server.serve) as server.number:
        yield server
    server.port.close()


@contextmanager
def ser2net(pty: str, folder: Path) -> Iterator[int]:
    """The port of a ser2net in front of this device file."""
    assert SER2NET
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    config = folder / "ser2net.yaml"
    config.write_text(
        f"connection: &meters\n  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}\n"
        f"  connector: serialdev,{pty},9600n81,local\n",
        "utf-8",
    )
    with subprocess.Popen([SER2NET, "-n", "-c", str(config), "-P", str(folder / "pid")]) as process:
        try:
            yield port
        finally:
            process.terminate()
            process.wait(10)
