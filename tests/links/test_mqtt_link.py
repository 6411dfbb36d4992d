"""The MQTT link against a real Mosquitto: what is acknowledged when, and what happens to a session when a connection ends.

The broker's own log is the witness of every PUBACK.
"""

import asyncio
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_link import MqttLink
from collector.acquisition.takeovers import Takeovers
from collector.clock import SystemClock
from tests.links.broker import SOUND, TALKATIVE, UNBOUNDED, Mosquitto, needs_mosquitto
from tests.links.subscribing import Version, at, both_versions, quick, running, take_all

pytestmark = needs_mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path, *SOUND, *UNBOUNDED, *TALKATIVE)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


@both_versions
async def test_puback_follows_the_commit_in_order(broker: Mosquitto, version: Version) -> None:
    intake = Intake()
    async with running(MqttLink(at(broker, version), intake, SystemClock())):
        await broker.logs("Sending SUBACK to chaobiao-t")
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", map(str, range(30)))
        batch = await intake.take()
        assert not broker.logged("Received PUBACK from chaobiao-t")
        intake.settle()
        acknowledged = await broker.logs("Received PUBACK from chaobiao-t", len(batch))
    mids = [int(found[1]) for line in acknowledged if (found := re.search(r"Mid: (\d+)", line))]
    assert mids == [message.ticket.mid for message in batch]


@both_versions
async def test_unacknowledged_comes_again_acknowledged_does_not(broker: Mosquitto, version: Version) -> None:
    first = Intake(batch=10)
    async with running(MqttLink(at(broker, version), first, SystemClock())):
        await broker.logs("Sending SUBACK to chaobiao-t")
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", map(str, range(30)))
        assert await take_all(first, 10) == [str(n) for n in range(10)]
        await first.take()  # in hand, never settled
    again = Intake()
    async with running(MqttLink(at(broker, version), again, SystemClock())):
        assert await take_all(again, 20) == [str(n) for n in range(10, 30)]


async def test_automatic_acknowledgement_would_not_wait(broker: Mosquitto) -> None:
    intake = Intake()
    async with running(MqttLink(at(broker), intake, SystemClock(), manual_ack=False)):
        await broker.logs("Sending SUBACK to chaobiao-t")
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", map(str, range(30)))
        await broker.logs("Received PUBACK from chaobiao-t", 30)  # nothing was settled


async def test_waiting_session_is_not_acknowledged_unasked(broker: Mosquitto) -> None:
    """Set after connecting, manual acknowledgement would come too late for the first window (reliability.md §1.3)."""
    async with running(MqttLink(at(broker), Intake(), SystemClock())):
        await broker.logs("Sending SUBACK to chaobiao-t")
    await asyncio.to_thread(broker.publish_lines, "meters/1/reading", map(str, range(50)))
    intake = Intake()
    async with running(MqttLink(at(broker), intake, SystemClock())):
        await broker.logs("Sending PUBLISH to chaobiao-t", 50)
        await intake.take()
    await broker.logs("Received DISCONNECT from chaobiao-t", 2)
    assert not broker.logged("Received PUBACK from chaobiao-t")


@both_versions
async def test_a_session_that_is_not_kept_is_forgotten(broker: Mosquitto, version: Version) -> None:
    passing = replace(at(broker, version), kept=False)
    async with running(MqttLink(passing, Intake(), SystemClock())):
        await broker.logs("Sending SUBACK to chaobiao-t")
    await broker.logs("Received DISCONNECT from chaobiao-t")
    await asyncio.to_thread(broker.publish_lines, "meters/1/reading", ["missed"])
    intake = Intake()
    async with running(MqttLink(at(broker, version), intake, SystemClock())):
        await broker.logs("Sending SUBACK to chaobiao-t", 2)
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", ["heard"])
        assert await take_all(intake, 1) == ["heard"]


class Counted(Backoff):
    """Says when the second try in a row has failed: the first said the connection was lost."""

    def __init__(self) -> None:
        super().__init__(first_s=0.02, ceiling_s=0.1)
        self.failed_twice = asyncio.Event()

    def next_s(self) -> float:
        if self.failures:
            self.failed_twice.set()
        return super().next_s()


@both_versions
async def test_broker_restart(broker: Mosquitto, version: Version, caplog: pytest.LogCaptureFixture) -> None:
    """Subscribed again, said once that it is down and once that it is back; what was sent meanwhile comes."""
    caplog.set_level(logging.DEBUG, "collector.acquisition.mqtt_link")
    intake, backoff = Intake(), Counted()
    async with running(MqttLink(at(broker, version), intake, SystemClock(), backoff=backoff)):
        await broker.logs("Sending SUBACK to chaobiao-t")
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", ["before"])
        assert (await intake.take())[0].payload == b"before"
        intake.settle()
        await broker.logs("Received PUBACK from chaobiao-t")
        await asyncio.to_thread(broker.stop)
        async with asyncio.timeout(10):
            await backoff.failed_twice.wait()
        await asyncio.to_thread(broker.start)
        await broker.logs("Sending SUBACK to chaobiao-t", 2)
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", ["after"])
        assert await take_all(intake, 1) == ["after"]
    spoken = [(record.levelname, record.message) for record in caplog.records if record.levelno > logging.DEBUG]
    assert [level for level, _ in spoken] == ["INFO", "WARNING", "INFO"]
    assert "connection lost" in spoken[1][1]
    assert "subscribed again to meters/+/reading" in spoken[2][1]


async def test_ticket_of_an_earlier_connection_is_passed_over(broker: Mosquitto) -> None:
    """A batch committed after its connection was lost: the new connection does not acknowledge for the old one."""
    intake = Intake()
    async with running(MqttLink(at(broker), intake, SystemClock(), backoff=quick())):
        await broker.logs("Sending SUBACK to chaobiao-t")
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", ["1", "2"])
        assert len(await intake.take()) == 2
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
        await broker.logs("Sending PUBLISH to chaobiao-t", 4)
        intake.settle()
        assert await take_all(intake, 2) == ["1", "2"]
    await broker.logs("Received DISCONNECT from chaobiao-t")
    assert len(broker.logged("Received PUBACK from chaobiao-t")) == 2


async def test_two_with_one_client_id(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    """They take the session from each other, ever more slowly, and the log says what it is."""
    takeovers = Takeovers(pause_s=0.1)
    async with running(MqttLink(at(broker), Intake(), SystemClock(), backoff=quick(), takeovers=takeovers)):
        await broker.logs("Sending SUBACK to chaobiao-t")
        for times in (2, 4, 6):
            async with MqttLink(at(broker), Intake(), SystemClock()).session():
                await broker.logs("Sending SUBACK to chaobiao-t", times)
            await broker.logs("Sending SUBACK to chaobiao-t", times + 1)
    spoken = [(record.levelname, record.message) for record in caplog.records if record.levelno > logging.INFO]
    assert [level for level, _ in spoken] == ["WARNING", "WARNING", "WARNING", "ERROR"]
    assert "connection lost: closed by the broker; trying again" in spoken[0][1]
    assert "another client calls itself 'chaobiao-t' and takes our session" in spoken[3][1]


async def test_hangs_up_in_good_order(broker: Mosquitto) -> None:
    async with running(MqttLink(at(broker), Intake(), SystemClock())):
        await broker.logs("Sending SUBACK to chaobiao-t")
    await broker.logs("Received DISCONNECT from chaobiao-t")
