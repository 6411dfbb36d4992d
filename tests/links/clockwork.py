"""A line of simulated DL/T 645 meters with clocks of their own, without a socket, and the jobs that look after them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.line import Line
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from collector.jobs.route import Route
from protocols.dialects import DIALECTS
from simulators.dlt645_face import Dlt645Bus, Dlt645Meter
from simulators.load import Load
from simulators.meter import Meter as Device
from simulators.shapes import SHAPES
from simulators.timepiece import Timepiece
from simulators.truth import Truth
from storage.registry import Installation, Meter, Point, Registered

ZONE = ZoneInfo("Asia/Shanghai")
MORNING = datetime(2026, 3, 14, 10, 22, 30, tzinfo=ZONE)
MOUNTED = datetime(2026, 1, 1, tzinfo=ZONE)
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
"""Of the installations: what a clock dates that has lost a year still belongs to one."""
CHANNEL = "village-1"
TIMING = Timing(timeout_s=0.2, retries=1, worst_reply_s=0.2, gap_s=0.01)


def device(
    address: str, off: timedelta = timedelta(), *, ppm: int = 0, password: str = "02123456", since: datetime = MORNING
) -> Dlt645Meter:
    """A meter whose clock is `off` in the morning."""
    load = Load(SHAPES["household"], seed=1, name=address, zone=ZONE, since=MOUNTED, phases=1)
    gained = (since - MOUNTED) * ppm / 1_000_000
    own = Device(
        address, load, mounted=MOUNTED, zone=ZONE, timepiece=Timepiece(ZONE, MOUNTED, off=off - gained, ppm=ppm)
    )
    return Dlt645Meter(address.rjust(12, "0"), "24030001", own, password=bytes.fromhex(password))


class BusLink:
    """`Link`: bytes to a simulated bus, and its answers at once. `swallow`: function codes whose answers are lost."""

    name = "bus"

    def __init__(self, bus: Dlt645Bus, clock: DrivenClock) -> None:
        self._bus = bus
        self._clock = clock
        self._answers: list[bytes] = []
        self.sent: list[bytes] = []
        self.swallow: set[int] = set()

    async def open(self, deadline: float) -> None:
        """Always open."""

    async def write(self, data: bytes, deadline: float) -> None:
        """To the bus."""
        self.sent.append(data)
        answers = [one.data for one in self._bus.receive(data, self._clock.now)]
        if data.lstrip(b"\xfe")[8] not in self.swallow:
            self._answers += answers

    async def read(self, deadline: float) -> bytes:
        """What was answered, else silence."""
        if self._answers:
            return self._answers.pop(0)
        await asyncio.sleep(max(0.0, deadline - asyncio.get_running_loop().time()))
        return b""

    async def close(self) -> None:
        """Nothing to let go of."""


class Street:
    """The line, its meters and a driven clock."""

    def __init__(self, devices: Sequence[Dlt645Meter], *, at: datetime = MORNING) -> None:
        self.clock = DrivenClock(at)
        self.devices: Mapping[str, Dlt645Meter] = {one.address.lstrip("0"): one for one in devices}
        self.link = BusLink(Dlt645Bus(devices, truth=Truth()), self.clock)
        self.route = Route(CHANNEL, Line(self.link, self.clock), DIALECTS["dlt645"], TIMING)
        self.rows = tuple(
            Registered(
                Meter(name, "dlt645_2007_1p", CHANNEL, one.address),
                Point(f"P-{name}"),
                Installation(name, f"P-{name}", LONG_AGO),
            )
            for name, one in self.devices.items()
        )

    def off(self, meter: str) -> timedelta:
        """How far ahead a meter's clock really is."""
        return self.devices[meter].meter.timepiece.off(self.clock.now())

    def written(self) -> int:
        """Frames that left with a password in them."""
        return sum(data.lstrip(b"\xfe")[8] == 0x14 for data in self.link.sent)
