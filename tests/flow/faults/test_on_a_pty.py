"""The same toxics on a pty, under the real serial link: late answers, noise and doubled answers, and no wrong value."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

from collector.acquisition.line import Line
from collector.acquisition.links import make_link
from collector.acquisition.quarantine import Guard
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from simulators.toxics import Disturbance, Double, Late, Noise, Place, on_a_bus
from tests.flow.faults.conftest import Tell
from tests.flow.faults.street import SEED
from tests.links.late_device import LateDevice, NoGuard, Tally, ask_many
from tests.links.pty_device import plugged_in

TIMING = Timing(timeout_s=0.08, gap_s=0.01)
LATE = Late(0.05, 0.08, 0.2)


async def asked(count: int, *, guard: Guard | None = None, noise: bool = True) -> tuple[Tally, Disturbance]:
    """So many questions over a pty."""
    dice = random.Random(SEED)
    toxics = (LATE, Double(0.1), Noise(Place.BEFORE, 0.1)) if noise else (LATE,)
    between = Disturbance(toxics, dice, byte_s=0.0002)
    device = LateDevice(dice, 0.0, TIMING.timeout_s, usual_s=0.005)
    with plugged_in(on_a_bus(device, between, asyncio.get_running_loop().time)) as pty:
        link = make_link(f"serial://{pty.path}?baudrate=115200")
        line = Line(link, DrivenClock(datetime(2026, 3, 15, tzinfo=UTC)), guard=guard)
        async with asyncio.timeout(60):
            tally = await ask_many(line, count, TIMING, dice)
        await line.close()
    return tally, between


async def test_no_wrong_value_over_a_serial_port(tell: Tell) -> None:
    tally, between = await asked(150)
    assert between.hits.total() > 10
    assert tally.wrong == 0
    assert tally.right > 120
    tell("F20", f"pty: {dict(between.hits)}: {tally.outcomes}, {tally.wrong} wrong")


async def test_without_quarantine_there_are_wrong_ones() -> None:
    tally, _ = await asked(150, guard=NoGuard(), noise=False)
    assert tally.wrong > 0
