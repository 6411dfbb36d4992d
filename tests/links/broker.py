"""A Mosquitto of the test's own: free port, 127.0.0.1, its own configuration and disk; ready when `start` returns."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PUBLISH = shutil.which("mosquitto_pub")

# reliability.md §1.4: Mosquitto's defaults drop after 1,000 queued messages and write to disk every half hour.
SOUND = ("persistence true", "autosave_interval 1", "max_queued_messages 0")
# Every packet in its log: the broker is the witness of what was acknowledged when.
TALKATIVE = ("log_type debug",)
# No window of its own: whatever is bounded then, is bounded by us.
UNBOUNDED = ("max_inflight_messages 0",)

needs_mosquitto = pytest.mark.skipif(
    not (PROGRAM and PUBLISH), reason="needs the Debian packages mosquitto and mosquitto-clients"
)


class Mosquitto:
    """One broker. It may be stopped, killed and started again on the same port and disk."""

    def __init__(self, folder: Path, *lines: str, users: tuple[str, ...] = ("allow_anonymous true",)) -> None:
        self.host = "127.0.0.1"
        self.port = _free_port()
        self.lines: list[str] = []
        """What it logged."""
        self._news = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._config = folder / "mosquitto.conf"
        listener = next((line for line in lines if line.startswith("listener ")), f"listener {self.port} 127.0.0.1")
        config = [
            *("log_dest stderr", "log_type error", "log_type warning", "log_type notice", "log_type information"),
            f"persistence_location {folder}/",
            f"user {'root' if os.geteuid() == 0 else 'mosquitto'}",  # else root's Mosquitto cannot write there
            *(listener, *users),
            *(line for line in lines if line != listener),
        ]
        self._config.write_text("\n".join(config) + "\n", "utf-8")

    def start(self) -> None:
        """Returns once it listens."""
        assert PROGRAM
        self._process = subprocess.Popen([PROGRAM, "-c", str(self._config)], stderr=subprocess.PIPE, text=True)
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(self._process, ready), daemon=True).start()
        assert ready.wait(10), f"mosquitto did not start: {self.lines}"

    def _listen(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr
        with process.stderr:
            for line in process.stderr:
                with self._news:
                    self.lines.append(line.rstrip())
                    self._news.notify_all()
                if line.rstrip().endswith(" running"):
                    ready.set()

    def logged(self, text: str) -> list[str]:
        """Lines with this text so far."""
        with self._news:
            return [line for line in self.lines if text in line]

    async def logs(self, text: str, times: int = 1) -> list[str]:
        """Wait until it has logged this text so often."""

        def wait() -> bool:
            with self._news:
                return self._news.wait_for(lambda: sum(text in line for line in self.lines) >= times, timeout=10)

        assert await asyncio.to_thread(wait), f"{text!r} not {times} times in {self.lines}"
        return self.logged(text)

    def stop(self) -> None:
        """In good order, its state on disk."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        """As a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def publish(self, topic: str, payloads: Iterable[str], *options: str, qos: int = 1) -> None:
        """With `mosquitto_pub`, each payload a message; returns when the broker has them all."""
        assert PUBLISH
        command = [PUBLISH, "-h", self.host, "-p", str(self.port), "-V", "5", "-q", str(qos), "-t", topic, *options]
        for payload in payloads:
            subprocess.run([*command, "-s"], input=payload.encode(), check=True, timeout=10)

    def publish_lines(self, topic: str, lines: Iterable[str]) -> None:
        """The same in one go, for payloads without line ends."""
        assert PUBLISH
        command = [PUBLISH, "-h", self.host, "-p", str(self.port), "-V", "5", "-q", "1", "-t", topic, "-l"]
        subprocess.run(command, input="\n".join(lines).encode(), check=True, timeout=60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
