"""How work that goes on until it is told to stop comes to its end, with all that it opened closed again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a service manager, and a terminal window that is closed: left alone, the last two would leave a broker behind."""


async def until_told(work: Coroutine[None, None, None]) -> bool:
    """Do this until its end, or until a signal cancels it. Did it come to its end?"""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    for number in STOPPING:
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait((task,))
    if task.cancelled():
        return False
    task.result()
    return True
