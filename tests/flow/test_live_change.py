"""A configuration or registry that changes while the daemon runs: what stays does not notice, what is broken is not taken."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from collector.acquisition.schedule import ClockWaker
from collector.clock import DrivenClock
from collector.daemon import Daemon
from collector.jobs.registry import import_registry
from collector.settings.loading import load_settings
from protocols.profile import builtin_profiles
from simulators.fleet import Fleet, load_scenario
from storage.memory import MemoryLedger
from tests.flow.commands import start
from tests.flow.daemons import PATIENT_S, closed_port, installation, terminate, wait_for_line

PROFILES = builtin_profiles()
MINUTES = timedelta(minutes=1)


class Running:
    """A daemon on driven time over the three meters of one-of-each."""

    def __init__(self, folder: Path, fleet: Fleet, clock: DrivenClock) -> None:
        self.folder, self.clock = folder, clock
        urls = {one.protocol: (one.url, one.address) for one in fleet.listening}
        self.street, self.village = urls["modbus-tcp"], urls["dlt645"]
        self.asked: Counter[str] = Counter()
        self.ledger = MemoryLedger()
        self.config = self.write(street=True)
        self.daemon = Daemon(
            load_settings(self.config),
            PROFILES,
            self.ledger,
            clock=clock,
            waker=ClockWaker,
            watch=lambda done: self.asked.update([done.task.registered.meter.meter]),
            settle=False,
        )

    def write(self, *, street: bool = False, village: bool = False, every: str = "5m") -> Path:
        """The configuration and registry with these channels."""
        channels, meters = [], ""
        if street:
            channels.append(f'name = "street"\nlink = "{self.street[0]}"\nprotocol = "modbus-tcp"')
            meters += f"shop,eastron_sdm630,street,{self.street[1]}\n"
        if village:
            channels.append(f'name = "village"\nlink = "{self.village[0]}"\nprotocol = "dlt645"')
            meters += f"house,dlt645_2007_1p,village,{self.village[1]}\n"
        return installation(self.folder, *channels, meters=meters, every=every)

    async def live(self, span: timedelta) -> Counter[str]:
        """Let time pass; who was asked in it."""
        self.asked.clear()
        end = self.clock.now() + span
        while True:
            alarm = await self.daemon.quiet()
            if self.clock.now() >= end:
                return Counter(self.asked)
            self.clock.advance(min(alarm, end))

    async def taken(self, caplog: pytest.LogCaptureFixture, words: str) -> None:
        """Wait until the daemon has said so."""
        async with asyncio.timeout(10):
            while not any(words in record.getMessage() for record in caplog.records):  # noqa: ASYNC110 - a log sends no event
                await asyncio.sleep(0.005)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="collector")
    return caplog


@asynccontextmanager
async def village(folder: Path) -> AsyncIterator[Running]:
    scenario = load_scenario("one-of-each", PROFILES)
    clock = DrivenClock(scenario.start)
    async with Fleet(scenario, now=clock.now, profiles=PROFILES) as fleet:
        running = Running(folder, fleet, clock)
        async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
            tasks.create_task(running.daemon.run())
            await running.daemon.quiet()
            try:
                yield running
            finally:
                running.daemon.stop()


async def test_a_channel_that_comes_is_collected_and_the_other_goes_on(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    async with village(tmp_path) as here:
        assert set(await here.live(11 * MINUTES)) == {"shop"}
        here.daemon.change(load_settings(here.write(street=True, village=True)), PROFILES)
        await here.taken(said, "configuration taken: 2 meters over 2 channels")
        asked = await here.live(21 * MINUTES)
    assert asked == {"shop": 4, "house": 4}
    missing = await here.ledger.closed(here.clock.now() - timedelta(days=1), here.clock.now())
    assert not [one for one in missing if one.slot.meter == "shop"]  # nothing of it was dropped


async def test_a_channel_that_goes_is_asked_no_more(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    async with village(tmp_path) as here:
        here.daemon.change(load_settings(here.write(street=True, village=True)), PROFILES)
        await here.taken(said, "over 2 channels")
        assert set(await here.live(11 * MINUTES)) == {"shop", "house"}
        here.daemon.change(load_settings(here.write(village=True)), PROFILES)
        await here.taken(said, "over 1 channels")
        assert set(await here.live(11 * MINUTES)) == {"house"}


async def test_a_plan_that_changes_owes_by_its_new_timetable(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    async with village(tmp_path) as here:
        await here.live(6 * MINUTES)
        here.daemon.change(load_settings(here.write(street=True, every="1m")), PROFILES)
        await here.taken(said, "configuration taken")
        assert await here.live(10 * MINUTES) == {"shop": 10}
        versions = await here.ledger.plan_versions(here.clock.now() - timedelta(days=1), here.clock.now())
    assert [version.plan.every_s for version in versions] == [300, 60]


async def test_a_broken_registry_leaves_the_old_one_running(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    async with village(tmp_path) as here:
        settings = load_settings(here.write(street=True))
        (tmp_path / "meters.csv").write_text("meter,profile,channel,address\nshop,no_such,street,1\n", "utf-8")
        here.daemon.change(settings, PROFILES)
        await here.taken(said, "the old one goes on")
        assert any("no_such" in record.getMessage() for record in said.records)
        assert set(await here.live(11 * MINUTES)) == {"shop"}


async def test_a_database_or_zone_is_not_changed_while_running(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    async with village(tmp_path) as here:
        text = here.config.read_text("utf-8").replace("chaobiao.db", "other.db")
        here.config.write_text(text, "utf-8")
        here.daemon.change(load_settings(here.config), PROFILES)
        await here.taken(said, "at a start of the daemon only")
        assert set(await here.live(6 * MINUTES)) == {"shop"}


async def test_a_registry_that_another_process_imported_is_noticed(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    async with village(tmp_path) as here:
        both = here.write(street=True, village=True)
        rows = (tmp_path / "meters.csv").read_text("utf-8")
        only_shop = "".join(line for line in rows.splitlines(keepends=True) if "house" not in line)
        (tmp_path / "meters.csv").write_text(only_shop, "utf-8")
        here.daemon.change(load_settings(both), PROFILES)
        await here.taken(said, "1 meters over 2 channels")
        (tmp_path / "meters.csv").write_text(rows, "utf-8")
        await import_registry(here.ledger, load_settings(both), PROFILES, here.clock)
        await here.live(2 * MINUTES)
        await here.taken(said, "the registry was changed: 2 meters")
        assert set(await here.live(11 * MINUTES)) == {"shop", "house"}


def test_sighup_takes_a_changed_file_and_refuses_a_broken_one(tmp_path: Path) -> None:
    channel = f'name = "a"\nlink = "tcp://127.0.0.1:{closed_port()}"\nprotocol = "modbus-tcp"'
    config = installation(tmp_path, channel, meters="m1,eastron_sdm630,a,1\n")
    process = start("run", "-c", config)
    wait_for_line(process, "collecting 1 meter")
    good = config.read_text("utf-8")
    config.write_text(good.replace('every = "1s"', 'evry = "1s"'), "utf-8")
    process.send_signal(signal.SIGHUP)
    assert "the old one goes on" in wait_for_line(process, "is not taken")
    assert "evry" in wait_for_line(process, "collector.toml:")
    config.write_text(good.replace('every = "1s"', 'every = "2s"'), "utf-8")
    process.send_signal(signal.SIGHUP)
    wait_for_line(process, "configuration taken")
    assert terminate(process) < PATIENT_S
