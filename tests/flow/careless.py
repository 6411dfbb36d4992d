"""The daemon's receiving side built without its protection: every message is acknowledged when it arrives.

The product has no such switch; this program is what tests of kills must see failing.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_link import MqttLink
from collector.clock import SystemClock
from collector.jobs.receive import Appends, Inbox, Receive
from collector.jobs.receivers import subscriber
from collector.jobs.registry import import_registry
from collector.settings.loading import load_profiles, load_settings
from storage.engine import open_ledger
from storage.ledger.port import Ledger


async def receive(config: Path, around: Callable[[Ledger], Appends] = lambda ledger: ledger) -> None:
    """Until SIGTERM. `around`: what stands before the ledger."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings, clock, intake = load_settings(config), SystemClock(), Intake()
    profiles = load_profiles(settings)
    ledger = await open_ledger(settings.storage.url.url, create=True)
    await import_registry(ledger, settings, profiles, clock)
    (channel,) = settings.channels
    link = MqttLink(subscriber(channel), intake, clock, manual_ack=False)
    inbox = Inbox(channel.name, profiles, await ledger.registry(), zone=settings.zone)
    await Receive(link, intake, inbox, around(ledger)).run(stop)
    await ledger.close()


def main() -> None:
    """The last argument is the configuration."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    asyncio.run(receive(Path(sys.argv[-1])))
