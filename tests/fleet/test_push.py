"""Meters that push: each message is owed once, is acknowledged, and says what the meter held at its instant."""

import asyncio
import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from aiomqtt import Client, ProtocolVersion

from simulators.broker import Broker, find_broker
from simulators.errors import BrokerError
from simulators.json_face import JsonMeter, cut
from simulators.mqtt_publisher import MqttPublisher
from simulators.truth import Truth
from tests.fleet.scenes import START, Hands, fleet

RIDGE = """
[[line]]
name = "radio"
protocol = "mqtt-json"
every = "15m"

[[meter]]
meter = "ridge-{n}"
line = "radio"
profile = "json_meter"
address = "r{n}"
count = 2
register = "161.803"
"""
needs_mosquitto = pytest.mark.skipif(find_broker() is None, reason="needs Mosquitto: the Debian package mosquitto")


def one_meter(folder: Path, **more: timedelta) -> JsonMeter:
    member = fleet(folder, RIDGE, Hands()).members[0]
    every = more.get("every", timedelta(minutes=15))
    return JsonMeter("r01", member.meter, member.profile, every=every, since=START)


def test_a_message_is_owed_at_every_full_quarter_and_only_once(tmp_path: Path) -> None:
    meter = one_meter(tmp_path)
    assert list(meter.owed(START + timedelta(minutes=14, seconds=59))) == []
    messages = list(meter.owed(START + timedelta(minutes=46)))
    assert [(message.time - START) // timedelta(minutes=1) for message in messages] == [15, 30, 45]
    assert [message.seq for message in messages] == [1, 2, 3]
    assert list(meter.owed(START + timedelta(minutes=46))) == []
    assert [message.seq for message in meter.owed(START + timedelta(hours=1))] == [4]


def test_a_message_says_what_the_meter_held_at_its_instant(tmp_path: Path) -> None:
    meter = one_meter(tmp_path)
    message = list(meter.owed(START + timedelta(hours=2)))[2]
    body = json.loads(message.payload)
    assert message.topic == "meters/r01/reading"
    assert datetime.fromisoformat(body["time"]) == message.time == START + timedelta(minutes=45)
    assert body["time"].endswith("+08:00")
    held = meter.meter.value("1-0:1.8.0", message.time)
    assert held is not None
    assert Decimal(body["values"]["1-0:1.8.0"]) == Decimal(held // 1000) / 1000
    assert {display.quantity: display.text for display in message.displays} == body["values"]


def test_midnight_brings_a_freeze_as_well(tmp_path: Path) -> None:
    messages = list(one_meter(tmp_path).owed(START + timedelta(hours=4)))[-2:]
    plain, frozen = (json.loads(message.payload) for message in messages)
    assert "basis" not in plain
    assert frozen["basis"] == "freeze"
    assert frozen["values"] == plain["values"]
    assert frozen["time"] == plain["time"] == "2024-03-15T00:00:00+08:00"
    assert frozen["seq"] == plain["seq"] + 1
    assert {display.basis for display in messages[1].displays} == {"freeze"}


@pytest.mark.parametrize(
    ("millionths", "resolution", "text"),
    [(1_234_567, "0.01", "1.23"), (1_234_567, "0.001", "1.234"), (999, "0.001", "0.000"), (-1_500_000, "0.1", "-1.5")],
)
def test_digits_are_cut(millionths: int, resolution: str, text: str) -> None:
    assert cut(millionths, Decimal(resolution)) == text


class Ear:
    """A subscriber that collects what it is told."""

    def __init__(self, url: str) -> None:
        self._port = int(url.rpartition(":")[2])

    async def hear(self, count: int, ready: asyncio.Event) -> list[dict[str, object]]:
        heard: list[dict[str, object]] = []
        async with Client("127.0.0.1", self._port, protocol=ProtocolVersion.V5) as client:
            await client.subscribe("meters/+/reading", qos=1)
            ready.set()
            messages = client.messages
            while len(heard) < count:
                message = await anext(messages)
                assert isinstance(message.payload, bytes)
                assert message.qos == 1
                heard.append({"topic": str(message.topic), **json.loads(message.payload)})
        return heard


@needs_mosquitto
async def test_all_that_is_owed_is_published_and_acknowledged(tmp_path: Path) -> None:
    async with fleet(tmp_path, RIDGE, Hands()) as here, asyncio.timeout(20):
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            ear = tasks.create_task(Ear(here.listening[0].url).hear(16, ready))
            await ready.wait()
            await here.publish_until(START + timedelta(hours=2))
        assert here.acknowledged == 16
        for told in ear.result():
            meter = f"ridge-{str(told['topic'])[8:10]}"
            time = datetime.fromisoformat(str(told["time"]))
            values = told["values"]
            assert isinstance(values, dict)
            for quantity, text in values.items():
                assert here.truth.value(meter, quantity, "instant", time) == text
        assert len({(told["topic"], told["seq"]) for told in ear.result()}) == 16


@needs_mosquitto
async def test_a_silent_meter_publishes_nothing_and_its_numbers_show_the_gap(tmp_path: Path) -> None:
    scene = RIDGE + '[[fault]]\nmeter = "ridge-01"\nkind = "silent"\nfrom = "1h"\nto = "2h"\n'
    async with fleet(tmp_path, scene, Hands()) as here, asyncio.timeout(20):
        await here.publish_until(START + timedelta(hours=3))
        assert here.acknowledged == 12 + 8
        assert [one.meter for one in here.truth.spoilt] == ["ridge-01"] * 4
        at = START + timedelta(minutes=75)
        assert here.truth.value("ridge-01", "1-0:1.8.0", "instant", at) is None
        assert here.truth.value("ridge-02", "1-0:1.8.0", "instant", at)


@needs_mosquitto
async def test_what_a_dead_broker_did_not_take_is_sent_to_the_next(tmp_path: Path) -> None:
    members = fleet(tmp_path, RIDGE, Hands()).members
    every = timedelta(minutes=15)
    meters = [JsonMeter(one.entry.address, one.meter, one.profile, every=every, since=START) for one in members]
    truth = Truth()
    async with asyncio.timeout(40):
        async with Broker() as broker:
            publisher = MqttPublisher(meters, host=broker.host, port=broker.port, name="test", truth=truth)
            await publisher.publish_until(START + every)
            assert publisher.acknowledged == 2
        for _ in range(2):
            with pytest.raises(BrokerError, match="left 4 messages unacknowledged"):
                await publisher.publish_until(START + 3 * every)
        assert publisher.acknowledged == 2
        assert truth.value("ridge-01", "1-0:1.8.0", "instant", START + 2 * every) is None
        async with Broker() as another:
            publisher._port = another.port
            await publisher.publish_until(START + 4 * every)
            assert publisher.acknowledged == 8
            assert publisher.outstanding == 0
            await publisher.__aexit__()
    assert truth.value("ridge-01", "1-0:1.8.0", "instant", START + 2 * every)


async def test_without_a_broker_the_line_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.fleet.find_broker", lambda: None)
    async with fleet(tmp_path, RIDGE, Hands()) as here:
        assert here.listening == ()
        assert "package is called mosquitto" in here.left_out["radio"]
        await here.publish_until(START + timedelta(days=1))
        assert here.acknowledged == 0


@needs_mosquitto
async def test_broker_ends_with_its_context() -> None:
    async with Broker() as broker:
        _, writer = await asyncio.open_connection(broker.host, broker.port)
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(broker.host, broker.port)
