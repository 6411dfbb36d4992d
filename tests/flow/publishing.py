"""Meters that push numbered readings, QoS 1, at a steady pace: reading n is n kWh at second n, by meter n modulo 20.

A program of its own. It publishes until its stdin has a line, then the numbers of that line one after the other, and
writes after each how many the broker has acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta

from aiomqtt import Client, ProtocolVersion

START = datetime(2020, 1, 1, tzinfo=UTC)
METERS = 20
AT_ONCE = 8
PAUSE_S = 0.02
"""Between groups of eight: 400 readings a second at most."""


def reading(n: int) -> tuple[str, str]:
    """Topic and payload of the reading with this number."""
    time = (START + timedelta(seconds=n)).isoformat()
    return f"meters/{n % METERS}/reading", json.dumps({"time": time, "values": {"1-0:1.8.0": str(n)}, "seq": n})


async def publish(port: int) -> None:
    """All of it."""
    loop = asyncio.get_running_loop()
    async with Client("127.0.0.1", port, protocol=ProtocolVersion.V5, timeout=30) as client:

        async def one(n: int) -> None:
            topic, payload = reading(n)
            await client.publish(topic, payload, qos=1)

        asked = loop.run_in_executor(None, sys.stdin.readline)
        sent = 0
        while not asked.done():
            await asyncio.gather(*(one(n) for n in range(sent, sent + AT_ONCE)))
            sent += AT_ONCE
            await asyncio.sleep(PAUSE_S)
        sys.stdout.write(f"{sent}\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.readline)
        await one(sent)
        sys.stdout.write(f"{sent + 1}\n")
        sys.stdout.flush()
