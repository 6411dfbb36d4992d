"""Time-outs that a line learns: a meter counts as silent after its own usual time, and no quarantine gets shorter by it."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from collector.acquisition.latency import FLOOR_S, MULTIPLE, Latencies
from collector.acquisition.line import Errand, Line, Try
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from protocols.dialects import DIALECTS
from protocols.telegram import Request
from tests.links.driven_loop import run_driven
from tests.links.late_device import LateDevice
from tests.links.memory_link import Device, MemoryLink

TIMING = Timing(timeout_s=1.0, worst_reply_s=3.0, gap_s=0.03)
LEARNING = 40


class Gateway:
    """Modbus TCP; answers after `reply_s`, and not at all any more once `dead` holds the unit."""

    def __init__(self, reply_s: float) -> None:
        self.reply_s = reply_s
        self.dead: set[int] = set()

    def __call__(self, data: bytes) -> Iterator[tuple[float, bytes]]:
        transaction, unit, function, _, count = struct.unpack(">HxxxxBBHH", data)
        if unit not in self.dead:
            words = bytes(2 * count)
            yield (
                self.reply_s,
                struct.pack(">HHHBBB", transaction, 0, 3 + len(words), unit, function, len(words)) + words,
            )


def line_of(device: Device) -> tuple[Line, MemoryLink]:
    link = MemoryLink(device)
    return Line(link, DrivenClock(datetime(2026, 3, 14, tzinfo=UTC))), link


async def ask(line: Line, unit: int = 1, *, count: int = 2, protocol: str = "modbus-tcp") -> Try:
    request = Request(str(unit), 4, "100", count)
    return await line.exchange(DIALECTS[protocol], request, TIMING, Errand(f"M{unit}", "bus"))


async def learned(gateway: Gateway, *units: int) -> Line:
    line, _ = line_of(gateway)
    for unit in units:
        for _ in range(LEARNING):
            assert (await ask(line, unit)).attempt.outcome == "ok"
    return line


@pytest.mark.parametrize(
    ("reply_s", "waited_s"),
    [(0.1, MULTIPLE * 0.1), (0.002, FLOOR_S), (0.6, TIMING.timeout_s)],
    ids=["four times its usual time", "not below the floor", "not above the channel's time-out"],
)
def test_silence_is_called_after_the_meters_own_time(reply_s: float, waited_s: float) -> None:
    async def main() -> None:
        gateway = Gateway(reply_s)
        line = await learned(gateway, 1)
        gateway.dead.add(1)
        attempt = (await ask(line)).attempt
        assert attempt.outcome == "no_answer"
        assert attempt.duration_us == pytest.approx(waited_s * 1_000_000, rel=0.01)
        assert attempt.detail == f"no answer within {waited_s:.3g} s"

    run_driven(main())


def test_a_meter_never_heard_has_the_channels_time() -> None:
    async def main() -> None:
        gateway = Gateway(0.01)
        line = await learned(gateway, 1)
        gateway.dead.add(2)
        assert (await ask(line, 2)).attempt.duration_us == 1_000_000

    run_driven(main())


def test_after_a_silent_meter_the_others_have_the_channels_time_until_its_quarantine_would_be_over() -> None:
    """A gateway may still be waiting for it, and they wait behind it: they are not silent, they are queueing."""

    async def main() -> None:
        gateway = Gateway(0.02)
        line = await learned(gateway, 1, 2)
        gateway.dead.add(1)
        assert (await ask(line, 1)).attempt.duration_us == pytest.approx(FLOOR_S * 1_000_000)
        gateway.reply_s = 0.9
        assert (await ask(line, 2)).attempt.outcome == "ok"
        await asyncio.sleep(TIMING.quarantine_s)
        gateway.dead.add(2)
        assert (await ask(line, 2)).attempt.duration_us < 1_000_000

    run_driven(main())


def test_an_answer_that_has_begun_has_the_channels_time_to_end() -> None:
    async def main() -> None:
        gateway = Gateway(0.02)
        line = await learned(gateway, 1)

        def in_two(data: bytes) -> Iterator[tuple[float, bytes]]:
            for _, answer in gateway(data):
                yield 0.1, answer[:7]
                yield 0.9, answer[7:]

        line.link = MemoryLink(in_two)
        assert (await ask(line)).attempt.outcome == "ok"

    run_driven(main())


def test_a_longer_answer_than_any_before_has_longer() -> None:
    async def main() -> None:
        gateway = Gateway(0.06)
        line = await learned(gateway, 1)
        gateway.dead.add(1)
        assert (await ask(line, count=50)).attempt.duration_us == 1_000_000

    run_driven(main())


def test_what_was_learned_never_shortens_a_quarantine() -> None:
    """On a bus a fast meter's silence costs as much as ever: how late an answer may come is set, and not learned."""

    async def main() -> None:
        device = LateDevice(random.Random(1), 0.0, TIMING.timeout_s, usual_s=0.005)
        answers = iter([True] * LEARNING + [False, False, True])
        line, link = line_of(lambda data: device(data) if next(answers) else ())
        for _ in range(LEARNING):
            assert (await ask(line, protocol="modbus-rtu")).attempt.outcome == "ok"
        assert line.latencies.timeout("M1", 1.0, 9) == FLOOR_S
        for _ in range(2):
            assert (await ask(line, protocol="modbus-rtu")).attempt.outcome == "no_answer"
        assert (await ask(line, protocol="modbus-rtu")).attempt.outcome == "ok"
        gaps = [later - earlier for (earlier, _), (later, _) in pairwise(link.written)][-2:]
        assert gaps == [pytest.approx(TIMING.quarantine_s + TIMING.gap_s)] * 2

    run_driven(main())


def test_a_refusal_teaches_nothing() -> None:
    """A gateway that says "nobody there" after its own time-out has told nothing of the meter's speed."""

    async def main() -> None:
        def refusing(data: bytes) -> Iterator[tuple[float, bytes]]:
            transaction, unit, function = struct.unpack_from(">HxxxxBB", data)
            yield 0.8, struct.pack(">HHHBBB", transaction, 0, 3, unit, function | 0x80, 11)

        line, _ = line_of(refusing)
        assert (await ask(line)).attempt.outcome == "gateway_no_answer"
        assert line.latencies.expected("M1") is None

    run_driven(main())


def test_lines_may_share_what_was_learned() -> None:
    latencies = Latencies()
    line = Line(MemoryLink(Gateway(0.1)), DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)), latencies=latencies)
    run_driven(ask(line))
    assert latencies.expected("M1") == pytest.approx(0.1)
