"""What tests of the MQTT link share: a link that is kept up, and somebody who takes what it brings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_connection import Broker
from collector.acquisition.mqtt_link import MqttLink
from tests.links.broker import Mosquitto

Version = Literal["5", "3.1.1"]
both_versions = pytest.mark.parametrize("version", ["5", "3.1.1"])


def at(mosquitto: Mosquitto, version: Version = "5") -> Broker:
    return Broker(mosquitto.host, mosquitto.port, "chaobiao-t", ("meters/+/reading",), version=version)


def quick() -> Backoff:
    return Backoff(first_s=0.02, ceiling_s=0.1)


@asynccontextmanager
async def running(link: MqttLink) -> AsyncIterator[None]:
    """The link kept up; hung up in good order at the end."""
    task = asyncio.create_task(link.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled(), task.exception()


async def take_all(intake: Intake, count: int) -> list[str]:
    """Take and settle so many messages; a message that comes again is counted again."""
    payloads: list[str] = []
    async with asyncio.timeout(20):
        while len(payloads) < count:
            payloads += [message.payload.decode() for message in await intake.take()]
            intake.settle()
    return payloads
