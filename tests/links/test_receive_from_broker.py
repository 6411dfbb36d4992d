"""The same from a real Mosquitto: no PUBACK before the commit, poison that stops nobody, listening once, and by configuration."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_connection import Broker
from collector.acquisition.mqtt_link import MqttLink
from collector.clock import DrivenClock
from collector.errors import LinkError
from collector.jobs.receive import Receive
from collector.jobs.receivers import listener, receivers_for, subscriber
from collector.settings.schema import Channel
from storage.ledger.port import Ledger
from storage.records import Batch, Receipt
from tests.links.broker import SOUND, TALKATIVE, Mosquitto, needs_mosquitto
from tests.links.messages import (
    NOW,
    PROFILES,
    REGISTRY,
    SHANGHAI,
    TOPIC,
    inbox,
    ledger_of_these,
    payload,
    quick,
    receiving,
    stored,
)


class Blocked:
    """A ledger that takes its time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.asked = asyncio.Event()
        self.released = asyncio.Event()

    async def append(self, batch: Batch) -> Receipt:
        """Once released."""
        self.asked.set()
        await self.released.wait()
        return await self._ledger.append(batch)


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    async with ledger_of_these() as opened:
        yield opened


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """With Mosquitto's own window of 20 messages, as an installation has it."""
    mosquitto = Mosquitto(tmp_path, *SOUND, *TALKATIVE)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


def linked(mosquitto: Mosquitto) -> tuple[MqttLink, Intake]:
    intake = Intake()
    where = Broker(mosquitto.host, mosquitto.port, "chaobiao-r", ("meters/+/reading",))
    return MqttLink(where, intake, DrivenClock(NOW), backoff=quick()), intake


@needs_mosquitto
async def test_no_puback_before_the_commit(broker: Mosquitto, ledger: Ledger) -> None:
    blocked = Blocked(ledger)
    link, intake = linked(broker)
    async with receiving(Receive(link, intake, inbox(), blocked)):
        await broker.logs("Sending SUBACK to chaobiao-r")
        await asyncio.to_thread(broker.publish, TOPIC, [payload().decode()])
        await blocked.asked.wait()
        assert not await stored(ledger)
        assert not broker.logged("Received PUBACK from chaobiao-r")
        blocked.released.set()
        await broker.logs("Received PUBACK from chaobiao-r")
        assert len(await stored(ledger)) == 1


@needs_mosquitto
async def test_stopping_finishes_the_batch_in_hand(broker: Mosquitto, ledger: Ledger) -> None:
    blocked = Blocked(ledger)
    link, intake = linked(broker)
    async with receiving(Receive(link, intake, inbox(), blocked)) as stop:
        await broker.logs("Sending SUBACK to chaobiao-r")
        await asyncio.to_thread(broker.publish, TOPIC, [payload().decode()])
        await blocked.asked.wait()
        stop.set()
        await asyncio.sleep(0)
        blocked.released.set()
    await broker.logs("Received DISCONNECT from chaobiao-r")
    heard = [line.split(": ")[1] for line in broker.logged(" from chaobiao-r")]
    assert [line.split()[1] for line in heard if "PINGREQ" not in line] == ["SUBSCRIBE", "PUBACK", "DISCONNECT"]


@needs_mosquitto
async def test_poison_does_not_stop_the_session_at_twenty(broker: Mosquitto, ledger: Ledger) -> None:
    link, intake = linked(broker)
    came = asyncio.Event()
    receive = Receive(link, intake, inbox(), ledger, told=lambda batch, _: came.set() if batch.readings else None)
    async with receiving(receive):
        await broker.logs("Sending SUBACK to chaobiao-r")
        await asyncio.to_thread(broker.publish_lines, TOPIC, [f"poison {n}" for n in range(50)])
        await asyncio.to_thread(broker.publish, TOPIC, [payload().decode()])
        await asyncio.wait_for(came.wait(), 10)
    letters = await ledger.dead_letters()
    assert [letter.data.decode() for letter in letters] == [f"poison {n}" for n in range(50)]
    assert len(await stored(ledger)) == 1


@needs_mosquitto
async def test_listening_once(broker: Mosquitto, ledger: Ledger) -> None:
    """As `read` does: a broker that is not there is an error, not something to wait for."""
    link, intake = linked(broker)
    stop = asyncio.Event()
    await asyncio.to_thread(broker.publish, TOPIC, [payload().decode()], "-r")  # retained: there before we are
    await asyncio.wait_for(Receive(link, intake, inbox(), ledger, told=lambda *_: stop.set()).listen(stop), 10)
    assert [one.reading.value for one in await stored(ledger)] == [123_450_000]
    await asyncio.to_thread(broker.stop)
    with pytest.raises(LinkError, match="cannot be reached"):
        await Receive(*linked(broker), inbox(), ledger).listen(asyncio.Event())


@needs_mosquitto
async def test_listening_until_the_broker_goes(broker: Mosquitto, ledger: Ledger) -> None:
    link, intake = linked(broker)
    listening = asyncio.create_task(Receive(link, intake, inbox(), ledger).listen(asyncio.Event()))
    await broker.logs("Sending SUBACK to chaobiao-r")
    await asyncio.to_thread(broker.kill)
    with pytest.raises(LinkError, match="connection lost"):
        await asyncio.wait_for(listening, 10)


@needs_mosquitto
async def test_from_the_configuration(broker: Mosquitto, ledger: Ledger) -> None:
    """The daemon's receiver and `read`'s beside it: both get the message, and neither takes the other's connection."""
    channel = Channel.model_validate(
        {
            "name": "broker",
            "link": f"mqtt://127.0.0.1:{broker.port}",
            "protocol": "mqtt-json",
            "topics": ("meters/+/reading",),
        }
    )
    polled = channel.model_copy(update={"name": "line", "protocol": "dlt645"})
    told: asyncio.Queue[int] = asyncio.Queue()

    def receiver(broker_of: Callable[[Channel], Broker]) -> Receive:
        (one,) = receivers_for(
            (polled, channel),
            REGISTRY,
            PROFILES,
            ledger,
            DrivenClock(NOW),
            zone=SHANGHAI,
            told=lambda batch, receipt: told.put_nowait(receipt.stored + receipt.duplicates),
            broker_of=broker_of,
        ).values()
        return one

    stop = asyncio.Event()
    async with receiving(receiver(subscriber)):
        await broker.logs("Sending SUBACK to chaobiao-broker")
        reading = asyncio.create_task(receiver(listener).listen(stop))
        await broker.logs("Sending SUBACK to chaobiao-read-")
        await asyncio.to_thread(broker.publish, TOPIC, [payload().decode()])
        assert [await told.get(), await told.get()] == [1, 1]
        stop.set()
        await asyncio.wait_for(reading, 10)
    assert len(await stored(ledger)) == 1


def test_the_password_comes_from_the_environment_and_is_not_shown() -> None:
    channel = Channel.model_validate(
        {"name": "b-1", "link": "mqtt://h", "protocol": "mqtt-json", "topics": ("t",), "username": "u"}
    )
    where = subscriber(channel, {"CHAOBIAO_PASSWORD_B_1": "s3cret"})
    assert (where.client_id, where.username, where.password) == ("chaobiao-b-1", "u", "s3cret")
    assert "s3cret" not in repr(where)
