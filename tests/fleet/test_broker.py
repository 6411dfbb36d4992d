"""The fleet's broker lives exactly as long as we do, however we end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
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


async def answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@needs_mosquitto
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux's setpriv")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
async def test_no_broker_is_left_behind(how: signal.Signals) -> None:
    """Killed without a word, or interrupted as Ctrl-C does it."""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as holder:
        assert holder.stdout
        port = int(holder.stdout.readline())
        assert await answers(port)
        os.kill(holder.pid, how)
        holder.wait(10)
        deadline = time.monotonic() + 10
        while await answers(port):
            assert time.monotonic() < deadline, "the broker is still there"
            await asyncio.sleep(0.05)
