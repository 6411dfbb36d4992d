"""Messages that meters push, their registry, and a receiver of them that is stopped at the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Pushed, Ticket
from collector.jobs.receive import Inbox, Receive
from protocols.profile import builtin_profiles
from storage.engine import open_ledger
from storage.ledger.port import Ledger
from storage.records import Basis, Judged, Slot
from storage.registry import Installation, Meter, Point, Registered

NOW = datetime(2026, 3, 15, 1, 0, 30, tzinfo=UTC)
QUARTER = datetime(2026, 3, 15, 1, 0, tzinfo=UTC)
ENERGY = "1-0:1.8.0"
TOPIC = "meters/4711/reading"
SHANGHAI = ZoneInfo("Asia/Shanghai")
PROFILES = builtin_profiles()


def standing(meter: str, address: str, *, channel: str = "broker") -> Registered:
    return Registered(
        Meter(meter, "json_meter", channel, address), Point(f"P-{meter}"), Installation(meter, f"P-{meter}", QUARTER)
    )


REGISTRY = (standing("m1", "4711"), standing("m2", "4712"), standing("m3", "9000", channel="elsewhere"))


def slots_for(one: Registered, quantity: str, basis: Basis, time: datetime) -> list[Slot]:
    """A plan that owes the energy of the quarter."""
    if (quantity, basis, time) == (ENERGY, Basis.INSTANT, QUARTER):
        return [Slot("quarter", one.meter.meter, quantity, basis, QUARTER)]
    return []


def inbox() -> Inbox:
    return Inbox("broker", PROFILES, REGISTRY, zone=SHANGHAI, slots_for=slots_for)


def payload(energy: object = "123.45", *, time: str = "2026-03-15T09:00:00+08:00", **more: object) -> bytes:
    return json.dumps({"time": time, "values": {ENERGY: energy}, **more}).encode()


def message(data: bytes, *, topic: str = TOPIC, n: int = 1, retained: bool = False) -> Pushed:
    return Pushed(topic, data, retained, NOW, Ticket(1, n, 1))


@asynccontextmanager
async def ledger_of_these() -> AsyncIterator[Ledger]:
    """In memory, with the registry above."""
    opened = await open_ledger("memory://", create=True)
    await opened.import_registry(REGISTRY, digest="", at=QUARTER)
    yield opened
    await opened.close()


async def stored(ledger: Ledger) -> list[Judged]:
    return [one async for one in ledger.readings()]


def quick() -> Backoff:
    return Backoff(first_s=0.01, ceiling_s=0.02)


@asynccontextmanager
async def receiving(receive: Receive) -> AsyncIterator[asyncio.Event]:
    """Stopped at the end, unless it ends by itself; what it raises is raised."""
    stop = asyncio.Event()
    task = asyncio.create_task(receive.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)
