"""Meters that push, a Mosquitto between, and the collector's receiving side over a database on disk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from aiomqtt import Client, ProtocolVersion

from collector.acquisition.answers import Answers
from collector.acquisition.backoff import Backoff
from collector.acquisition.canary import Canary
from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_connection import Broker
from collector.acquisition.mqtt_link import MqttLink
from collector.acquisition.plan import gives_by
from collector.acquisition.resend import Gaps
from collector.acquisition.takeovers import Takeovers
from collector.clock import DrivenClock
from collector.jobs.receive import Inbox, Receive
from collector.jobs.receivers import owed_slots
from protocols.profile import Profile
from simulators.json_face import JsonMeter, Message
from simulators.truth import Truth
from storage.engine import open_ledger
from storage.ledger.port import Ledger
from storage.records import Batch, Judged, Plan, Receipt
from storage.registry import Installation, Meter, Point, Registered
from tests.flow.faults.devices import simulated
from tests.flow.faults.street import ENERGY, PROFILES, QUARTER, SHANGHAI, START
from tests.links.broker import Mosquitto

LONG_AGO = START - timedelta(days=41)
CHANNEL = "broker"
AT_ONCE = 8


def standing(count: int) -> tuple[Registered, ...]:
    """Meters r1, r2 …"""
    return tuple(
        Registered(
            Meter(name, "json_meter", CHANNEL, name, un_v=220_000_000, imax_a=60_000_000),
            Point(f"P-{name}"),
            Installation(name, f"P-{name}", LONG_AGO),
        )
        for name in (f"r{n + 1}" for n in range(count))
    )


def messages(rows: Sequence[Registered], truth: Truth, since: datetime, until: datetime, seed: int) -> list[Message]:
    """All that these meters push in (since, until], and the truth of it."""
    made: list[Message] = []
    for one in rows:
        meter = simulated(one.meter, PROFILES["json_meter"], LONG_AGO.astimezone(SHANGHAI), seed)
        face = JsonMeter(one.meter.address, meter, PROFILES["json_meter"], every=QUARTER, since=since)
        made += face.owed(until)
    for message in made:
        truth.show(message.meter, message.time, message.displays)
    return made


@dataclass(slots=True)
class Mailbox:
    """The collector's side of it. `committed` grows as the ledger gives receipts."""

    ledger: Ledger
    inbox: Inbox
    link: MqttLink = field(init=False)
    committed: list[tuple[Batch, Receipt]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self, batch: Batch, receipt: Receipt) -> None:
        """After each commit."""
        self.committed.append((batch, receipt))
        self._news.set()

    @property
    def heard(self) -> int:
        """Messages that were read, poison too."""
        return sum(len(batch.frames) + len(batch.dead_letters) for batch, _ in self.committed)

    async def hears(self, done: Callable[[], bool]) -> None:
        """Wait until it is so."""
        while not done():
            self._news.clear()
            await self._news.wait()

    async def subscribed(self) -> None:
        """There is a connection."""
        await self.link.subscribed.wait()

    async def stored(self) -> list[Judged]:
        """All that is there."""
        return [one async for one in self.ledger.readings()]


@asynccontextmanager
async def mailbox(
    folder: Path,
    broker: Mosquitto,
    rows: Sequence[Registered],
    now: datetime,
    *,
    intake: Intake | None = None,
    version: Literal["5", "3.1.1"] = "5",
    gaps: Gaps | None = None,
    profiles: Mapping[str, Profile] = PROFILES,
    canary: tuple[str, Mapping[str, float]] | None = None,
    takeovers: Takeovers | None = None,
    login: tuple[str, str] | tuple[None, None] = (None, None),
) -> AsyncIterator[Mailbox]:
    """Subscribed; ended in good order with the block. With MQTT 5 the window is ours, with 3.1.1 the broker's.

    With `gaps`, concentrators are answered.
    """
    clock = DrivenClock(now)
    ledger = await open_ledger(f"sqlite:///{folder / 'ledger.db'}", create=True)
    await ledger.import_registry(rows, digest="", at=LONG_AGO)
    await ledger.keep_plans([Plan("quarter", (ENERGY,), every_s=900)], at=LONG_AGO)
    versions = await ledger.plan_versions(LONG_AGO, now)
    owed = owed_slots(lambda: versions, SHANGHAI, gives_by(PROFILES))
    box = Mailbox(ledger, Inbox(CHANNEL, profiles, rows, zone=SHANGHAI, slots_for=owed))
    intake, stop = intake or Intake(), asyncio.Event()
    topics = ("meters/+/reading",)
    where = Broker(broker.host, broker.port, "chaobiao-faults", topics, login[0], login[1], version=version)
    link = MqttLink(where, intake, clock, backoff=Backoff(first_s=0.05, ceiling_s=0.2), takeovers=takeovers)
    box.link = link
    bird = None if canary is None else Canary(link, canary[0], **canary[1])
    answers = None
    if gaps is not None:
        told = {"ack": "meters/{sender}/ack", "resend": "meters/{sender}/resend"}
        answers = Answers(link, CHANNEL, ledger.senders, clock, gaps=gaps, backoff=Backoff(first_s=0.05), **told)
    receive = Receive(link, intake, box.inbox, ledger, answers=answers, canary=bird, told=box.told)
    receiving = asyncio.create_task(receive.run(stop))
    try:
        await asyncio.wait_for(link.subscribed.wait(), 10)
        yield box
    finally:
        stop.set()
        await asyncio.wait_for(receiving, 10)
        await ledger.close()


async def publish(broker: Mosquitto, sent: Iterable[tuple[str, bytes]]) -> None:
    """In this order, eight at a time; each is acknowledged by the broker."""
    waiting = list(sent)
    async with Client("127.0.0.1", broker.port, protocol=ProtocolVersion.V5, timeout=30) as client:
        for first in range(0, len(waiting), AT_ONCE):
            async with asyncio.TaskGroup() as tasks:
                for topic, payload in waiting[first : first + AT_ONCE]:
                    tasks.create_task(client.publish(topic, payload, qos=1))


def doubled(made: Sequence[Message], share: float, dice: random.Random) -> list[tuple[str, bytes]]:
    """Each message, and a share of them once more."""
    sent: list[tuple[str, bytes]] = []
    for one in made:
        sent += [(one.topic, one.payload)] * (2 if dice.random() < share else 1)
    return sent
