"""One line to one device in memory: what it is asked, what it may say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from collector.acquisition.line import Errand, Line, Try
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from protocols.dialects import DIALECTS
from protocols.telegram import Request
from tests.links.late_device import crc, truth
from tests.links.memory_link import Device, MemoryLink

RTU = DIALECTS["modbus-rtu"]
TIMING = Timing(timeout_s=1.0, worst_reply_s=3.0, gap_s=0.05)
QUESTION = Request("1", 4, "100", 2)
NOISE = bytes.fromhex("deadbeef")


def framed(body: bytes) -> bytes:
    return body + crc(body)


GOOD = framed(bytes([1, 4, 4]) + truth(100))
REFUSAL = framed(bytes([1, 0x84, 2]))


def says(*answers: Iterable[tuple[float, bytes]]) -> Device:
    """A device with one list of (seconds, bytes) a question; silent when they are used up."""
    left = list(answers)
    return lambda data: left.pop(0) if left else ()


def line_of(device: Device) -> tuple[Line, MemoryLink]:
    link = MemoryLink(device)
    return Line(link, DrivenClock(datetime(2026, 3, 14, tzinfo=UTC))), link


async def ask(line: Line, request: Request = QUESTION, timing: Timing = TIMING) -> Try:
    return await line.exchange(RTU, request, timing, Errand("M1", "bus", "daily"))


async def given_up(line: Line, after_s: float = 0.5) -> None:
    """Asked, and cancelled: the answer is still on its way."""
    asking = asyncio.ensure_future(ask(line))
    await asyncio.sleep(after_s)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking


async def outcomes(line: Line, count: int) -> list[str]:
    return [(await ask(line)).attempt.outcome for _ in range(count)]
