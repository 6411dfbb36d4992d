"""F41: the broker is away for a day, and concentrators keep what they have."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from collector.acquisition import mqtt_link
from collector.acquisition.backoff import Backoff
from collector.acquisition.schedule import ClockWaker
from collector.clock import DrivenClock
from collector.daemon import Daemon
from collector.settings.loading import load_settings
from simulators.concentrator import Concentrator
from simulators.concentrator_store import Store
from simulators.fleet import Fleet
from simulators.scenario import load_scenario
from simulators.truth import Truth
from storage.engine import open_ledger
from tests.flow.faults.conftest import Tell
from tests.flow.faults.mailbox import messages, standing
from tests.flow.faults.oracle import all_pushed
from tests.flow.faults.street import PROFILES, SEED, START
from tests.links.broker import SOUND, Mosquitto, needs_mosquitto

pytestmark = needs_mosquitto

HOUR = timedelta(hours=1)
SCENE = (
    f'format = 1\ntitle = "a line beside"\nseed = {SEED}\nstart = 2026-03-15T00:00:00+08:00\n'
    '[[line]]\nname = "line"\nprotocol = "modbus-tcp"\n'
    '[[meter]]\nmeter = "p{n}"\nline = "line"\nprofile = "eastron_sdm630"\naddress = "1"\ncount = 3\nregister = "815.5"\n'
)
CONFIG = """\
[storage]
url = "sqlite:///ledger.db"
[registry]
file = "meters.csv"
[[channel]]
name = "line"
link = "{line}"
protocol = "modbus-tcp"
[[channel]]
name = "broker"
link = "mqtt://127.0.0.1:{port}"
protocol = "mqtt-json"
topics = ["meters/+/reading"]
ack = "meters/{{sender}}/ack"
resend = "meters/{{sender}}/resend"
[[plan]]
name = "quarter"
read = ["1-0:1.8.0"]
every = "15m"
"""
PUSHING, POLLED = 4, 3
SLOTS = 25 * 4 - 1
"""Of each; the last of the 25 hours has just begun to be due."""


@pytest.mark.slow
async def test_broker_away_for_a_day(tmp_path: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polling goes on meanwhile; afterwards every slot of the day has its value, though long closed as missing."""
    monkeypatch.setattr(mqtt_link, "Backoff", lambda: Backoff(first_s=0.05, ceiling_s=0.2))  # a day lasts seconds here
    scene, place = tmp_path / "scene.toml", tmp_path / "broker"
    scene.write_text(SCENE, "utf-8")
    place.mkdir()
    broker = Mosquitto(place, *SOUND)
    await asyncio.to_thread(broker.start)
    clock, truth, rows, loop = DrivenClock(START), Truth(), standing(PUSHING), asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, broker.stop)
        scenario = load_scenario(scene, PROFILES)
        fleet = await stack.enter_async_context(Fleet(scenario, now=clock.now, profiles=PROFILES))
        config = tmp_path / "collector.toml"
        config.write_text(CONFIG.format(line=fleet.listening[0].url, port=broker.port), "utf-8")
        pushing = [f"{one.meter.meter},json_meter,broker,{one.meter.address}" for one in rows]
        polled = [f"{one.meter},eastron_sdm630,line,{one.address}" for one in fleet.listening]
        lines = ["meter,profile,channel,address", *pushing, *polled]
        config.with_name("meters.csv").write_text("\n".join(lines) + "\n", "utf-8")
        settings = load_settings(config)
        ledger = await open_ledger(settings.storage.url.url, create=True)
        stack.push_async_callback(ledger.close)
        one = Concentrator(Store("dcu-1", "boot-1", patience_s=5), host=broker.host, port=broker.port)
        daemon = Daemon(settings, PROFILES, ledger, clock=clock, waker=ClockWaker, settle=False)

        async def until(instant: timedelta) -> None:
            while clock.now() < START + instant:
                clock.advance(min(await daemon.quiet(), START + instant))
            await daemon.quiet()

        async with asyncio.timeout(90), asyncio.TaskGroup() as tasks:
            tasks.create_task(daemon.run())
            working = tasks.create_task(one.run())
            await until(HOUR)
            one.take(messages(rows, truth, START, START + HOUR, SEED))
            await one.emptied()
            await asyncio.to_thread(broker.stop)
            await until(25 * HOUR)
            missing = await ledger.closed(START, START + 25 * HOUR)
            one.take(messages(rows, truth, START + HOUR, START + 25 * HOUR, SEED))
            kept = len(one.store)
            began = loop.time()
            await asyncio.to_thread(broker.start)
            await one.emptied()
            caught_up_s = loop.time() - began
            working.cancel()
            daemon.stop()
        stored = [found async for found in ledger.readings()]
        all_pushed(truth, [found for found in stored if found.reading.meter.startswith("r")])
        filled = await ledger.filled(START + timedelta(seconds=1), START + 25 * HOUR)
        assert len([slot for slot in filled if slot.meter.startswith("p")]) == POLLED * SLOTS
        assert len([slot for slot in filled if slot.meter.startswith("r")]) == PUSHING * SLOTS
        assert {one.slot.meter for one in missing} == {row.meter.meter for row in rows}
        assert {one.reason for one in missing} == {"no_message"}
    tell(
        "F41",
        f"24 h without a broker: {len(missing)} slots closed as missing and filled afterwards, {kept} messages in"
        f" {caught_up_s:.1f} s, no polled slot missing",
    )
