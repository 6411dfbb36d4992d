"""Devices that dial in: whose call is whose, which of two counts, and who is turned away. Real sockets, and a line over them."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from collector.acquisition import listening
from collector.acquisition.line import Errand, Line
from collector.acquisition.listening import ListeningPort, Ports
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from collector.errors import LinkError
from protocols.telegram import Request
from storage.records import Owner
from tests.links.late_device import RTU, LateDevice, truth
from tests.links.modem import dialled_in

TIMING = Timing(timeout_s=1.0, retries=0, worst_reply_s=0.1, gap_s=0.01, connect_s=5.0)
HASTY = Timing(timeout_s=0.1, retries=0, worst_reply_s=0.1, gap_s=0.01, connect_s=0.05)


def bus() -> LateDevice:
    """A Modbus RTU meter that is never late."""
    return LateDevice(random.Random(1), late_p=0, timeout_s=1, usual_s=0.001)


def line_of(port: ListeningPort, identity: bytes, heartbeat: bytes = b"") -> Line:
    return Line(port.expect(identity, heartbeat), DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)))


async def ask(line: Line, timing: Timing = TIMING, start: int = 7) -> str:
    """The outcome; where it was answered, the answer is the true one."""
    one = await line.exchange(RTU, Request("1", 4, str(start), 2), timing, Errand())
    if one.telegram is not None:
        assert one.telegram.payload == truth(start)
    return one.attempt.outcome


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a call makes no noise
            await asyncio.sleep(0.002)


@asynccontextmanager
async def open_port(patience_s: float = 5.0, settle_s: float = 0.02) -> AsyncIterator[ListeningPort]:
    port = ListeningPort("127.0.0.1", 0, patience_s=patience_s, settle_s=settle_s)
    await port.open()
    try:
        yield port
    finally:
        await port.close()


async def test_two_modems_on_one_port() -> None:
    async with open_port() as port:
        one, two = line_of(port, b"4712"), line_of(port, b"47123")
        asking = [asyncio.create_task(ask(line)) for line in (one, two)]  # before anybody is there
        async with dialled_in(port.bound[0], b"47123", bus()), dialled_in(port.bound[0], b"4712\r\n", bus()):
            assert [await task for task in asking] == ["ok", "ok"]
            assert [await ask(line, start=n) for n, line in enumerate([one, two, two, one])] == ["ok"] * 4


async def test_each_is_asked_behind_its_own_modem() -> None:
    """The bus behind the second gives other values: an answer through the wrong modem would be seen."""

    def other(data: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, b"\x01\x84\x02\xc2\xc1")]

    async with open_port() as port:
        one, two = line_of(port, b"one"), line_of(port, b"two")
        async with dialled_in(port.bound[0], b"two", other), dialled_in(port.bound[0], b"one", bus()):
            assert (await ask(one), await ask(two), await ask(one)) == ("ok", "exception_2", "ok")


async def test_heartbeats_between_frames_are_no_noise() -> None:
    async with open_port() as port:
        line = line_of(port, b"4712", b"beat")
        device = bus()

        def with_heartbeats(data: bytes) -> list[tuple[float, bytes]]:
            ((delay_s, answer),) = device(data)
            return [(0.0, b"be"), (0.0, b"at"), (delay_s, b"beat" + answer), (delay_s + 0.001, b"beat4712")]

        async with dialled_in(port.bound[0], b"beat4712beat", with_heartbeats) as modem:
            for start in range(20):
                one = await line.exchange(RTU, Request("1", 4, str(start), 2), TIMING, Errand())
                assert one.telegram is not None
                assert one.telegram.payload == truth(start)
                assert b"beat" not in one.attempt.received[:4]
                modem.say(b"beat")
        assert b"beat" in with_heartbeats(b"\x01\x04\x00\x00\x00\x02\x71\xcb")[2][1]


async def test_a_modem_that_only_beats_gave_no_answer() -> None:
    """And without the heartbeat being known it is noise: the negative of it."""
    for heartbeat, outcome in ((b"beat", "no_answer"), (b"", "unexpected_bytes")):
        async with open_port() as port:
            line = line_of(port, b"4712", heartbeat)
            async with dialled_in(port.bound[0], b"4712", lambda _: [(0.0, b"beat"), (0.01, b"beatbeat")]):
                assert await ask(line, Timing(timeout_s=0.1, worst_reply_s=0.1, gap_s=0.01)) == outcome


async def test_hours_of_heartbeats_fill_nothing() -> None:
    async with open_port() as port:
        line = line_of(port, b"4712", b"beat")
        async with dialled_in(port.bound[0], b"4712", bus()) as modem:
            assert await ask(line) == "ok"
            for _ in range(50):
                modem.say(b"beat" * 5_000)
                modem.say(b"who is this? " * 500)  # what is not configured is not kept either
            await asyncio.sleep(0.05)
            caller = port._links[b"4712"]._caller
            assert caller is not None
            assert len(caller.buffer) < 128 * 1024
            assert not caller._paused
            assert await ask(line) == "ok"


async def test_the_newest_call_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with open_port() as port:
        line = line_of(port, b"4712")
        async with dialled_in(port.bound[0], b"4712", lambda _: ()) as older:
            await until(lambda: port._links[b"4712"]._caller is not None)
            asking = asyncio.create_task(
                ask(line, Timing(timeout_s=1.0, worst_reply_s=1.0))
            )  # through the older, which never answers
            await asyncio.sleep(0.05)
            async with dialled_in(port.bound[0], b"4712", bus()):
                async with asyncio.timeout(3):
                    assert await asking == "connection_lost"
                    await older.ended.wait()
                assert await ask(line) == "ok"
    assert '"4712" dials in anew from 127.0.0.1:' in caplog.text
    assert "its older connection from 127.0.0.1:" in caplog.text


async def test_a_modem_that_hung_up_is_waited_for_once_and_then_found() -> None:
    async with open_port() as port:
        line = line_of(port, b"4712")
        async with dialled_in(port.bound[0], b"4712", bus()):
            assert await ask(line) == "ok"
        assert await ask(line, HASTY) in ("connection_lost", "not_online")
        assert await ask(line, HASTY) == "not_online"
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert await ask(line, TIMING) == "not_online"  # would wait five seconds
        assert loop.time() - begun < 2, "thirty meters behind it must not wait one after the other"
        async with dialled_in(port.bound[0], b"4712", bus()):
            await until(lambda: not port._links[b"4712"]._in_vain)
            assert await ask(line) == "ok", "back on the first poll after it is back"


async def test_whose_fault_it_is_that_nobody_calls() -> None:
    async with open_port() as port:
        link = port.expect(b"\x68\x01")
        with pytest.raises(LinkError, match=r'"hex:68 01" has not dialled in to listen://127\.0\.0\.1:0') as caught:
            await link.open(asyncio.get_running_loop().time() + 0.01)
        assert (caught.value.reason, caught.value.owner) == ("not_online", Owner.UPLINK)


async def test_strangers_are_turned_away_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    async with open_port(patience_s=0.2) as port:
        port.expect(b"4712")
        for says in (b"47123", b"47123", b"", b"GET / HTTP/1.1\r\n\r\n", b"\x00\xff\x00"):
            async with dialled_in(port.bound[0], says) as modem, asyncio.timeout(3):
                await modem.ended.wait()
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([line for line in said if '"47123", which is no channel\'s identity' in line]) == 1
    assert len([line for line in said if "dialled in and says nothing" in line]) == 1
    assert any('"hex:00 ff 00"' in line for line in said)
    assert len(said) == 4


async def test_a_stranger_who_talks_without_end_is_turned_away_before_his_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_port(patience_s=60.0) as port:
        port.expect(b"4712")
        async with dialled_in(port.bound[0], b"x" * (listening.MOST_BYTES + 1)) as modem, asyncio.timeout(3):
            await modem.ended.wait()
    assert "is no channel's identity" in caplog.text


async def test_a_crowd_of_strangers_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MOST_STRANGERS", 5)
    async with open_port(patience_s=60.0) as port:
        line = line_of(port, b"4712")
        crowd = [await asyncio.open_connection("127.0.0.1", port.bound[0]) for _ in range(20)]
        async with dialled_in(port.bound[0], b"4712", bus()):
            assert await ask(line) == "ok"
        assert len(port._strangers) <= 5
        for _, writer in crowd:
            writer.transport.abort()


async def test_who_says_it_late_and_after_a_greeting() -> None:
    async with open_port() as port:
        line = line_of(port, b"4712")
        async with dialled_in(port.bound[0], b"CONNECT 9600", bus()) as modem:
            await asyncio.sleep(0.1)  # a silence that ends the packet
            modem.say(b"47")
            await asyncio.sleep(0.1)
            modem.say(b"12")
            assert await ask(line) == "ok"


async def test_a_port_that_another_program_has_is_said_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = Ports()
        number = other.getsockname()[1]
        line = Line(ports.link("127.0.0.1", number, b"4712"), DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)))
        async with ports:
            assert f"listen://127.0.0.1:{number}: " in caplog.text
            one = await line.exchange(RTU, Request("1", 4, "7", 2), HASTY, Errand())
            assert (one.attempt.outcome, one.attempt.owner) == ("port_in_use", Owner.OURS)
            other.close()
            async with asyncio.timeout(5):
                asking = asyncio.create_task(ask(line))
                await until(lambda: bool(ports._ports["127.0.0.1", number].bound))
                async with dialled_in(number, b"4712", bus()):
                    assert await asking == "ok"


async def test_the_end_of_a_port_ends_its_calls(caplog: pytest.LogCaptureFixture) -> None:
    async with open_port() as port:
        line = line_of(port, b"4712")
        number = port.bound[0]
        async with dialled_in(number, b"4712", bus()) as modem, dialled_in(number, b"") as stranger:
            assert await ask(line) == "ok"
            await port.close()
            async with asyncio.timeout(3):
                await modem.ended.wait()
                await stranger.ended.wait()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", number)
    assert not caplog.records


async def test_a_channel_with_new_settings_is_called_anew() -> None:
    """Live change: the same identity with another heartbeat. The modem must not hang on to a link that nobody polls."""
    async with open_port() as port:
        former = line_of(port, b"4712")
        async with dialled_in(port.bound[0], b"4712", bus()) as modem:
            assert await ask(former) == "ok"
            line = line_of(port, b"4712", b"beat")
            async with asyncio.timeout(3):
                await modem.ended.wait()
        async with dialled_in(port.bound[0], b"4712beat", bus()):
            assert await ask(line) == "ok"


async def test_a_call_is_kept_alive() -> None:
    async with open_port() as port:
        link = port.expect(b"4712")
        async with dialled_in(port.bound[0], b"4712"):
            await link.open(asyncio.get_running_loop().time() + 5)
            assert link._caller is not None
            assert link._caller.transport is not None
            sock = link._caller.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert 0 < sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000  # fault F31
