"""Connecting to a broker that refuses, that is none, that is not there, or over TLS: each a clear error, and no socket left."""

import asyncio
import contextlib
import gc
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collector.acquisition import mqtt_connection
from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_connection import Broker, check_aiomqtt
from collector.acquisition.mqtt_link import MqttLink
from collector.clock import SystemClock
from collector.errors import LinkError
from tests.links.broker import SOUND, TALKATIVE, UNBOUNDED, Mosquitto, needs_mosquitto
from tests.links.subscribing import Version, at, both_versions, running, take_all

pytestmark = needs_mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path, *SOUND, *UNBOUNDED, *TALKATIVE)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


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
    monkeypatch.setattr(mqtt_connection, "PATIENCE_S", 0.5)
    async with asyncio.timeout(5), impostor(*answers) as broker:
        await refused(broker)


async def test_topic_refused() -> None:
    async with impostor(ACCEPTED, b"\x90\x04\x00\x01\x00\x87") as broker:
        error = await refused(broker)
    assert re.fullmatch(r"mqtt://127.0.0.1:\d+ refuses the topic 't': Not authorized", error.detail)


@pytest.mark.parametrize("error", [ValueError("no such packet"), MemoryError("no memory")])
async def test_paho_stumbles_over_what_it_reads(broker: Mosquitto, error: Exception) -> None:
    """None of a quarter of a million random packets made paho 2.2 raise; should one do it, the connection ends."""

    def stumbles() -> None:
        raise error

    async with MqttLink(at(broker), Intake(), SystemClock()).session() as connection:
        connection._paho.loop_read = stumbles
        await asyncio.to_thread(broker.publish_lines, "meters/1/reading", ["1"])
        assert await asyncio.wait_for(connection.ended(), 5) == f"connection lost: {error}"


@pytest.mark.parametrize("ours", [True, False])
async def test_a_socket_that_is_closed_before_it_could_be_written_to(broker: Mosquitto, ours: bool) -> None:
    """aiomqtt would watch it all the same, or whoever has its number by then."""
    said: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["message"]))
    with contextlib.suppress(LinkError):
        async with MqttLink(at(broker), Intake(), SystemClock()).session() as connection:
            asks = connection._wants_to_write if ours else connection._client._on_socket_register_write
            asks(connection._paho, None, connection._paho.socket())
            connection._paho._sock_close()
            await asyncio.sleep(0.05)
    assert bool(said) is not ours


async def test_stopped_while_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never answers CONNECT does not hold up the end, and its socket is closed."""
    monkeypatch.setattr(mqtt_connection, "PATIENCE_S", 0.3)
    async with asyncio.timeout(5), impostor() as broker, running(MqttLink(broker, Intake(), SystemClock())):
        await asyncio.sleep(0.05)


def test_aiomqtt_that_changed_is_one_clear_error() -> None:
    class Renamed:
        _client = object()

    with pytest.raises(
        LinkError, match=r"aiomqtt has no _disconnected, _on_connect, .*_client.ack, .*_sock_close: install"
    ):
        check_aiomqtt(Renamed())
