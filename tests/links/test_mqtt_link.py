"""The MQTT link against a real Mosquitto: what is acknowledged when, how much is held, and what happens when it breaks.

The broker's own log is the witness of every PUBACK.
"""

import asyncio
import contextlib
import gc
import logging
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import uvloop

from collector.acquisition import mqtt_link
from collector.acquisition.backoff import Backoff
from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_link import Broker, MqttLink, check_aiomqtt
from collector.clock import SystemClock
from collector.errors import LinkError
from tests.links.broker import SOUND, TALKATIVE, UNBOUNDED, Mosquitto, needs_mosquitto

pytestmark = needs_mosquitto

Version = Literal["5", "3.1.1"]
both_versions = pytest.mark.parametrize("version", ["5", "3.1.1"])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path, *SOUND, *UNBOUNDED, *TALKATIVE)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


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


async def test_given_up_while_the_ledger_takes_nothing(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading stopped for so long that no ping is heard: the connection is made anew, and all comes again."""
    monkeypatch.setattr(mqtt_link, "KEEPALIVE_S", 1)
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


async def test_two_with_one_client_id(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    """They take the session from each other, ever more slowly, and the log asks the right question."""
    async with running(MqttLink(at(broker), Intake(), SystemClock(), backoff=quick())):
        await broker.logs("Sending SUBACK to chaobiao-t")
        for times in (2, 4):
            async with MqttLink(at(broker), Intake(), SystemClock()).session():
                await broker.logs("Sending SUBACK to chaobiao-t", times)
            await broker.logs("Sending SUBACK to chaobiao-t", times + 1)
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert "connection lost: closed by the broker; trying again" in warnings[0]
    assert "does another client call itself 'chaobiao-t'?" in warnings[1]


async def test_hangs_up_in_good_order(broker: Mosquitto) -> None:
    async with running(MqttLink(at(broker), Intake(), SystemClock())):
        await broker.logs("Sending SUBACK to chaobiao-t")
    await broker.logs("Received DISCONNECT from chaobiao-t")


async def run(*command: str) -> None:
    """A program of the system; its words are of no interest."""
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert await asyncio.wait_for(process.wait(), 30) == 0


async def refused(broker: Broker) -> LinkError:
    with pytest.raises(LinkError) as caught:
        async with MqttLink(broker, Intake(), SystemClock()).session():
            raise AssertionError("subscribed")
    return caught.value


@both_versions
async def test_bad_password(tmp_path: Path, version: Version) -> None:
    passwords = tmp_path / "passwords"
    await run("mosquitto_passwd", "-c", "-b", str(passwords), "collector", "right")
    mosquitto = Mosquitto(tmp_path, users=("allow_anonymous false", f"password_file {passwords}"))
    mosquitto.start()
    topics = ("meters/+/reading",)
    try:
        good = Broker(mosquitto.host, mosquitto.port, "c", topics, "collector", "right", version=version)
        async with MqttLink(good, Intake(), SystemClock()).session():
            pass
        error = await refused(
            Broker(mosquitto.host, mosquitto.port, "c", topics, "collector", "wr0ng", version=version)
        )
        assert re.match(r"mqtt://127.0.0.1:\d+ refuses the user 'collector' or the password", error.detail)
        assert "wr0ng" not in error.detail
        error = await refused(Broker(mosquitto.host, mosquitto.port, "c", topics, version=version))
        assert "refuses a client without a user name" in error.detail
    finally:
        mosquitto.stop()


async def test_nobody_there(tmp_path: Path) -> None:
    error = await refused(at(Mosquitto(tmp_path)))
    assert (error.reason, "cannot be reached" in error.detail) == ("connection_refused", True)


# paho leaves the socket of a failed handshake to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_tls(tmp_path: Path) -> None:
    """The certificate is checked: a broker that no trusted authority vouches for gets no connection."""
    if not shutil.which("openssl"):
        pytest.skip("needs the program openssl to make a certificate")
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    await run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, *subject)
    (tmp_path / "key.pem").chmod(0o600)
    mosquitto = Mosquitto(tmp_path, *TALKATIVE, f"certfile {certificate}", f"keyfile {key}")
    mosquitto.start()
    try:
        trusting = ssl.create_default_context(cafile=certificate)
        intake = Intake()
        link = MqttLink(Broker(mosquitto.host, mosquitto.port, "c", ("t",), tls=trusting), intake, SystemClock())
        async with link.session():
            await asyncio.to_thread(mosquitto.publish, "t", ["1"], "--cafile", certificate)
            assert await take_all(intake, 1) == ["1"]
        wary = Broker(mosquitto.host, mosquitto.port, "c", ("t",), tls=ssl.create_default_context())
        assert "CERTIFICATE_VERIFY_FAILED" in (await refused(wary)).detail
        await asyncio.get_running_loop().shutdown_default_executor()  # its idle thread still held the failed socket
        gc.collect()
    finally:
        mosquitto.stop()


@asynccontextmanager
async def impostor(*answers: bytes) -> AsyncIterator[Broker]:
    """A server that is no broker: answers each thing it gets with the next of these, then says nothing."""

    talks: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionResetError):
            for answer in answers:
                await reader.read(1000)
                writer.write(answer)
                await writer.drain()
            while await reader.read(1000):
                pass

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.create_task(talk(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield Broker("127.0.0.1", server.sockets[0].getsockname()[1], "c", ("t",))
        await asyncio.wait_for(asyncio.gather(*talks), 5)  # ends when the other side has closed its socket


ACCEPTED = b"\x20\x03\x00\x00\x00"


@pytest.mark.parametrize(
    "answers",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
        (ACCEPTED, b"\xff" * 64),
        (ACCEPTED, b"\x90\x02\x00\x01"),  # SUBACK without its reason codes
        (ACCEPTED, b"\x30\x00"),  # PUBLISH without a topic
        (ACCEPTED, b"\xe0\x00"),  # DISCONNECT …
        (ACCEPTED + b"\xe0\x00",),  # … before there was time to subscribe
    ],
)
async def test_no_broker_at_all(answers: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_link, "PATIENCE_S", 0.5)
    async with asyncio.timeout(5), impostor(*answers) as broker:
        await refused(broker)


async def test_topic_refused() -> None:
    async with impostor(ACCEPTED, b"\x90\x04\x00\x01\x00\x87") as broker:
        error = await refused(broker)
    assert re.fullmatch(r"mqtt://127.0.0.1:\d+ refuses the topic 't': Not authorized", error.detail)


async def test_paho_stumbles_over_what_it_reads(broker: Mosquitto) -> None:
    """None of a quarter of a million random packets made paho 2.2 raise; should one do it, the connection ends."""

    def stumbles() -> None:
        raise ValueError("no such packet")

    async with MqttLink(at(broker), Intake(), SystemClock()).session() as connection:
        connection._paho.loop_read = stumbles
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", ["1"])
        assert await asyncio.wait_for(connection.ended(), 5) == "connection lost: no such packet"


async def test_stopped_while_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never answers CONNECT does not hold up the end, and its socket is closed."""
    monkeypatch.setattr(mqtt_link, "PATIENCE_S", 0.3)
    async with asyncio.timeout(5), impostor() as broker, running(MqttLink(broker, Intake(), SystemClock())):
        await asyncio.sleep(0.05)


def test_on_uvloop(tmp_path: Path) -> None:
    async def exchange() -> None:
        mosquitto = Mosquitto(tmp_path, *UNBOUNDED, *TALKATIVE)
        mosquitto.start()
        try:
            await test_flood_stops_the_reading_and_loses_nothing(mosquitto)
        finally:
            mosquitto.stop()

    uvloop.run(exchange())


def test_aiomqtt_that_changed_is_one_clear_error() -> None:
    class Renamed:
        _client = object()

    with pytest.raises(LinkError, match=r"aiomqtt has no _disconnected, _client.ack, .*_sock_close: install"):
        check_aiomqtt(Renamed())


def test_backoff_doubles_up_to_its_ceiling_and_is_spread() -> None:
    backoff = Backoff(first_s=1, ceiling_s=60)
    rounds = []
    for _ in range(50):
        backoff.reset()
        rounds.append([backoff.next_s() for _ in range(40)])
    most = [max(column) for column in zip(*rounds, strict=True)]
    assert most[0] <= 1 < most[2] <= 4 < most[5] <= 32
    assert 55 < max(most) <= 60
    assert min(rounds[0]) < max(rounds[0])
