"""A visit on driven time: retries, follow-ups, identity, and a silent meter that costs its neighbours nothing."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from collector.acquisition.line import Line
from collector.acquisition.timing import Timing
from collector.acquisition.visit import Visit, read_meter
from collector.clock import DrivenClock
from collector.errors import LinkError
from protocols.dialect import Wanted
from protocols.dialects import DIALECTS
from protocols.profile import builtin_profiles
from storage.records import Owner
from storage.registry import Meter
from tests.links.driven_loop import run_driven
from tests.links.late_device import crc
from tests.links.memory_link import Device, MemoryLink

START = datetime(2026, 3, 14, tzinfo=UTC)
SDM630 = builtin_profiles()["eastron_sdm630"]
DLT645_1P = builtin_profiles()["dlt645_2007_1p"]
TIMING = Timing(timeout_s=0.5, retries=2, gap_s=0.05)
VOLTAGE, IMPORT = Wanted("1-0:32.7.0"), Wanted("1-0:1.8.0")
"""Two requests: registers 0 and 72 are too far apart for one."""

Answer = Callable[[int, int, int, int], bytes]


def framed(body: bytes) -> bytes:
    return body + crc(body)


def sdm630(unit: int, function: int, start: int, count: int) -> bytes:
    """230.5 V, 1234.5 kWh, serial 4711."""
    known = {0: struct.pack(">f", 230.5), 72: struct.pack(">f", 1234.5), 64512: struct.pack(">I", 4711)}
    return framed(bytes([unit, function, 2 * count]) + known[start])


def refusal(code: int) -> Answer:
    return lambda unit, function, start, count: framed(bytes([unit, function | 0x80, code]))


def damaged(unit: int, function: int, start: int, count: int) -> bytes:
    frame = sdm630(unit, function, start, count)
    return frame[:4] + bytes([frame[4] ^ 0x10]) + frame[5:]


def silence(unit: int, function: int, start: int, count: int) -> bytes:
    return b""


def bus(*script: Answer, others: Answer = sdm630) -> Device:
    """Answers after 0.1 s: what the script says, one entry a question, then like `others`."""
    left = list(script)

    def device(data: bytes) -> Iterable[tuple[float, bytes]]:
        unit, function, start, count = struct.unpack(">BBHH", data[:6])
        answer = (left.pop(0) if left else others)(unit, function, start, count)
        return [(0.1, answer)] if answer else []

    return device


def visit(device: Device, wanted: Sequence[Wanted], *, serial: str = "", timing: Timing = TIMING) -> Visit:
    async def main() -> Visit:
        line = Line(MemoryLink(device), DrivenClock(START))
        meter = Meter("M1", SDM630.id, "bus", "1", serial=serial)
        return await read_meter(line, DIALECTS["modbus-rtu"], SDM630, meter, wanted, timing, plan="daily")

    return run_driven(main())


def outcomes(seen: Visit) -> list[str]:
    return [attempt.outcome for attempt in seen.attempts]


def values(seen: Visit) -> dict[str | None, object]:
    return {item.quantity: item.value for item in seen.items}


def test_a_retry_that_succeeds_leaves_its_failed_attempts_visible() -> None:
    seen = visit(bus(silence, damaged), [VOLTAGE])
    assert outcomes(seen) == ["no_answer", "bad_checksum", "ok"]
    assert values(seen) == {"1-0:32.7.0": Decimal("230.5")}
    assert seen.failed == ()


def test_a_silent_meter_is_not_asked_further_questions() -> None:
    seen = visit(bus(others=silence), [VOLTAGE, IMPORT])
    assert outcomes(seen) == ["no_answer"] * 3
    assert [(one.ids, one.reason, one.owner, one.attempts) for one in seen.failed] == [
        (("0",), "no_answer", Owner.LINE, 3),
        (("72",), "no_answer", Owner.LINE, 3),
    ]
    assert seen.items == ()


def test_no_retries_when_there_are_to_be_none() -> None:
    assert outcomes(visit(bus(others=silence), [VOLTAGE], timing=Timing(0.5, retries=0))) == ["no_answer"]


def test_damage_to_one_answer_does_not_cost_the_next() -> None:
    seen = visit(bus(damaged, damaged, damaged), [VOLTAGE, IMPORT])
    assert outcomes(seen) == ["bad_checksum"] * 3 + ["ok"]
    assert values(seen) == {"1-0:1.8.0": Decimal("1234.5")}
    failed = seen.failure("0")
    assert failed is not None
    assert (failed.reason, failed.attempts) == ("bad_checksum", 3)


def test_a_refusal_is_not_asked_again() -> None:
    seen = visit(bus(refusal(2)), [VOLTAGE, IMPORT])
    assert outcomes(seen) == ["exception_2", "ok"]


def test_a_gateway_that_says_its_meter_is_silent_is_asked_again() -> None:
    seen = visit(bus(refusal(11)), [VOLTAGE])
    assert outcomes(seen) == ["gateway_no_answer", "ok"]
    seen = visit(bus(others=refusal(11)), [VOLTAGE, IMPORT])
    assert outcomes(seen) == ["gateway_no_answer"] * 3
    assert len(seen.failed) == 2


def test_the_serial_is_asked_first_and_believed() -> None:
    seen = visit(bus(), [VOLTAGE], serial="0004711")
    assert outcomes(seen) == ["ok", "ok"]
    assert seen.attempts[0].sent[:4] == bytes([1, 3, 0xFC, 0x00])
    assert values(seen) == {"1-0:32.7.0": Decimal("230.5")}


@pytest.mark.parametrize("serial", ["4712", "47110", "SN4711"])
def test_another_serial_makes_every_value_missing(serial: str) -> None:
    seen = visit(bus(), [VOLTAGE, IMPORT], serial=serial)
    assert seen.items == ()
    assert [(one.ids, one.reason, one.owner) for one in seen.failed] == [
        (("0",), "wrong_identity", Owner.REGISTRY),
        (("72",), "wrong_identity", Owner.REGISTRY),
    ]
    assert "4711" in seen.failed[0].detail
    assert len(seen.attempts) == 1


def test_a_serial_that_cannot_be_read_is_no_serial() -> None:
    seen = visit(bus(refusal(2)), [VOLTAGE], serial="4711")
    assert seen.items == ()
    (failed,) = seen.failed
    assert (failed.reason, failed.owner) == ("exception_2", Owner.METER)
    assert failed.detail.startswith("its serial could not be read")


def test_what_the_profile_has_not_has_a_reason() -> None:
    seen = visit(bus(), [VOLTAGE, Wanted("8-0:1.0.0"), Wanted("1-0:1.8.0", "freeze"), Wanted("1-0:1.8.0", back=2)])
    assert values(seen)["1-0:32.7.0"] == Decimal("230.5")
    assert [(one.reason, one.owner, one.attempts) for one in seen.failed] == [("not_in_profile", Owner.REGISTRY, 0)] * 3


def test_a_medium_that_fails_ends_the_visit() -> None:
    async def main() -> Visit:
        link = MemoryLink(bus())
        link.refuse = LinkError("no_such_port", Owner.OURS, "memory: there is no such serial port")
        meter = Meter("M1", SDM630.id, "bus", "1")
        line = Line(link, DrivenClock(START))
        return await read_meter(line, DIALECTS["modbus-rtu"], SDM630, meter, [VOLTAGE, IMPORT], TIMING)

    seen = run_driven(main())
    assert outcomes(seen) == ["no_such_port"]  # asking again at once would not plug it in
    assert {one.reason for one in seen.failed} == {"no_such_port"}
    assert len(seen.failed) == 2


def test_each_answer_has_the_instant_at_which_it_arrived() -> None:
    clock = DrivenClock(START)
    answer = bus()

    def device(data: bytes) -> Iterable[tuple[float, bytes]]:
        clock.advance(clock.now() + timedelta(seconds=1))
        return answer(data)

    async def main() -> Visit:
        meter = Meter("M1", SDM630.id, "bus", "1")
        line = Line(MemoryLink(device), clock)
        return await read_meter(line, DIALECTS["modbus-rtu"], SDM630, meter, [VOLTAGE, IMPORT], TIMING)

    arrivals = [(at, [item.quantity for item in items]) for at, items in run_driven(main()).arrivals()]
    assert arrivals == [
        (START + timedelta(seconds=1), ["1-0:32.7.0"]),
        (START + timedelta(seconds=2), ["1-0:1.8.0"]),
    ]


def test_a_silent_meter_on_a_shared_line_does_not_harm_the_others() -> None:
    """Promise 6: it costs the bus its own bounded share of time, and nobody a value."""

    def all_but_five(unit: int, function: int, start: int, count: int) -> bytes:
        return b"" if unit == 5 else sdm630(unit, function, start, count)

    async def main() -> tuple[list[Visit], float]:
        line = Line(MemoryLink(bus(others=all_but_five)), DrivenClock(START))
        meters = [Meter(f"M{unit}", SDM630.id, "bus", str(unit)) for unit in range(1, 11)]
        rtu = DIALECTS["modbus-rtu"]
        seen = await asyncio.gather(
            *(read_meter(line, rtu, SDM630, meter, [VOLTAGE, IMPORT], TIMING) for meter in meters)
        )
        return list(seen), asyncio.get_running_loop().time()

    visits, took_s = run_driven(main())
    for seen in visits:
        if seen.meter.address == "5":
            assert outcomes(seen) == ["no_answer"] * 3
        else:
            assert values(seen) == {"1-0:32.7.0": Decimal("230.5"), "1-0:1.8.0": Decimal("1234.5")}
            assert outcomes(seen) == ["ok", "ok"]
    undisturbed_s = 9 * 2 * (0.1 + TIMING.turn_s)
    assert took_s <= undisturbed_s + 3 * (TIMING.quarantine_s + TIMING.gap_s) + 0.01


# --- DL/T 645: an answer in several frames --------------------------------------------------------------------------------


def frame645(control: int, data: bytes) -> bytes:
    body = bytes.fromhex("68 34 12 00 00 00 00 68") + bytes([control, len(data)]) + bytes(b + 0x33 & 0xFF for b in data)
    return body + bytes([sum(body) & 0xFF, 0x16])


def visit645(device: Device) -> Visit:
    async def main() -> Visit:
        line = Line(MemoryLink(device), DrivenClock(START))
        meter = Meter("M1", DLT645_1P.id, "bus", "000000001234")
        return await read_meter(line, DIALECTS["dlt645"], DLT645_1P, meter, [Wanted("1-0:1.8.0")], TIMING)

    return run_driven(main())


IDENTIFIER = bytes.fromhex("00 00 01 00")  # 00010000, low byte first


def test_follow_ups_are_asked_until_the_answer_is_whole() -> None:
    """The register's four bytes in two frames; the second one is lost once and asked for again."""
    asked: list[bytes] = []

    def device(data: bytes) -> Iterable[tuple[float, bytes]]:
        asked.append(data.lstrip(b"\xfe"))
        if len(asked) == 1:
            return [(0.1, frame645(0xB1, IDENTIFIER + bytes.fromhex("67 45")))]
        if len(asked) == 2:
            return []
        return [(0.1, frame645(0x92, IDENTIFIER + bytes.fromhex("23 01") + b"\x01"))]

    seen = visit645(device)
    assert values(seen) == {"1-0:1.8.0": Decimal("12345.67")}
    assert outcomes(seen) == ["ok", "no_answer", "ok"]
    assert asked[1] == asked[2] == frame645(0x12, IDENTIFIER + b"\x01")
    (answered,) = seen.answered
    assert len(answered.exchange.telegrams) == 2


def test_a_follow_up_that_never_comes_is_no_half_a_value() -> None:
    first = frame645(0xB1, IDENTIFIER + bytes.fromhex("67 45"))
    left = [first]
    seen = visit645(lambda data: [(0.1, left.pop())] if left else [])
    assert seen.items == ()
    assert outcomes(seen) == ["ok", "no_answer", "no_answer", "no_answer"]
    assert [(one.reason, one.attempts) for one in seen.failed] == [("no_answer", 4)]


def test_an_answer_without_end_ends() -> None:
    count = 0

    def device(data: bytes) -> Iterable[tuple[float, bytes]]:
        nonlocal count
        count += 1
        if count == 1:
            return [(0.01, frame645(0xB1, IDENTIFIER + b"\x00"))]
        return [(0.01, frame645(0xB2, IDENTIFIER + b"\x00" + bytes([count - 1])))]

    seen = visit645(device)
    assert seen.items == ()
    (failed,) = seen.failed
    assert failed.reason == "wrong_length"
    assert count == 256
