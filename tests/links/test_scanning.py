"""A search over a line on driven time: real frames of several meters, late, on top of one another, and behind one another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.acquisition.line import Line
from collector.acquisition.scan import DISTURBED, Findings, Search, wildcard_search
from collector.acquisition.scanning import TIME_IS_UP, Ended, scan_line
from collector.acquisition.sweep import unit_sweep
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from collector.errors import LinkError
from protocols.dialects import DIALECTS
from storage.records import Owner
from tests.links.driven_loop import run_driven
from tests.links.late_device import crc
from tests.links.memory_link import Device, MemoryLink

TIMING = Timing(timeout_s=0.8, retries=0, worst_reply_s=0.8, gap_s=0.2)
BYTE_S = 11 / 2400
READ, READ_ADDRESS = 0x11, 0x13


def scanned(
    device: Device | MemoryLink, protocol: str, search: Search, within_s: float = 1e6
) -> tuple[Findings, Ended, MemoryLink]:
    """The whole search."""
    link = device if isinstance(device, MemoryLink) else MemoryLink(device)

    async def main() -> Ended:
        line = Line(link, DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)))
        try:
            return await scan_line(
                line, DIALECTS[protocol], search, TIMING, within_s=within_s, told=lambda _findings, _left_s: None
            )
        finally:
            await line.close()

    return search.findings, run_driven(main()), link


# --- DL/T 645 --------------------------------------------------------------------------------------------------------------


@dataclass
class Meter:
    """Its frames are written out by hand. `says`: the address that its answers carry, where that is not its own."""

    address: str
    after_s: float = 0.1
    preamble: int = 0
    functions: Collection[int] = (READ, READ_ADDRESS)
    says: Callable[[bytes], bytes] | None = None

    def answer(self, question: bytes) -> bytes:
        """Nothing for others' questions."""
        own, asked, function = bytes.fromhex(self.address)[::-1], question[1:7], question[8]
        low = asked.rstrip(b"\xaa")
        if function not in self.functions or own[: len(low)] != low:
            return b""
        data = own if function == READ_ADDRESS else question[10:14] + bytes(4)
        plain = data if function == READ_ADDRESS else bytes(byte - 0x33 & 0xFF for byte in data[:4]) + data[4:]
        body = b"\x68" + (self.says(asked) if self.says else own) + bytes([0x68, function | 0x80, len(plain)])
        body += bytes(byte + 0x33 & 0xFF for byte in plain)
        return b"\xfe" * self.preamble + body + bytes([sum(body) & 0xFF, 0x16])


@dataclass
class Wire:
    """Byte by byte at 2400 baud: what is sent at the same time is heard as the bits that both have."""

    meters: Sequence[Meter]
    asked: list[bytes] = field(default_factory=list)

    def __call__(self, data: bytes) -> Iterator[tuple[float, bytes]]:
        question = data.lstrip(b"\xfe")
        self.asked.append(question)
        places: dict[int, int] = {}
        for meter in self.meters:
            begin = round(meter.after_s / BYTE_S)
            for place, byte in enumerate(meter.answer(question), start=begin):
                places[place] = places.get(place, 0xFF) & byte
        yield from ((place * BYTE_S, bytes([byte])) for place, byte in sorted(places.items()))


ADDRESSES = st.sampled_from(["240300000100", "240300000117", "240300000217", "990300000117", "240300009917"])
METERS = st.lists(
    st.builds(Meter, ADDRESSES, st.floats(0.02, 0.5), st.integers(0, 4)), max_size=4, unique_by=lambda one: one.address
)


@settings(max_examples=25, deadline=None)
@given(meters=METERS)
def test_all_meters_are_found_however_their_answers_meet(meters: list[Meter]) -> None:
    wire = Wire(meters)
    findings, ended, _ = scanned(wire, "dlt645", wildcard_search(verify=2))
    assert set(findings.found) == {one.address for one in meters}
    assert ended == Ended()
    assert {question[8] for question in wire.asked} <= {READ, READ_ADDRESS}, "nothing is ever written"


def test_an_answer_behind_another_is_overheard() -> None:
    """Both are good frames. Without listening on, the first would hide the second where only two digits are asked."""
    wire = Wire([Meter("240300000117", 0.03), Meter("990300000117", 0.3)])
    findings, _, _ = scanned(wire, "dlt645", wildcard_search(verify=2))
    assert set(findings.found) == {"240300000117", "990300000117"}


@pytest.mark.parametrize("function", [READ, READ_ADDRESS])
def test_meters_that_answer_one_of_the_two_questions(function: int) -> None:
    wire = Wire([Meter("240300000117", functions=[function]), Meter("240300000218", functions=[function])])
    findings, _, _ = scanned(wire, "dlt645", wildcard_search(verify=2))
    assert set(findings.found) == {"240300000117", "240300000218"}


def test_a_meter_that_gives_back_the_wildcard() -> None:
    wire = Wire([Meter("240300000117", says=lambda asked: asked)])
    findings, _, _ = scanned(wire, "dlt645", wildcard_search())
    assert (findings.found, findings.unclear) == (["240300000117"], {})


def test_a_meter_whose_every_answer_is_spoilt_is_named_with_its_address() -> None:
    def device(data: bytes) -> Iterator[tuple[float, bytes]]:
        answer = Meter("240300000117").answer(data.lstrip(b"\xfe"))
        if answer:
            yield 0.05, answer[:-3] + bytes([answer[-3] ^ 0x10]) + answer[-2:]

    findings, _, _ = scanned(device, "dlt645", wildcard_search())
    assert (findings.found, findings.unclear) == ([], {"240300000117": DISTURBED})


def test_an_echo_and_a_glitch_are_nobody() -> None:
    """Two-wire RS-485 hands back what is sent; switching the transmitter makes a byte of its own."""

    def device(data: bytes) -> Iterator[tuple[float, bytes]]:
        yield 0.0, data
        yield 0.1, b"\x00\xff"

    findings, _, _ = scanned(device, "dlt645", wildcard_search())
    assert (findings.found, findings.unclear, findings.asked) == ([], {}, 4)


def test_with_its_echo_on_the_line_a_meter_is_found() -> None:
    meter = Meter("240300000117")
    findings, _, _ = scanned(
        lambda data: [(0.0, data), (0.1, meter.answer(data.lstrip(b"\xfe")))], "dlt645", wildcard_search(verify=2)
    )
    assert (findings.found, findings.unclear) == (["240300000117"], {})


def test_a_device_that_refuses_in_everybody_s_name_is_not_taken_for_many() -> None:
    def device(data: bytes) -> Iterator[tuple[float, bytes]]:
        question = data.lstrip(b"\xfe")
        if answer := Meter("240300000117").answer(question):
            yield 0.05, answer
            return
        body = question[:7] + bytes([0x68, question[8] | 0xC0, 1, 0x34])
        yield 0.05, body + bytes([sum(body) & 0xFF, 0x16])

    findings, _, _ = scanned(device, "dlt645", wildcard_search(verify=2))
    assert (findings.found, findings.unclear) == (["240300000117"], {})


def test_answers_that_are_too_late_are_noticed() -> None:
    wire = Wire([Meter("240300000117", after_s=0.85)])
    findings, ended, _ = scanned(wire, "dlt645", wildcard_search())
    assert findings.found == []
    assert ended.late >= 3 * 16


def test_the_time_ends_a_search_with_what_it_has() -> None:
    wire = Wire([Meter("240300000117"), Meter("240300000199")])
    findings, ended, _ = scanned(wire, "dlt645", wildcard_search(), within_s=30)
    assert findings.found == ["240300000117"]
    assert ended.reason == TIME_IS_UP
    assert findings.ahead > 0


def test_a_search_is_as_quick_as_its_patience_allows() -> None:
    """One answer is waited for, for others behind it; silence costs the time-out and the gap."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        line = Line(MemoryLink(Wire([Meter("240300000117")])), DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)))
        await scan_line(
            line,
            DIALECTS["dlt645"],
            wildcard_search(verify=2),
            TIMING,
            within_s=1e6,
            told=lambda _findings, _left_s: None,
        )
        return loop.time()

    assert run_driven(main()) <= 103 * (TIMING.timeout_s + TIMING.gap_s)


# --- the medium ------------------------------------------------------------------------------------------------------------


def test_a_medium_that_is_not_there_ends_it() -> None:
    link = MemoryLink(lambda data: [])
    link.refuse = LinkError("connection_refused", Owner.TERMINAL, "nobody listens")
    findings, ended, _ = scanned(link, "dlt645", wildcard_search())
    assert (findings.asked, ended.reason, ended.detail) == (0, "connection_refused", "nobody listens")


def test_a_connection_that_is_lost_for_a_moment_costs_no_meter() -> None:
    wire = Wire([Meter("240300000117"), Meter("240300000150")])
    lost = iter([12, 13, 40])

    class Shaky(MemoryLink):
        fails_at = next(lost)

        async def write(self, data: bytes, deadline: float) -> None:
            await super().write(data, deadline)
            if len(self.written) == self.fails_at:
                self.fails_at = next(lost, 0)
                await self.close()
                raise LinkError("connection_lost", Owner.UPLINK, "gone")

    findings, ended, _ = scanned(Shaky(wire), "dlt645", wildcard_search(verify=2))
    assert set(findings.found) == {"240300000117", "240300000150"}
    assert ended.reason == ""


def test_a_line_that_never_falls_silent_ends_it() -> None:
    def device(data: bytes) -> Iterator[tuple[float, bytes]]:
        yield from ((place * 0.05, b"\x55") for place in range(2000))

    _, ended, _ = scanned(device, "dlt645", wildcard_search())
    assert ended.reason == "line_not_silent"


# --- Modbus ----------------------------------------------------------------------------------------------------------------


def rtu(
    units: Collection[int], *, functions: Collection[int] = (3, 4), refuse: bool = False, after_s: float = 0.05
) -> Device:
    def device(data: bytes) -> Iterator[tuple[float, bytes]]:
        unit, function = data[0], data[1]
        if unit in units and function in functions:
            body = bytes([unit, function | 0x80, 2]) if refuse else bytes([unit, function, 2, 0, 7])
            yield after_s, body + crc(body)

    return device


@pytest.mark.parametrize("refuse", [False, True])
@pytest.mark.parametrize("functions", [(3,), (4,), (3, 4)])
def test_rtu_devices_are_found_by_an_answer_or_a_refusal(functions: tuple[int, ...], refuse: bool) -> None:
    device = rtu({1, 17, 247}, functions=functions, refuse=refuse)
    findings, _, link = scanned(device, "modbus-rtu", unit_sweep(range(1, 248)))
    assert (findings.found, findings.unclear) == (["1", "17", "247"], {})
    assert {data[1] for _, data in link.written} <= {3, 4}, "nothing is ever written"


def test_two_rtu_devices_with_one_unit_are_told() -> None:
    def device(data: bytes) -> Iterator[tuple[float, bytes]]:
        if data[0] == 5:
            yield 0.05, bytes.fromhex("0504000007ffee11")

    findings, _, _ = scanned(device, "modbus-rtu", unit_sweep(range(1, 9)))
    assert (findings.found, findings.unclear) == ([], {"5": DISTURBED})


@pytest.mark.parametrize(("after_s", "late"), [(0.9, 14), (1.3, 0)])
def test_an_rtu_device_that_is_later_than_the_time_out_is_told(after_s: float, late: int) -> None:
    """Into the silence between two questions, or into the next one's time: found by no number that could be another's."""
    findings, ended, _ = scanned(rtu({5}, after_s=after_s), "modbus-rtu", unit_sweep(range(1, 9)))
    assert (findings.found, ended.late) == ([] if late else ["5"], late)
