"""The fleet's broker lives exactly as long as we do, however we end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.links.broker import needs_mosquitto

PROGRAM = """
import asyncio
from simulators.broker import Broker

async def main():
    async with Broker() as broker:
        print(broker.port, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


@needs_mosquitto
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux's setpriv")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_broker_is_left_behind(how: signal.Signals) -> None:
    """Killed without a word, or interrupted as Ctrl-C does it."""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as holder:
        assert holder.stdout
        port = int(holder.stdout.readline())
        assert answers(port)
        os.kill(holder.pid, how)
        holder.wait(10)
        deadline = time.monotonic() + 10
        while answers(port):
            assert time.monotonic() < deadline, "the broker is still there"
            time.sleep(0.05)  # what ends is a process of somebody else's: it sends no event
