"""All of it on real sockets: the daemon, its TCP links and a database on disk, and a fault proxy before each of three lines.

Civil time is driven and stands still during an exchange, so a value is true only if its meter showed it at that very instant.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from collector.acquisition.schedule import ClockWaker
from collector.acquisition.tasks import Collected
from collector.clock import DrivenClock
from collector.daemon import Daemon
from collector.jobs.report import Reporter
from collector.settings.loading import load_settings
from simulators.fault_proxy import FaultProxy
from simulators.fleet import Fleet
from simulators.scenario import load_scenario
from simulators.toxics import Cut, Double, End, FlipBits, Late, Noise, Place, Slice, Toxic
from storage.engine import open_ledger
from storage.values import MILLION
from tests.flow.faults.conftest import Tell
from tests.flow.faults.oracle import nothing_lost
from tests.flow.faults.street import PROFILES, SEED

LINE = '[[line]]\nname = "{0}"\nprotocol = "{0}"\ntimeout = "100ms"\nworst_reply = "300ms"\n'
METER = (
    '[[meter]]\nmeter = "{0}-{{n}}"\nline = "{0}"\nprofile = "{1}"\naddress = "{2}"\ncount = 3\nregister = "815.5"\n'
)
SCENE = (
    f'format = 1\ntitle = "three lines"\nseed = {SEED}\nstart = 2026-03-14T20:00:00+08:00\n'
    + "".join(LINE.format(name) for name in ("modbus-rtu", "modbus-tcp", "dlt645"))
    + METER.format("modbus-rtu", "eastron_sdm630", "1")
    + METER.format("modbus-tcp", "eastron_sdm630", "1")
    + METER.format("dlt645", "dlt645_2007_1p", "240300000011")
)
PLAN = '\n[[plan]]\nname = "curve"\nread = ["1-0:1.8.0", "1-0:32.7.0"]\nevery = "5m"\n'
SPAN = timedelta(hours=1)

ANY: tuple[Toxic, ...] = (
    *(Late(0.03, 0.1, 0.25), Double(0.05), Slice(0.001, share=0.1), Cut(0.02), Cut(0.02, End.CLOSE, after_s=0.01)),
)
"""What no checksum is needed against; the lines that have one get noise and turned bits too."""
TOXICS: dict[str, tuple[Toxic, ...]] = {
    "modbus-rtu": (FlipBits(0.003), Noise(Place.BEFORE, 0.05), *ANY),
    "modbus-tcp": ANY,
    "dlt645": (FlipBits(0.001), Noise(Place.BEFORE, 0.05), *ANY),
}


@pytest.mark.slow
async def test_three_lines_under_everything(tmp_path: Path, tell: Tell) -> None:
    scene = tmp_path / "scene.toml"
    scene.write_text(SCENE, "utf-8")
    scenario = load_scenario(scene, PROFILES)
    clock = DrivenClock(scenario.start)
    done: list[Collected] = []
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet(scenario, now=clock.now, profiles=PROFILES))
        config, _ = fleet.write_config(tmp_path)
        text = config.read_text("utf-8").split("[[plan]]")[0].split("[billing]")[0] + PLAN
        proxies = {}
        for name, url in {one.line: one.url for one in fleet.listening}.items():
            port = int(url.rpartition(":")[2])
            proxy = FaultProxy("127.0.0.1", port, TOXICS[name], seed=SEED)
            proxies[name] = await stack.enter_async_context(proxy)
            text = text.replace(f'"{url}"', f'"tcp://127.0.0.1:{proxy.port}"')
        config.write_text(text, "utf-8")
        settings = load_settings(config)
        ledger = await open_ledger(settings.storage.url.url, create=True)
        stack.push_async_callback(ledger.close)
        daemon = Daemon(settings, PROFILES, ledger, clock=clock, waker=ClockWaker, settle=False, watch=done.append)
        async with asyncio.timeout(90), asyncio.TaskGroup() as tasks:
            tasks.create_task(daemon.run())
            while clock.now() < scenario.start + SPAN:
                clock.advance(min(await daemon.quiet(), scenario.start + SPAN))
            await daemon.quiet()
            daemon.stop()

        stored = [one async for one in ledger.readings()]
        nothing_lost([(one.batch, one.receipt) for one in done], stored)
        for one in stored:
            reading = one.reading
            shown = fleet.truth.value(reading.meter, reading.quantity, reading.basis, reading.time)
            assert shown is not None, f"seed {SEED}: I3: {reading}"
            assert Decimal(shown) == Decimal(reading.value) / MILLION, f"seed {SEED}: I3: {reading}"
        protocols = {channel.name: channel.protocol for channel in settings.channels}
        reporter = Reporter(ledger, clock, settings.zone, PROFILES, protocols)
        success = await reporter.success(reporter.today(), reporter.today(), by="day")
        missing = await reporter.missing(reporter.today(), reporter.today())
        expected, collected = sum(one.expected for one in success), sum(one.final for one in success)
    assert expected == collected + len(missing) == 9 * 2 * 13, f"seed {SEED}: I4"
    assert collected > 0.98 * expected
    for name, proxy in proxies.items():
        assert proxy.hits.total() > 10
        tell("all", f"sockets, {name}: {dict(sorted(proxy.hits.items()))}, {proxy.connections} connections")
    tell(
        "all",
        f"sockets: {sum(len(one.batch.attempts) for one in done)} exchanges, {collected} of {expected} slots, 0 false",
    )
