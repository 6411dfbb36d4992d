"""F48, F07: twenty thousand messages at once, at a daemon that polls as well; and the same with hardly any memory."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_connection import Broker
from collector.acquisition.mqtt_link import MqttLink
from collector.clock import SystemClock
from simulators.modbus_registers import RegisterImage
from simulators.modbus_server import ModbusServer
from simulators.truth import Truth
from storage.registry import Meter
from tests.flow.commands import start
from tests.flow.daemons import installation, terminate, wait_for_line
from tests.flow.faults.conftest import Tell
from tests.flow.faults.devices import simulated
from tests.flow.faults.street import PROFILES
from tests.links.broker import SOUND, Mosquitto, needs_mosquitto

pytestmark = [needs_mosquitto, pytest.mark.slow]

FLOOD = int(os.environ.get("CHAOBIAO_FLOOD", "4000"))
"""The matrix has 20,000."""
POLLED = 20
REPLY_S = 0.05
WAVES, LEAST_ASKED = 5, 10
"""A quick machine has stored one flood before ten meters were asked: it gets another, as long as it takes to see ten."""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LEAST_MB, MOST_MB = 400, 300
"""Address space that is given; resident memory that is taken."""


@asynccontextmanager
async def scene(folder: Path, *lines: str) -> AsyncIterator[tuple[Mosquitto, Path]]:
    """A broker, a gateway with twenty meters that take 50 ms to answer, and a configuration for both."""
    place = folder / "broker"
    place.mkdir()
    broker = Mosquitto(place, *(lines or SOUND))
    await asyncio.to_thread(broker.start)
    profile, begin = PROFILES["eastron_sdm630"], datetime.now(ZoneInfo("Asia/Shanghai"))
    meters = {n: Meter(f"p{n}", profile.id, "line", str(n)) for n in range(1, POLLED + 1)}
    images = {n: RegisterImage(profile, simulated(one, profile, begin, 1)) for n, one in meters.items()}
    gateway = ModbusServer(images, now=SystemClock().now, truth=Truth(), rtu=False, reply_s=REPLY_S)
    try:
        async with gateway:
            polled = "".join(f"p{n},eastron_sdm630,line,{n}\n" for n in meters)
            config = installation(
                folder,
                f'name = "line"\nlink = "tcp://127.0.0.1:{gateway.port}"\nprotocol = "modbus-tcp"',
                f'name = "broker"\nlink = "mqtt://127.0.0.1:{broker.port}"\nprotocol = "mqtt-json"\n'
                'topics = ["meters/+/reading"]',
                meters=f"m1,json_meter,broker,1\n{polled}",
                every="1s",
            )
            yield broker, config
    finally:
        await asyncio.to_thread(broker.stop)


def messages(count: int, padding: int = 0, first: int = 0) -> Iterator[str]:
    for n in range(first, first + count):
        time = (LONG_AGO + timedelta(seconds=n)).isoformat()
        yield json.dumps({"time": time, "values": {"1-0:1.8.0": str(n)}, "seq": n + 1, "note": "x" * padding})


def asked(config: Path, query: str) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(config.with_name("chaobiao.db"), timeout=10)) as connection:
        return connection.execute(query).fetchall()


def resident_mb(process: subprocess.Popen[str]) -> float:
    """At most so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text("ascii"))
    assert found
    return int(found[1]) / 1024


PUSHED = "SELECT count(*) FROM reading JOIN meter ON meter.id = reading.meter_id WHERE meter.meter = 'm1'"


async def drained(config: Path, count: int, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while (await asyncio.to_thread(asked, config, PUSHED))[0][0] < count:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)


def latencies(config: Path, since: int, until: int) -> list[float]:
    """Of answered questions on the polled line, in ms, sorted."""
    rows = asked(
        config,
        "SELECT duration_us FROM attempt WHERE channel = 'line' AND outcome = 'ok'"
        f" AND started_at BETWEEN {since} AND {until} ORDER BY 1",
    )
    return [row[0] / 1000 for row in rows]


def micros() -> int:
    return int(datetime.now(UTC).timestamp() * 1_000_000)


def ninety_ninth(values: Sequence[float]) -> float:
    return values[-max(1, len(values) // 100)]


async def test_a_flood_and_polling_goes_on(tmp_path: Path, tell: Tell) -> None:
    async with scene(tmp_path) as (broker, config):
        with start("run", "-c", config) as process:
            try:
                await asyncio.to_thread(wait_for_line, process, "subscribed")
                await asyncio.sleep(1)
                quiet = micros()
                await asyncio.sleep(6)
                flood = over = micros()
                sent = 0
                while not sent or (len(latencies(config, flood, over)) < LEAST_ASKED and sent < WAVES * FLOOD):
                    wave = messages(FLOOD, first=sent)
                    await asyncio.to_thread(broker.publish_lines, "meters/1/reading", wave)
                    sent += FLOOD
                    await drained(config, sent, 60)
                    over = micros()
                most_mb = resident_mb(process)
                await asyncio.to_thread(terminate, process)
            finally:
                process.kill()
        before, during = latencies(config, quiet, flood), latencies(config, flood, over)
        assert asked(config, PUSHED) == [(sent,)]
        assert not asked(config, "SELECT * FROM dead_letter")
    assert most_mb <= MOST_MB
    assert len(during) >= LEAST_ASKED
    slow = ninety_ninth(during) / ninety_ninth(before)
    tell(
        "F48",
        f"{sent} messages stored in {(over - flood) / 1e6:.1f} s, {most_mb:.0f} MB resident; p99 of a polled question"
        f" {ninety_ninth(before):.1f} ms before, {ninety_ninth(during):.1f} ms in the flood ({slow:.2f} ×)",
    )


async def test_a_flood_without_a_bound_is_in_memory(tmp_path: Path, tell: Tell) -> None:
    """What the limit of the intake is for: MQTT 3.1.1, where nothing else bounds it."""
    place = tmp_path / "broker"
    place.mkdir()
    broker = Mosquitto(place, *SOUND, "max_inflight_messages 0")
    await asyncio.to_thread(broker.start)
    try:
        for limit in (1_000, 100_000):
            intake = Intake(limit=limit)
            topics = ("meters/+/reading",)
            link = MqttLink(
                Broker(broker.host, broker.port, f"c{limit}", topics, version="3.1.1"), intake, SystemClock()
            )
            task = asyncio.create_task(link.run())
            await link.subscribed.wait()
            await asyncio.to_thread(broker.publish_lines, "meters/1/reading", messages(FLOOD // 2))
            async with asyncio.timeout(20):
                while intake.most_unacknowledged < min(limit, FLOOD // 2):  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.wait((task,))
            tell("F48", f"{FLOOD // 2} messages and a ledger that takes none: {intake.most_unacknowledged} in memory")
            assert intake.most_unacknowledged == min(limit, FLOOD // 2)
    finally:
        await asyncio.to_thread(broker.stop)


@pytest.mark.skipif(not shutil.which("prlimit"), reason="needs prlimit (util-linux)")
async def test_large_messages_and_little_memory(tmp_path: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """F07: 10 MB at once (50 MB with 20,000), at a daemon that may have so many addresses and no more: it drops none."""
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")  # else each thread sets 64 MB of addresses aside, and uses none of them
    count = FLOOD // 20
    async with scene(tmp_path, "max_queued_messages 0") as (broker, config):
        with start("run", "-c", config) as process:
            try:
                await asyncio.to_thread(wait_for_line, process, "subscribed")
                resource.prlimit(process.pid, resource.RLIMIT_AS, (LEAST_MB << 20, LEAST_MB << 20))
                await asyncio.to_thread(broker.publish_lines, "meters/1/reading", messages(count, padding=50_000))
                await drained(config, count, 90)
                most_mb = resident_mb(process)
                await asyncio.to_thread(terminate, process)
            finally:
                process.kill()
        assert asked(config, PUSHED) == [(count,)]
    assert most_mb <= MOST_MB
    tell("F07", f"{count} messages of 50 kB within {LEAST_MB} MB of addresses: all stored, {most_mb:.0f} MB resident")
