"""A message broker for the simulated meters: Mosquitto, as a program beside us, for as long as the fleet lives.

It listens on 127.0.0.1 alone and remembers nothing on disk. It holds any number of messages for a collector that is away:
with Mosquitto's own limit (1,000) acknowledged messages would be dropped without a word to anybody.
"""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from simulators.errors import BrokerError

PROGRAM = "mosquitto"
PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where it stands when PATH has no sbin, as for users who are not root on Debian."""
READY_S = 10.0
LEAVE_S = 5.0
TRIES = 3
"""A port that was free may be taken before Mosquitto gets there."""


def find_broker() -> str | None:
    """The path of Mosquitto, or None where it is not installed."""
    return shutil.which(PROGRAM) or shutil.which(PROGRAM, path=":".join(PLACES))


class Broker:
    """One Mosquitto; `async with` starts and ends it. `port` says where."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="chaobiao-broker-", ignore_cleanup_errors=True)

    async def __aenter__(self) -> Self:
        program = find_broker()
        if program is None:
            self._folder.cleanup()
            raise BrokerError("there is no Mosquitto here; on Debian the package is called mosquitto")
        for _ in range(TRIES):
            if await self._start(program):
                return self
        await self._end()
        raise BrokerError(f"{program} does not start")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self._end()

    async def _start(self, program: str) -> bool:
        self.port = _free_port(self.host)
        settings = Path(self._folder.name) / "mosquitto.conf"
        lines = (
            f"listener {self.port} {self.host}",
            f"user {getpass.getuser()}",
            "allow_anonymous true",
            "persistence false",
            "max_queued_messages 0",
            "log_type none",
        )
        await asyncio.to_thread(settings.write_text, "\n".join(lines) + "\n", encoding="utf-8")
        nowhere = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *_with_us(program, "-c", str(settings)),
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            start_new_session=True,  # Ctrl-C is for us: it must not take the broker away before we have hung up
        )
        self._process = process
        try:
            async with asyncio.timeout(READY_S):
                while process.returncode is None and not await self._answers():  # noqa: ASYNC110 - no event tells when it listens
                    await asyncio.sleep(0.01)
        except TimeoutError:
            await self._end_process()
        return process.returncode is None

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def _end(self) -> None:
        await self._end_process()
        self._folder.cleanup()

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(LEAVE_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _with_us(*command: str) -> tuple[str, ...]:
    """The command, ended by the kernel when we are killed without a word (util-linux; elsewhere it would stay behind)."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "TERM", *command) if setpriv else command


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
