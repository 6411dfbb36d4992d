"""The one door to the simulators: a scenario becomes meters that answer on real sockets, and afterwards tell the truth.

    async with Fleet(load_scenario("demo", profiles), now=clock.now, profiles=profiles) as fleet:
        fleet.listening                 where each meter is to be found
        fleet.write_config(folder)      a configuration and registry for exactly this fleet
        await fleet.publish_until(…)    meters that push: what they owe until then, acknowledged by the broker
        fleet.truth                     what was shown; `fleet.write_truth(path)` keeps it

The fleet never asks what time it is: `now` is given, so a driven clock drives the meters too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from protocols.profile import Profile
from simulators.members import Member, begin, build_members, planted
from simulators.modbus_registers import RegisterImage
from simulators.modbus_server import ModbusServer
from simulators.scenario import Line, Scenario
from simulators.truth import Truth, write_truth


@dataclass(frozen=True, slots=True)
class Listening:
    """Where one meter is to be found."""

    meter: str
    line: str
    protocol: str
    url: str
    address: str


class Fleet:
    """A scenario on real sockets of 127.0.0.1. Building it opens nothing; `async with` does."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        now: Callable[[], datetime],
        profiles: Mapping[str, Profile],
        start: datetime | None = None,
    ) -> None:
        self.scenario = scenario
        self.start = begin(scenario, start)
        self.members: tuple[Member, ...] = build_members(scenario, profiles, self.start)
        self.faults = planted(scenario, self.start)
        self.truth = Truth()
        self._now = now
        self._stack = AsyncExitStack()
        self._urls: dict[str, str] = {}

    @property
    def listening(self) -> tuple[Listening, ...]:
        """Every meter that can be reached, in the scenario's order."""
        return tuple(
            Listening(one.name, one.line.name, one.line.protocol, self._urls[one.line.name], one.entry.address)
            for one in self.members
            if one.line.name in self._urls
        )

    @property
    def healthy(self) -> tuple[Member, ...]:
        """Meters with no fault planted."""
        ill = {fault.meter for fault in self.faults}
        return tuple(one for one in self.members if one.name not in ill)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for line in self.scenario.line:
                here = [one for one in self.members if one.line is line]
                if here and (url := await self._open(stack, line, here)):
                    self._urls[line.name] = url
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._urls.clear()
        await self._stack.aclose()

    async def _open(self, stack: AsyncExitStack, line: Line, here: list[Member]) -> str:
        reply_s = line.reply.total_seconds()
        match line.protocol:
            case "modbus-tcp" | "modbus-rtu":
                units = {int(one.entry.address): RegisterImage(one.profile, one.meter, one.serial) for one in here}
                rtu = line.protocol == "modbus-rtu"
                server = ModbusServer(units, now=self._now, truth=self.truth, rtu=rtu, reply_s=reply_s)
                await stack.enter_async_context(server)
                return f"tcp://127.0.0.1:{server.port}"
            case _:
                return ""

    def write_truth(self, path: Path) -> None:
        """The truth file of this run (see `truth.py`)."""
        head = {"scenario": self.scenario.title, "seed": self.scenario.seed, "zone": self.scenario.zone}
        meters = [
            {
                "meter": one.name,
                "profile": one.profile.id,
                "line": one.line.name,
                "address": one.entry.address,
                "mounted": one.meter.mounted.isoformat(),
                "start_kwh": str(one.entry.register_),
            }
            for one in self.members
        ]
        write_truth(path, self.truth.lines({**head, "start": self.start.isoformat()}, meters, self.faults))
