"""From configured channels to receivers: one connection, one intake, one inbox for every channel on a broker."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from collector.acquisition import plan
from collector.acquisition.intake import Intake
from collector.acquisition.mqtt_link import Broker, MqttLink
from collector.clock import Clock
from collector.jobs.receive import PROTOCOL, Appends, Inbox, Receive, SlotsFor
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
    ledger: Appends,
    clock: Clock,
    *,
    zone: ZoneInfo,
    slots_for: SlotsFor = lambda *_: (),
    told: Callable[[Batch, Receipt], None] = lambda *_: None,
    broker_of: Callable[[Channel], Broker] = subscriber,
) -> dict[str, Receive]:
    """A receiver for every channel that pushes; those that are polled have none."""
    rows = tuple(registered)
    receivers = {}
    for channel in channels:
        if channel.protocol == PROTOCOL:
            intake = Intake()
            link = MqttLink(broker_of(channel), intake, clock)
            inbox = Inbox(channel.name, profiles, rows, zone=zone, slots_for=slots_for)
            receivers[channel.name] = Receive(link, intake, inbox, ledger, told=told)
    return receivers


def owed_slots(versions: Iterable[PlanVersion], zone: ZoneInfo, gives: plan.Gives) -> SlotsFor:
    """Which slots a pushed value fills, by the plans as they are valid."""
    plans = tuple(versions)

    def slots(one: Registered, quantity: str, basis: Basis, instant: datetime) -> Iterable[Slot]:
        return plan.slots_for(plans, one, quantity, basis, instant, zone=zone, gives=gives)

    return slots
