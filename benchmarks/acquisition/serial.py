"""A full round on a serial line against what the wire allows: bytes × bit time + the meters' turn-round + required silences.

    modbus-rtu  9600 baud 8N1, 32 meters, fifty registers each, turn-round 20 ms, 3.5 characters of silence before a question
    dlt645      2400 baud 8E1, 32 meters, one register each, turn-round 25 ms, no silence required

The line is simulated: each byte takes its time. On driven time the figure is exact and shows waits that we add; on a pty, in
real time, it also has the delays of this computer.    python -m benchmarks.acquisition.serial [--pty]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import struct
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.acquisition.engine import MODBUS_PROFILE, QUANTITY, engine_for
from collector.acquisition.link import Link
from collector.acquisition.links import make_link
from collector.acquisition.serial_link import byte_s
from collector.acquisition.timing import Timing, turn_s
from collector.settings.link_url import parse_link
from protocols.dialects import DIALECTS
from protocols.dlt645.frame import encode
from protocols.profile import builtin_profiles
from tests.links.driven_loop import run_driven
from tests.links.late_device import crc
from tests.links.memory_link import MemoryLink

METERS = 32
WANTED = 1.05


@dataclass(slots=True)
class Wire:
    """What is on the line. `required_s`: the silence that the standard wants between an answer and the next question."""

    protocol: str
    query: str
    reply_s: float
    required_s: float
    answer: Callable[[bytes], bytes]
    exchanges: int = 0
    allowed_s: float = 0.0

    @property
    def byte_s(self) -> float:
        """One character."""
        return byte_s(parse_link(f"serial:///dev/none?{self.query}").line)

    def take(self, question: bytes) -> bytes:
        """The answer to a question, both on the account of what the wire allows."""
        answer = self.answer(question)
        self.exchanges += 1
        self.allowed_s += (len(question) + len(answer)) * self.byte_s + self.reply_s + self.required_s
        return answer


def rtu(question: bytes) -> bytes:
    """Fifty registers."""
    unit, function, _, count = struct.unpack(">BBHH", question[:6])
    body = bytes([unit, function, 2 * count]) + bytes(2 * count)
    return body + crc(body)


def dlt645(question: bytes) -> bytes:
    """Four bytes of energy, with the preamble of a meter."""
    frame = question.lstrip(b"\xfe")
    address = frame[1:7][::-1].hex()
    identifier = bytes((byte - 0x33) % 256 for byte in frame[10:14])
    return encode(address, 0x91, identifier + bytes.fromhex("12345600"))


def wires() -> list[Wire]:
    """Both lines, their accounts empty."""
    fast, slow = "baudrate=9600", "baudrate=2400&parity=E"
    character = byte_s(parse_link(f"serial:///dev/none?{fast}").line)
    return [Wire("modbus-rtu", fast, 0.02, 3.5 * character, rtu), Wire("dlt645", slow, 0.025, 0.0, dlt645)]


class PacedLink(MemoryLink):
    """As a serial port: a question has been sent when its last bit is on the wire, and an answer comes byte by byte."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(self._answers)
        self._wire = wire

    async def write(self, data: bytes, deadline: float) -> None:
        """Each byte takes its time."""
        await asyncio.sleep(len(data) * self._wire.byte_s)
        await super().write(data, deadline)

    def _answers(self, question: bytes) -> Iterator[tuple[float, bytes]]:
        for n, byte in enumerate(self._wire.take(question), start=1):
            yield self._wire.reply_s + n * self._wire.byte_s, bytes([byte])


class PacedPty:
    """The far end of a pty, on a thread of its own so that our loop's delays are not the meter's."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._far, self._near = os.openpty()
        tty.setraw(self._far)
        self.path = os.ttyname(self._near)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while question := os.read(self._far, 4096):
            due = time.perf_counter() + len(question) * self._wire.byte_s + self._wire.reply_s
            for byte in self._wire.take(question):
                due += self._wire.byte_s
                time.sleep(max(0.0, due - time.perf_counter()))
                os.write(self._far, bytes([byte]))


async def round_s(wire: Wire, link: Link) -> float:
    """Seconds from the first question of a round to the last answer; a round before it opens the port."""
    dialect = DIALECTS[wire.protocol]
    loop = asyncio.get_running_loop()
    silence_s = turn_s(dialect.turn_chars, wire.byte_s)
    timing = Timing(gap_s=dialect.gap_ms / 1000, silence_s=silence_s)  # as jobs.routes makes it of the channel's link
    profile = MODBUS_PROFILE if wire.protocol == "modbus-rtu" else builtin_profiles()["dlt645_2007_1p"]
    addresses = [str(n + 1) if wire.protocol == "modbus-rtu" else f"{n + 1:012d}" for n in range(METERS)]
    meters = {f"M{address}": ("bus", address) for address in addresses}
    engine = engine_for({"bus": link}, meters, dialect, timing, profile, (QUANTITY,), loop.time)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.poll.run(stop))
        await engine.round()
        wire.exchanges, wire.allowed_s = 0, 0.0
        before, began = engine.sink.reads, loop.time()
        await engine.round()
        took_s = loop.time() - began
        assert engine.sink.reads - before == wire.exchanges == METERS, (engine.sink.reads - before, wire.exchanges)
        stop.set()
    await engine.poll.routes["bus"].line.close()
    return took_s


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pty", action="store_true", help="in real time, over a pty")
    real = options.parse_args().pty
    print(f"a round of {METERS} meters, {'over a pty in real time' if real else 'on driven time'}; wanted ≤ {WANTED:g}")
    for wire in wires():
        if real:
            link = make_link(f"serial://{PacedPty(wire).path}?{wire.query}")
            took_s = asyncio.run(round_s(wire, link))
        else:
            took_s = run_driven(round_s(wire, PacedLink(wire)))
        ratio = took_s / wire.allowed_s
        print(f"{wire.protocol:11} wire limit {wire.allowed_s:7.3f} s  taken {took_s:7.3f} s  ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
