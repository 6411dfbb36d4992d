"""What tests of the daemon have in common: an installation on disk, a process to wait for, a clock to drive."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import time
from collections.abc import Coroutine
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from collector.clock import DrivenClock
from collector.daemon import Daemon
from tests.flow.commands import finish, start

PATIENT_S = 10
"""What a drain may take (issue: within 10 s)."""


TURNS = 20
"""Of the loop, after each step: whoever was woken by it has done what it had to by then."""


def closed_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def installation(folder: Path, *channels: str, meters: str, every: str = "1s") -> Path:
    config = folder / "collector.toml"
    config.write_text(
        '[storage]\nurl = "sqlite:///chaobiao.db"\n[registry]\nfile = "meters.csv"\n'
        + "".join(f"[[channel]]\n{channel}\n" for channel in channels)
        + f'[[plan]]\nname = "often"\nread = ["1-0:1.8.0"]\nevery = "{every}"\n',
        "utf-8",
    )
    (folder / "meters.csv").write_text(f"meter,profile,channel,address\n{meters}", "utf-8")
    return config


def wait_for_line(process: subprocess.Popen[str], part: str) -> str:
    assert process.stderr
    deadline = time.monotonic() + 20
    for line in process.stderr:
        if part in line:
            return line
        assert time.monotonic() < deadline
    raise AssertionError(f"it ended with {process.wait()} and never said {part!r}")


def terminate(process: subprocess.Popen[str]) -> float:
    """SIGTERM; how long it took to end with 0."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended = finish(process)
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err
    return time.monotonic() - begun


def missing(config: Path) -> list[tuple[str, str, str, str]]:
    ended = finish(start("report", "missing", "-c", config, "--json"))
    assert ended.status == 0, ended.err
    found = [json.loads(line) for line in ended.out.splitlines()]
    return [(one["meter"], one["reason"], one["owner"], one["detail"]) for one in found]


async def run_until(
    daemon: Daemon,
    clock: DrivenClock,
    instant: datetime,
    *,
    beside: Coroutine[None, None, None] | None = None,
    step: timedelta | None = None,
) -> None:
    """Drive the clock to an instant, then drain. `beside` runs meanwhile; `step`: never further than this at once."""
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(daemon.run())
        if beside is not None:
            tasks.create_task(beside)
        while True:
            alarm = await daemon.quiet()
            if clock.now() >= instant:
                break
            clock.advance(min(alarm, instant, *(() if step is None else (clock.now() + step,))))
            for _ in range(TURNS if step else 0):
                await asyncio.sleep(0)
        daemon.stop()
