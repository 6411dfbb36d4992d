"""From configured channels to receivers: one connection, one intake, one inbox for every channel on a broker."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from collector.acquisition import plan
from collector.acquisition.answers import Answers
from collector.acquisition.canary import Canary
from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_connection import Broker
from collector.acquisition.mqtt_link import MqttLink
from collector.clock import Clock
from collector.jobs.receive import PROTOCOL, CutoffOf, Inbox, Keeps, Receive, SlotsFor
from collector.settings.schema import Channel
from collector.settings.secrets import channel_password
from protocols.profile import Profile
from storage.records import Basis, Batch, PlanVersion, Receipt, Slot
from storage.registry import Registered


def subscriber(channel: Channel, environment: Mapping[str, str] = os.environ) -> Broker:
    """As the daemon subscribes: known to the broker by the channel's name, which therefore keeps what it could not deliver.

    Two installations on one broker need channels of different names, or each takes the other's connection.
    """
    return Broker(
        channel.link.host,
        channel.link.port,
        f"chaobiao-{channel.name}",
        channel.topics,
        channel.username,
        channel_password(channel, environment),
    )


def listener(channel: Channel, environment: Mapping[str, str] = os.environ) -> Broker:
    """As `read` subscribes, beside a daemon and without taking anything from it: the broker forgets it at the end."""
    daemon = subscriber(channel, environment)
    return Broker(
        daemon.host,
        daemon.port,
        f"chaobiao-read-{uuid.uuid4().hex[:8]}",
        daemon.topics,
        daemon.username,
        daemon.password,
        kept=False,
    )


def receivers_for(
    channels: Iterable[Channel],
    registered: Iterable[Registered],
    profiles: Mapping[str, Profile],
    ledger: Keeps,
    clock: Clock,
    *,
    zone: ZoneInfo,
    slots_for: SlotsFor = lambda *_: (),
    cutoff_of: CutoffOf = lambda _: None,
    told: Callable[[Batch, Receipt], None] = lambda *_: None,
    broker_of: Callable[[Channel], Broker] = subscriber,
    answer: bool = True,
) -> dict[str, Receive]:
    """A receiver for every channel that pushes; those that are polled have none. `answer`: concentrators, too."""
    rows = tuple(registered)
    receivers = {}
    for channel in channels:
        if channel.protocol == PROTOCOL:
            intake = Intake()
            link = MqttLink(broker_of(channel), intake, clock)
            inbox = Inbox(
                channel.name, profiles, rows, zone=zone, slots_for=slots_for, cutoff_of=cutoff_of, also=channel.also
            )
            answers = _answers(channel, link, ledger, clock) if answer else None
            canary = None if channel.canary is None else Canary(link, channel.canary)
            receivers[channel.name] = Receive(link, intake, inbox, ledger, answers=answers, canary=canary, told=told)
    return receivers


def _answers(channel: Channel, link: MqttLink, ledger: Keeps, clock: Clock) -> Answers | None:
    if channel.ack is None and channel.resend is None:
        return None
    return Answers(link, channel.name, ledger.senders, clock, ack=channel.ack, resend=channel.resend)


class Receiving:
    """The receivers of the present configuration, each in a task of its own; changes them without dropping others."""

    def __init__(self, tasks: asyncio.TaskGroup, make: Callable[[Channel], Receive]) -> None:
        self._tasks = tasks
        self._make = make
        self._running: dict[str, tuple[Channel, Receive, asyncio.Event, asyncio.Task[None]]] = {}

    def change(self, channels: Iterable[Channel], registered: Iterable[Registered]) -> None:
        """One for every channel that pushes: those that stay learn the registry, others end as at a drain or begin."""
        wanted = {channel.name: channel for channel in channels if channel.protocol == PROTOCOL}
        rows = tuple(registered)
        for name, (channel, receiver, stop, _) in list(self._running.items()):
            if wanted.get(name) == channel:
                receiver.inbox.load(rows)
            else:
                stop.set()
                del self._running[name]
        for name in wanted.keys() - self._running.keys():
            receiver, stop = self._make(wanted[name]), asyncio.Event()
            receiver.inbox.load(rows)
            running = self._tasks.create_task(receiver.run(stop))
            self._running[name] = (wanted[name], receiver, stop, running)

    def stop(self) -> list[asyncio.Task[None]]:
        """Drain them all; the tasks to wait for."""
        for _, _, stop, _ in self._running.values():
            stop.set()
        return [task for _, _, _, task in self._running.values()]


def owed_slots(versions: Callable[[], Iterable[PlanVersion]], zone: ZoneInfo, gives: plan.Gives) -> SlotsFor:
    """Which slots a pushed value fills, by the plans as they are valid when it comes."""

    def slots(one: Registered, quantity: str, basis: Basis, instant: datetime) -> Iterable[Slot]:
        return plan.slots_for(versions(), one, quantity, basis, instant, zone=zone, gives=gives)

    return slots


def cutoffs_owed(versions: Callable[[], Iterable[PlanVersion]], zone: ZoneInfo) -> CutoffOf:
    """Until when a slot's value counts as first round, by the plans as they are valid when it comes."""
    return lambda slot: plan.cutoff_for(versions(), slot, zone)
