"""A link in memory with a disturbance between it and its device: a TCP connection that can end, or a bus that cannot."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence

from collector.acquisition.bell import Bell
from collector.errors import LinkError
from simulators.toxics import Disturbance, Step, Towards, Toxic
from storage.records import Owner
from tests.links.memory_link import Device

BYTE_S = 10 / 9600


class MemoryWire:
    """What is on its way when a TCP connection ends is gone; on a bus it still comes.

    `struck` says of each question, in order, whether a toxic touched it or its answer; `asked_at`, when it was on the wire.
    """

    def __init__(
        self,
        device: Device,
        toxics: Sequence[Toxic],
        dice: random.Random,
        *,
        tcp: bool,
        hang_up: Callable[[], None] = lambda: None,
        byte_s: float = BYTE_S,
    ) -> None:
        self.name = "memory:"
        self.hits: Counter[str] = Counter()
        self.struck: list[bool] = []
        self.asked_at: list[float] = []
        self.opened = 0
        self._device, self._toxics, self._dice, self._tcp, self._hang_up = device, tuple(toxics), dice, tcp, hang_up
        self._byte_s = byte_s
        self._between: Disturbance | None = None
        self._bell: Bell | None = None
        self._buffer = bytearray()
        self._lost = False

    def disturb(self, *toxics: Toxic) -> None:
        """These instead of those before, at once."""
        self._toxics = toxics
        if self._between is not None:
            self._between.toxics = toxics

    def half_open(self) -> None:
        """This connection is dead, and nobody is told; a new one would live."""
        if self._between is not None:
            self._between.half_open = True

    async def open(self, deadline: float) -> None:
        if self._bell is not None and not self._lost:
            return
        await self.close()
        self._bell, self._lost = Bell(asyncio.get_running_loop()), False
        self.opened += 1
        if self._between is None:
            self._between = Disturbance(self._toxics, self._dice, self.hits, byte_s=self._byte_s)

    async def write(self, data: bytes, deadline: float) -> None:
        between = self._alive()
        before = self.hits.total()
        now = asyncio.get_running_loop().time()
        self.asked_at.append(now)
        steps: list[Step] = []
        for step in between.pass_on(data, now, Towards.METER):
            if step.to is Towards.COLLECTOR or step.end is not None:
                steps.append(step)
                continue
            for delay_s, answer in self._device(step.data):
                steps += between.pass_on(answer, step.at + delay_s, Towards.COLLECTOR)
        self.struck.append(self.hits.total() > before)
        for step in steps:
            asyncio.get_running_loop().call_at(step.at, self._take, step, between)

    async def read(self, deadline: float) -> bytes:
        self._alive()
        if not self._buffer and not self._lost and self._bell is not None:
            await self._bell.wait(deadline)
        data = bytes(self._buffer)
        self._buffer.clear()
        if not data:
            self._alive()
        return data

    async def close(self) -> None:
        self._bell = None
        self._buffer.clear()
        if self._tcp:
            self._between = None
            self._hang_up()

    def _alive(self) -> Disturbance:
        if self._between is None or self._bell is None or (self._lost and not self._buffer):
            raise LinkError("connection_lost", Owner.UPLINK, "the other side has gone")
        return self._between

    def _take(self, step: Step, between: Disturbance) -> None:
        if between is not self._between or self._bell is None or between.half_open:
            return
        self._buffer += step.data
        self._lost = self._lost or (step.end is not None and self._tcp)
        self._bell.ring()
