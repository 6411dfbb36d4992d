"""More messages than the ledger takes: the reading stops, the broker keeps the rest, and nothing is lost."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from collector.acquisition import mqtt_connection
from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_connection import Broker
from collector.acquisition.mqtt_link import MqttLink
from collector.clock import SystemClock
from tests.links.broker import SOUND, TALKATIVE, UNBOUNDED, Mosquitto, needs_mosquitto
from tests.links.subscribing import at, quick, running, take_all

pytestmark = needs_mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path, *SOUND, *UNBOUNDED, *TALKATIVE)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


class Watched(MqttLink):
    """Says when it was told to stop reading."""

    def __init__(self, broker: Broker, intake: Intake) -> None:
        super().__init__(broker, intake, SystemClock(), backoff=quick())
        self.stopped = asyncio.Event()

    def pause(self) -> None:
        super().pause()
        self.stopped.set()


async def test_flood_stops_the_reading_and_loses_nothing(broker: Mosquitto) -> None:
    """With 3.1.1, where the broker is under no limit but ours."""
    intake = Intake()
    link = Watched(at(broker, "3.1.1"), intake)
    async with running(link):
        await broker.logs("Sending SUBACK to chaobiao-t")
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", map(str, range(5000)))
        async with asyncio.timeout(10):
            await link.stopped.wait()
        assert intake.unacknowledged == 2000
        assert await take_all(intake, 5000) == [str(n) for n in range(5000)]
    assert intake.most_unacknowledged == 2000


async def test_flood_under_receive_maximum_never_stops_the_reading(broker: Mosquitto) -> None:
    """With MQTT 5 the broker itself stops, so pings are heard however long the ledger takes."""
    intake = Intake()
    link = Watched(at(broker), intake)
    async with running(link):
        await broker.logs("Sending SUBACK to chaobiao-t")
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", map(str, range(5000)))
        await broker.logs("Sending PUBLISH to chaobiao-t", 1799)
        assert not link.stopped.is_set()
        assert await take_all(intake, 5000) == [str(n) for n in range(5000)]
    assert intake.most_unacknowledged <= 2000


async def test_flood_without_a_bound_fills_the_memory(broker: Mosquitto) -> None:
    intake = Intake(limit=100_000)
    async with running(MqttLink(at(broker, "3.1.1"), intake, SystemClock())):
        await broker.logs("Sending SUBACK to chaobiao-t")
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", map(str, range(5000)))
        await broker.logs("Sending PUBLISH to chaobiao-t", 5000)
        await take_all(intake, 5000)
    assert intake.most_unacknowledged > 2000


async def test_given_up_while_the_ledger_takes_nothing(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading stopped for so long that no ping is heard: the connection is made anew, and all comes again."""
    monkeypatch.setattr(mqtt_connection, "KEEPALIVE_S", 1)
    intake = Intake(limit=100, batch=10)
    async with running(MqttLink(at(broker, "3.1.1"), intake, SystemClock(), backoff=quick())):
        await broker.logs("Sending SUBACK to chaobiao-t")
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", map(str, range(500)))
        assert len(await intake.take()) == 10
        began, worked = time.monotonic(), time.process_time()
        await broker.logs("Sending CONNACK to chaobiao-t", 2)
        # A socket that is not read but still watched would keep the loop busy all the while.
        assert time.process_time() - worked < (time.monotonic() - began) / 2
        intake.settle()
        assert await take_all(intake, 500) == [str(n) for n in range(500)]
    assert intake.most_unacknowledged <= 100
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "hung up while the ledger takes nothing" in warnings[0]


def test_on_uvloop(tmp_path: Path) -> None:
    async def exchange() -> None:
        mosquitto = Mosquitto(tmp_path, *UNBOUNDED, *TALKATIVE)
        mosquitto.start()
        try:
            await test_flood_stops_the_reading_and_loses_nothing(mosquitto)
        finally:
            mosquitto.stop()

    uvloop.run(exchange())
