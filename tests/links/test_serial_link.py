"""A serial line on a pty pair: values to the last digit, and everything that a port can refuse."""

from __future__ import annotations

import asyncio
import os
import random
import struct
import termios
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import serial
from pymodbus.framer import FramerRTU

from collector.acquisition import serial_link
from collector.acquisition.line import Errand, Line, Try
from collector.acquisition.links import Beside, make_link
from collector.acquisition.serial_link import SerialLink, byte_s
from collector.acquisition.timing import Timing
from collector.acquisition.visit import read_meter
from collector.clock import DrivenClock
from collector.errors import LinkError
from collector.settings.link_url import SerialLine
from protocols.dialect import Wanted
from protocols.dialects import DIALECTS
from protocols.profile import builtin_profiles
from protocols.telegram import Request
from storage.records import Owner
from storage.registry import Meter
from tests.links.late_device import LateDevice, NoGuard, Tally, ask_many, truth
from tests.links.pty_device import plugged_in

START = datetime(2026, 3, 14, tzinfo=UTC)
RTU = DIALECTS["modbus-rtu"]
PATIENT = Timing(timeout_s=5.0, gap_s=0.01)
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take its own rights away")
FAST = "baudrate=115200"


def prompt() -> LateDevice:
    """Answers at once, always."""
    return LateDevice(random.Random(1), late_p=0.0, timeout_s=1.0, usual_s=0.0)


def line_on(path: object, query: str = FAST, *, echo: bool = False) -> Line:
    return Line(make_link(f"serial://{path}?{query}", Beside(echo)), DrivenClock(START))


async def ask(line: Line, timing: Timing = PATIENT) -> Try:
    return await line.exchange(RTU, Request("1", 4, "100", 2), timing, Errand("M1"))


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's rights for a while."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def silent(data: bytes) -> Iterable[tuple[float, bytes]]:
    """Nothing is ever said."""
    return ()


async def test_exact_value_of_a_meter_on_a_serial_line() -> None:
    """The device's bytes are framed by pymodbus; 1234.5 kWh stand in registers 72 and 73."""

    def meter(data: bytes) -> Iterable[tuple[float, bytes]]:
        question = bytes.fromhex("09 04 00 48 00 02")
        assert data == question + FramerRTU.compute_CRC(question).to_bytes(2, "big")
        body = bytes.fromhex("09 04 04") + struct.pack(">f", 1234.5)
        return [(0.0, body + FramerRTU.compute_CRC(body).to_bytes(2, "big"))]

    profile = builtin_profiles()["eastron_sdm630"]
    with plugged_in(meter) as device:
        line = line_on(device.path, "baudrate=9600&parity=E")
        registered = Meter("M1", profile.id, "bus", "9")
        visit = await read_meter(line, RTU, profile, registered, [Wanted("1-0:1.8.0")], PATIENT)
        await line.close()
    assert [(item.quantity, item.value) for item in visit.items] == [("1-0:1.8.0", Decimal("1234.5"))]
    assert [attempt.outcome for attempt in visit.attempts] == ["ok"]


async def test_the_port_gets_its_settings() -> None:
    with plugged_in(silent) as device:
        link = SerialLink(device.path, SerialLine(2400, 8, "E"))
        await link.open(asyncio.get_running_loop().time() + 5)
        fd = os.open(device.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        speeds = termios.tcgetattr(fd)[4:6]
        os.close(fd)
        await link.close()
    assert speeds == [termios.B2400, termios.B2400]


def test_one_byte_at_2400_8e1_takes_eleven_bits() -> None:
    assert byte_s(SerialLine(2400, 8, "E")) == pytest.approx(11 / 2400)


async def test_a_request_takes_its_time_on_the_wire() -> None:
    with plugged_in(silent) as device:
        link = SerialLink(device.path, SerialLine(1200))
        loop = asyncio.get_running_loop()
        await link.open(loop.time() + 5)
        begun = loop.time()
        await link.write(bytes(12), begun + 5)
        assert loop.time() - begun >= 12 * 10 / 1200
        await link.close()


async def test_a_port_has_one_owner() -> None:
    with plugged_in(prompt()) as device:
        first, second = line_on(device.path), line_on(device.path)
        assert (await ask(first)).attempt.outcome == "ok"
        refused = (await ask(second)).attempt
        assert (refused.outcome, refused.owner) == ("port_in_use", Owner.OURS)
        assert device.path in refused.detail
        await first.close()
        assert (await ask(second)).attempt.outcome == "ok"
        await second.close()


@ROOT_ONLY
async def test_a_port_is_closed_to_those_who_take_no_lock() -> None:
    with plugged_in(silent) as device:
        link = SerialLink(device.path, SerialLine())
        await link.open(asyncio.get_running_loop().time() + 5)
        device.permit(0o666)
        with nobody(), pytest.raises(OSError, match="busy"):
            os.open(device.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        await link.close()


async def test_a_port_that_opens_too_late_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or we would find our own port in use."""
    may_open, closed = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    really, really_late = serial_link._open_port, serial_link._close_late

    def slowly(path: str, line: SerialLine) -> serial.Serial:
        assert may_open.wait(10)
        return really(path, line)

    def and_then(opening: asyncio.Future[serial.Serial]) -> None:
        really_late(opening)
        closed.set()

    monkeypatch.setattr(serial_link, "_open_port", slowly)
    monkeypatch.setattr(serial_link, "_close_late", and_then)
    with plugged_in(prompt()) as device:
        line = line_on(device.path)
        late = (await ask(line, Timing(connect_s=0.01))).attempt
        assert (late.outcome, late.owner) == ("port_failed", Owner.OURS)
        assert "in time" in late.detail
        may_open.set()
        async with asyncio.timeout_at(loop.time() + 10):
            await closed.wait()
        assert (await ask(line)).attempt.outcome == "ok"
        await line.close()


async def test_a_pseudo_terminal_takes_any_plate_again_and_again() -> None:
    """It has no parity bit, and the system refuses a change of nothing but that."""
    with plugged_in(prompt()) as device:
        for query in ("baudrate=2400&parity=N", "baudrate=2400&parity=E", "baudrate=2400&parity=E&stopbits=2"):
            line = line_on(device.path, query)
            assert (await ask(line)).attempt.outcome == "ok"
            await line.close()


async def test_a_port_that_does_not_take_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an adapter that has no parity would; a pseudo-terminal, taken for a real port, is one."""
    monkeypatch.setattr(serial_link, "PSEUDO_TERMINALS", range(0))
    with plugged_in(silent) as device:
        line = line_on(device.path, "baudrate=2400")
        await ask(line, Timing(timeout_s=0.01, retries=0, gap_s=0.001))
        await line.close()
        attempt = (await ask(line_on(device.path, "baudrate=2400&parity=E"))).attempt
    assert (attempt.outcome, attempt.owner) == ("port_failed", Owner.OURS)
    assert "it does not take 2400 8E1" in attempt.detail


@pytest.mark.parametrize("what", ["missing", "file", "directory"])
async def test_no_such_port(tmp_path: Path, what: str) -> None:
    path = tmp_path / "ttyUSB0"
    if what == "file":
        path.write_text("no port", encoding="utf-8")
    if what == "directory":
        path.mkdir()
    attempt = (await ask(line_on(path))).attempt
    assert (attempt.outcome, attempt.owner) == ("no_such_port", Owner.OURS)
    assert str(path) in attempt.detail
    assert attempt.sent == b""


@ROOT_ONLY
async def test_no_permission() -> None:
    with plugged_in(silent) as device:
        device.permit(0o600)
        link = make_link(f"serial://{device.path}")
        with nobody(), pytest.raises(LinkError, match="no permission") as caught:
            await link.open(asyncio.get_running_loop().time() + 5)
    assert caught.value.reason == "no_permission"


async def test_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    """Back on the first poll after, under the name that stays (fault F35)."""
    name = tmp_path / "usb-FTDI-if00"
    line = line_on(name)
    with plugged_in(prompt(), at=name):
        assert (await ask(line)).attempt.outcome == "ok"
    lost = (await ask(line)).attempt
    assert lost.outcome in ("connection_lost", "no_such_port")
    assert lost.owner is Owner.OURS
    with plugged_in(prompt(), at=name):
        found = await ask(line)
        assert found.telegram is not None
        assert found.telegram.payload == truth(100)
        await line.close()


async def test_unplugged_while_an_answer_is_awaited() -> None:
    with plugged_in(silent) as device:
        line = line_on(device.path)
        asking = asyncio.ensure_future(ask(line))
        await device.asked.wait()
        device.unplug()
        attempt = (await asking).attempt
        assert attempt.outcome == "connection_lost"
        assert attempt.duration_us < 4_000_000  # known at once, not at the time-out
        await line.close()


async def test_an_echo_is_swallowed() -> None:
    with plugged_in(prompt(), echo=True) as device:
        line = line_on(device.path, echo=True)
        tries = [await ask(line) for _ in range(3)]
        assert [one.attempt.outcome for one in tries] == ["ok"] * 3
        assert {one.attempt.received[:3] for one in tries} == {bytes([1, 4, 4])}  # the answer alone
        await line.close()


async def test_a_line_said_to_echo_that_does_not_is_read_all_the_same() -> None:
    with plugged_in(prompt()) as device:
        line = line_on(device.path, echo=True)
        assert [(await ask(line)).attempt.outcome for _ in range(2)] == ["ok"] * 2
        await line.close()


async def test_an_echo_alone_is_silence() -> None:
    with plugged_in(silent, echo=True) as device:
        line = line_on(device.path, echo=True)
        attempt = (await ask(line, Timing(timeout_s=0.1, gap_s=0.01))).attempt
        assert (attempt.outcome, attempt.received) == ("no_answer", b"")
        await line.close()


async def late(quarantine: bool) -> tuple[Tally, LateDevice]:
    """Five hundred questions to a device that is sometimes up to 60 ms late, with a time-out of 20 ms.

    The worst reply time allows for a busy machine, on which device and line wait for the same processor.
    """
    dice = random.Random(7)
    timing = Timing(timeout_s=0.02, worst_reply_s=0.25, gap_s=0.005)
    device = LateDevice(dice, late_p=0.06, timeout_s=timing.timeout_s, usual_s=0.001)
    with plugged_in(device) as pty:
        link = make_link(f"serial://{pty.path}?{FAST}")
        line = Line(link, DrivenClock(START), guard=None if quarantine else NoGuard())
        tally = await ask_many(line, 500, timing, dice)
        await line.close()
        return tally, device


async def test_late_answers_on_a_real_port_are_never_wrong_values() -> None:
    tally, device = await late(quarantine=True)
    assert device.late > 0
    assert tally.wrong == 0
    assert tally.right > 250  # most are read; a busy machine may make more of them late than the dice did


async def test_without_quarantine_a_real_port_gives_wrong_values() -> None:
    tally, _ = await late(quarantine=False)
    assert tally.wrong > 0
