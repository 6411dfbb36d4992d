"""The one door to the simulators: a scenario becomes meters that answer on real sockets, and afterwards tell the truth.

    scenario = load_scenario("demo", profiles)
    async with Fleet(scenario, now=clock.now, profiles=profiles) as fleet:
        fleet.listening                 where each meter is to be found; `fleet.left_out`: lines that cannot be, and why
        fleet.write_config(folder)      a configuration and registry for exactly this fleet
        await fleet.publish_until(…)    meters that push: what they owe until then, acknowledged by the broker
        fleet.truth                     what was shown; `fleet.write_truth(path)` keeps it

The fleet never asks what time it is: `now` is given, so a driven clock drives the meters too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from protocols.profile import Profile
from simulators.broker import Broker, find_broker
from simulators.configuration import write_configuration
from simulators.dlt645_face import Dlt645Bus, Dlt645Meter
from simulators.dlt645_server import Dlt645Server
from simulators.errors import BrokerError, ScenarioError, SimulatorError
from simulators.faults import EXPECTED, Fault, FaultKind
from simulators.json_face import JsonMeter
from simulators.members import Member, begin, build_members, planted
from simulators.modbus_registers import RegisterImage
from simulators.modbus_server import ModbusServer
from simulators.mqtt_publisher import MqttPublisher
from simulators.scenario import Line, Scenario, builtin_scenarios, load_scenario
from simulators.truth import Truth, write_truth

__all__ = [
    "EXPECTED",
    "BrokerError",
    "Fault",
    "FaultKind",
    "Fleet",
    "Listening",
    "Member",
    "Scenario",
    "ScenarioError",
    "SimulatorError",
    "Truth",
    "builtin_scenarios",
    "load_scenario",
    "simulate",
]
MQTT_PORT = 1883
PUSH_EVERY_S = 1.0
"""How often a fleet in real time looks whether a meter owes a message."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listening:
    """Where one meter is to be found."""

    meter: str
    line: str
    protocol: str
    url: str
    address: str


class Fleet:
    """A scenario on real sockets of 127.0.0.1. Building it opens nothing; `async with` does.

    `start` moves the story (for a fleet in real time: to the present). Meters that push go to `broker`
    (`mqtt://host:port`), or to a Mosquitto that the fleet starts for itself; where there is none, they are left out.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        now: Callable[[], datetime],
        profiles: Mapping[str, Profile],
        start: datetime | None = None,
        broker: str | None = None,
    ) -> None:
        self.scenario = scenario
        self.start = begin(scenario, start)
        self.members: tuple[Member, ...] = build_members(scenario, profiles, self.start)
        self.faults = planted(scenario, self.start)
        self.truth = Truth()
        self.left_out: dict[str, str] = {}
        self._now = now
        self._broker = broker
        self._stack = AsyncExitStack()
        self._urls: dict[str, str] = {}
        self._publishers: list[MqttPublisher] = []

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
        """Meters that can be reached and have no fault planted."""
        ill = {fault.meter for fault in self.faults}
        return tuple(one for one in self.members if one.name not in ill and one.line.name in self._urls)

    @property
    def acknowledged(self) -> int:
        """Messages that were published and acknowledged by the broker."""
        return sum(one.acknowledged for one in self._publishers)

    async def __aenter__(self) -> Self:
        for one in self.members:
            one.meter.counts(self.start)  # a meter knows its past before anybody asks: no first answer comes late
            await asyncio.sleep(0)
        async with AsyncExitStack() as stack:
            for line in self.scenario.line:
                here = [one for one in self.members if one.line is line]
                if here and (url := await self._open(stack, line, here)):
                    self._urls[line.name] = url
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._urls.clear()
        self._publishers.clear()
        await self._stack.aclose()

    async def publish_until(self, instant: datetime) -> None:
        """Meters that push send what they owe until an instant; returns when the broker has acknowledged all of it.

        :raises BrokerError: if it does not; what is left is sent first the next time.
        """
        for publisher in self._publishers:
            await publisher.publish_until(instant)

    async def serve(self) -> None:
        """Live in the time that `now` tells, until cancelled."""
        complained = False
        while True:
            try:
                await self.publish_until(self._now())
                complained = False
            except BrokerError as error:
                if not complained:
                    _log.warning("%s; trying again", error)
                complained = True
            await asyncio.sleep(PUSH_EVERY_S)

    def write_config(self, folder: Path) -> tuple[Path, Path]:
        """`collector.toml` and `meters.csv` for what listens now."""
        return write_configuration(folder, self.scenario, self.members, self._urls)

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

    async def _open(self, stack: AsyncExitStack, line: Line, here: list[Member]) -> str:
        reply_s = line.reply.total_seconds()
        match line.protocol:
            case "modbus-tcp" | "modbus-rtu":
                units = {int(one.entry.address): RegisterImage(one.profile, one.meter, one.serial) for one in here}
                rtu = line.protocol == "modbus-rtu"
                server = ModbusServer(units, now=self._now, truth=self.truth, rtu=rtu, reply_s=reply_s)
                await stack.enter_async_context(server)
                return f"tcp://127.0.0.1:{server.port}"
            case "dlt645":
                bus = Dlt645Bus([_on_the_line(one) for one in here], truth=self.truth, reply_s=reply_s)
                port = (await stack.enter_async_context(Dlt645Server(bus, now=self._now))).port
                return f"tcp://127.0.0.1:{port}"
            case "mqtt-json":
                return await self._push(stack, line, here)

    async def _push(self, stack: AsyncExitStack, line: Line, here: list[Member]) -> str:
        if self._broker is None:
            if find_broker() is None:
                self.left_out[line.name] = "there is no Mosquitto here; on Debian the package is called mosquitto"
                return ""
            own = await stack.enter_async_context(Broker())
            self._broker = f"mqtt://{own.host}:{own.port}"
        parts = urlsplit(self._broker)
        meters = [
            JsonMeter(one.entry.address, one.meter, one.profile, every=line.every, since=self.start) for one in here
        ]
        publisher = MqttPublisher(
            meters,
            host=parts.hostname or "127.0.0.1",
            port=parts.port or MQTT_PORT,
            name=f"chaobiao-meters-{line.name}",
            truth=self.truth,
        )
        self._publishers.append(await stack.enter_async_context(publisher))
        return self._broker


async def simulate(
    scenario: Scenario,
    *,
    now: Callable[[], datetime],
    profiles: Mapping[str, Profile],
    tell: Callable[[Fleet], None],
    broker: str | None = None,
    truth: Path | None = None,
) -> None:
    """Serve a scenario from now on until cancelled. `tell` is called once, when everything listens.

    :raises SimulatorError: where a line cannot be opened.
    """
    async with Fleet(scenario, now=now, profiles=profiles, start=now(), broker=broker) as fleet:
        try:
            tell(fleet)
            await fleet.serve()
        finally:
            if truth is not None:
                fleet.write_truth(truth)


def _on_the_line(one: Member) -> Dlt645Meter:
    address = one.entry.address.rjust(12, "0")
    password = bytes.fromhex(one.entry.password)
    return Dlt645Meter(address, one.serial, one.meter, preamble=int(address[-1]) % 5, password=password)
