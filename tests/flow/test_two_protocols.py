"""Modbus and DL/T 645 meters on one RS-485 bus behind one serial server: two channels with one link share its line."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from collector.acquisition.schedule import ClockWaker
from collector.acquisition.tasks import Collected
from collector.acquisition.urgency import Urgency
from collector.clock import DrivenClock
from collector.daemon import Daemon
from collector.settings.loading import load_settings
from protocols.profile import builtin_profiles
from simulators.truth import Truth
from storage.memory import MemoryLedger
from storage.records import Basis
from storage.registry import Meter
from tests.flow.faults.devices import dlt645_bus, modbus_bus

PROFILES = builtin_profiles()
SHANGHAI = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 3, 14, 16, 5, tzinfo=UTC)
"""00:05 of the 15th: the freezes of midnight and a quarter-hourly value are owed together."""
MODBUS = [Meter(f"shop-{n}", "eastron_sdm630", "bus-modbus", str(n)) for n in (1, 2)]
DLT645 = [Meter(f"house-{n}", "dlt645_2007_1p", "bus-645", f"{n:012d}") for n in (3, 4)]


class Bus:
    """A serial server with both sorts of meters behind it. On a bus only one may talk: who asks too early is seen."""

    def __init__(self, clock: DrivenClock) -> None:
        truth, dice, start = Truth(), random.Random(1), START.astimezone(SHANGHAI)
        self._modbus = modbus_bus(
            MODBUS, PROFILES[MODBUS[0].profile], truth, clock.now, start, dice, tcp=False, lies=(), share=0.0
        )
        self._dlt645 = dlt645_bus(DLT645, PROFILES[DLT645[0].profile], truth, clock.now, start, dice)
        self.connections = self.collisions = 0
        self._talking = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One caller."""
        self.connections += 1
        while data := await reader.read(4096):
            self.collisions += self._talking
            for delay_s, answer in sorted([*self._modbus(data), *self._dlt645(data)]):
                self._talking = True
                await asyncio.sleep(delay_s / 10)
                writer.write(answer)
                self._talking = False
        writer.close()


@asynccontextmanager
async def running(folder: Path, clock: DrivenClock, bus: Bus, done: list[Collected]) -> AsyncIterator[Daemon]:
    server = await asyncio.start_server(bus.serve, "127.0.0.1", 0)
    url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    (folder / "meters.csv").write_text(
        "meter,profile,channel,address,installed\n"
        + "".join(f"{one.meter},{one.profile},{one.channel},{one.address},2026-03-01\n" for one in MODBUS + DLT645),
        "utf-8",
    )
    config = folder / "collector.toml"
    config.write_text(
        '[storage]\nurl = "sqlite:///chaobiao.db"\n[registry]\nfile = "meters.csv"\n'
        f'[[channel]]\nname = "bus-modbus"\nlink = "{url}"\nprotocol = "modbus-rtu"\n'
        f'[[channel]]\nname = "bus-645"\nlink = "{url}"\nprotocol = "dlt645"\n'
        '[[plan]]\nname = "often"\nread = ["1-0:1.8.0"]\nevery = "5m"\n'
        '[[plan]]\nname = "daily"\nread = ["1-0:1.8.0"]\nbasis = "freeze"\nat = "00:05"\n',
        "utf-8",
    )
    daemon = Daemon(
        load_settings(config), PROFILES, MemoryLedger(), clock=clock, waker=ClockWaker, watch=done.append, settle=False
    )
    async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
        tasks.create_task(daemon.run())
        try:
            yield daemon
        finally:
            daemon.stop()
    server.close()


async def test_two_protocols_share_a_bus_and_freezes_go_first(tmp_path: Path) -> None:
    clock = DrivenClock(START - timedelta(minutes=3))
    bus, done = Bus(clock), list[Collected]()
    async with running(tmp_path, clock, bus, done) as daemon:
        await daemon.quiet()
        done.clear()
        clock.advance(START)
        await daemon.quiet()
    assert bus.connections == 1
    assert bus.collisions == 0
    asked = [(one.task.registered.meter.meter, one.task.urgency) for one in done]
    assert asked[:2] == [("house-3", Urgency.FREEZE), ("house-4", Urgency.FREEZE)]
    assert sorted(meter for meter, urgency in asked[2:]) == ["house-3", "house-4", "shop-1", "shop-2"]
    assert {urgency for _, urgency in asked[2:]} == {Urgency.CURVE}
    assert all(len(one.filled) == len(one.task.slots) for one in done), [one.batch.missing for one in done]
    frozen = [reading for one in done for reading in one.batch.readings if reading.basis is Basis.FREEZE]
    assert {reading.time for reading in frozen} == {START - timedelta(minutes=5)}
