"""A collector that only receives: link, intake, inbox and SQLite as the daemon joins them, and nothing else.

A program of its own, so that it can be killed. Begins when its stdin has a line (loading takes longer than it lives),
says `receiving` on stdout once it is subscribed; SIGTERM drains it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_link import Broker, Connection, MqttLink
from collector.clock import SystemClock
from collector.jobs.receive import Inbox, Receive
from protocols.profile import builtin_profiles
from storage.engine import open_ledger


class Announced(MqttLink):
    """Says when it is subscribed."""

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        async with super().session() as connection:
            sys.stdout.write("receiving\n")
            sys.stdout.flush()
            yield connection


async def receive(given: dict[str, Any]) -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    ledger = await open_ledger(given["database"], create=False)
    intake = Intake()
    broker = Broker("127.0.0.1", given["port"], "chaobiao-broker", ("meters/+/reading",))
    link = Announced(broker, intake, SystemClock(), backoff=Backoff(first_s=0.05), manual_ack=given["manual_ack"])
    inbox = Inbox("broker", builtin_profiles(), await ledger.registry(), zone=ZoneInfo("Asia/Shanghai"))
    await Receive(link, intake, inbox, ledger).run(stop)
    await ledger.close()


if __name__ == "__main__":
    sys.stdin.readline()
    asyncio.run(receive(json.loads(sys.argv[1])))
