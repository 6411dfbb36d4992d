"""The faster loop of the service calls things in another order; links and quarantine must not mind."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import uvloop

from collector.acquisition.line import Errand, Line
from collector.acquisition.links import make_link
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from protocols.dialects import DIALECTS
from protocols.telegram import Request
from tests.links import hostile
from tests.links.hostile import hostile_server
from tests.links.late_device import LateDevice, Tally, ask_many
from tests.links.pty_device import plugged_in

CLOCK = DrivenClock(datetime(2026, 3, 14, tzinfo=UTC))


def run_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def test_a_device_that_lies() -> None:
    lies = [hostile.wrong_unit, hostile.slowly, hostile.closes_mid_frame, hostile.never, hostile.refuses]

    async def main() -> list[str]:
        async with hostile_server(*lies) as device:
            line = Line(make_link(f"tcp://127.0.0.1:{device.port}"), CLOCK)
            found = []
            for _ in range(len(lies) + 1):
                timing = Timing(timeout_s=0.3)
                one = await line.exchange(DIALECTS["modbus-tcp"], Request("1", 4, "7", 2), timing, Errand())
                found.append(one.attempt.outcome)
            await line.close()
            return found

    expected = ["wrong_unit", "ok", "connection_lost", "no_answer", "exception_2", "ok"]
    assert run_uvloop(main()) == expected


def test_nobody_listens() -> None:
    async def main() -> str:
        async with hostile_server() as device:
            port = device.port
        line = Line(make_link(f"tcp://127.0.0.1:{port}"), CLOCK)
        one = await line.exchange(DIALECTS["modbus-tcp"], Request("1", 4, "7", 2), Timing(), Errand())
        return one.attempt.outcome

    assert run_uvloop(main()) == "connection_refused"


def test_a_serial_line_with_late_answers() -> None:
    async def main() -> Tally:
        dice = random.Random(11)
        timing = Timing(timeout_s=0.02, worst_reply_s=0.25, gap_s=0.005)
        device = LateDevice(dice, late_p=0.1, timeout_s=timing.timeout_s, usual_s=0.001)
        with plugged_in(device) as pty:
            line = Line(make_link(f"serial://{pty.path}?baudrate=115200"), CLOCK)
            tally = await ask_many(line, 60, timing, dice)
            await line.close()
        assert device.late > 0
        return tally

    tally = run_uvloop(main())
    assert tally.wrong == 0
    assert tally.right > 30


def spin_until(instant: float) -> None:
    """Holds the loop up, as a long computation would."""
    while asyncio.get_running_loop().time() < instant:
        pass


def test_a_loop_that_was_held_up_over_the_deadline_still_sees_bytes_on_tcp() -> None:
    """Bytes that lie in the kernel are no silence: the loop must look for them before it looks at its timers."""

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as server:
            link = make_link(f"tcp://127.0.0.1:{server.getsockname()[1]}")
            await link.open(loop.time() + 5)
            peer, _ = server.accept()
            with peer:
                deadline = loop.time() + 0.01
                reading = asyncio.ensure_future(link.read(deadline))
                await asyncio.sleep(0)
                peer.sendall(b"abc")
                spin_until(deadline + 0.01)
                data = await reading
            await link.close()
            return data

    assert run_uvloop(main()) == b"abc"


def test_a_loop_that_was_held_up_over_the_deadline_still_sees_bytes_on_a_port() -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        with plugged_in(lambda data: ()) as pty:
            link = make_link(f"serial://{pty.path}?baudrate=115200")
            await link.open(loop.time() + 5)
            deadline = loop.time() + 0.01
            reading = asyncio.ensure_future(link.read(deadline))
            await asyncio.sleep(0)
            pty.say(b"abc")
            spin_until(deadline + 0.01)
            data = await reading
            await link.close()
            return data

    assert run_uvloop(main()) == b"abc"
