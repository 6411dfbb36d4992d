"""What `collector.toml` may say (DESIGN §8): frozen records, strict types, no unknown keys.

A field's example is how messages show the way it is written; config/collector.toml explains each to people, and a test
holds the two together. What two keys say of each other is `crosscheck`'s.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from collector.settings.database import Database
from collector.settings.fields import (
    Bytes,
    FilePath,
    Link,
    MinuteOfDay,
    Name,
    Offset,
    Percent,
    PlainTopic,
    SenderTopic,
    Topic,
    ToRead,
    Zone,
    span,
)
from collector.settings.protocol_names import ProtocolName
from storage.records import Basis, Plan


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


class Site(_Table):
    """Where the meters are."""

    zone: Zone = Field("Asia/Shanghai", examples=['"Asia/Shanghai"'])
    profiles_d: FilePath | None = Field(None, examples=['"profiles.d"'])
    """A folder of profiles of this site, beside the built-in ones."""


class Storage(_Table):
    """Where readings are kept."""

    url: Database = Field(examples=['"sqlite:///chaobiao.db"'])


class RegistryFile(_Table):
    """Which meters there are."""

    file: FilePath = Field(examples=['"meters.csv"'])


class Channel(_Table):
    """A link with the devices behind it, and how one talks to them."""

    name: Name = Field(examples=['"village-1"'])
    link: Link = Field(examples=['"tcp://127.0.0.1:8021"'])
    protocol: ProtocolName = Field(examples=['"dlt645"'])
    timeout: Annotated[timedelta, BeforeValidator(span("10ms", "5m"))] = Field(timedelta(seconds=1), examples=['"1s"'])
    """From the last byte of a question to the last byte of its answer."""
    retries: int = Field(2, ge=0, le=10, examples=["2"])
    """After the first try."""
    worst_reply: Annotated[timedelta, BeforeValidator(span("10ms", "15m"))] | None = Field(None, examples=['"3s"'])
    gap: Annotated[timedelta, BeforeValidator(span("1ms", "5s"))] | None = Field(None, examples=['"30ms"'])
    """Silence that ends a frame; None = the protocol's."""
    in_flight: int = Field(1, ge=1, le=16, examples=["4"])
    """Questions that may be under way at once; a Modbus TCP gateway must allow it."""
    echo: bool = Field(False, examples=["false"])
    """The adapter gives back all that is sent."""
    topics: tuple[Topic, ...] = Field((), examples=['["meters/+/reading"]'])
    also: tuple[Name, ...] = Field((), examples=['["village-1"]'])
    """Channels whose meters push here as well as being polled there."""
    ack: SenderTopic | None = Field(None, examples=['"meters/{sender}/ack"'])
    """Where concentrators hear up to which of their messages we have them; None: they are not told."""
    resend: SenderTopic | None = Field(None, examples=['"meters/{sender}/resend"'])
    """Where they are asked for those that are missing."""
    canary: PlainTopic | None = Field(None, examples=['"meters/chaobiao/reading"'])
    """Where we publish to ourselves now and then; None: a right to read that is taken away goes unnoticed."""
    username: str | None = Field(None, min_length=1, examples=['"collector"'])
    password_file: FilePath | None = Field(None, examples=['"broker.password"'])
    identity: Bytes | None = Field(None, examples=['"4712"'])
    heartbeat: Bytes | None = Field(None, examples=['"hex:FE"'])

    @property
    def medium(self) -> str:
        """Channels of one medium share one link. Behind one listening port each caller is a medium of its own."""
        return self.link.medium if self.identity is None else f"{self.link.medium}:{self.identity.hex()}"

    @property
    def quarantine(self) -> timedelta:
        """How late an answer may still come: `worst_reply`, by default three times the timeout."""
        return self.worst_reply if self.worst_reply is not None else 3 * self.timeout


class PlanSettings(_Table):
    """What to read, from whom, when."""

    name: Name = Field(examples=['"daily"'])
    read: tuple[ToRead, ...] = Field(min_length=1, examples=['["1-0:1.8.0"]'])
    basis: Literal["instant", "freeze", "settlement", "curve"] = Field("instant", examples=['"freeze"'])
    at: MinuteOfDay | None = Field(None, examples=['"00:05"'])
    every: Annotated[timedelta, BeforeValidator(span("1s", "1d"))] | None = Field(None, examples=['"15m"'])
    channels: tuple[Name, ...] = Field((), examples=['["village-1"]'])
    areas: tuple[str, ...] = Field((), examples=['["TA-0107"]'])
    stations: tuple[str, ...] = Field((), examples=['["East"]'])
    classes: tuple[str, ...] = Field((), examples=['["household"]'])
    profiles: tuple[str, ...] = Field((), examples=['["dlt645_2007_3p"]'])
    days: tuple[Annotated[int, Field(ge=1, le=28)], ...] = Field((), examples=["[1]"])
    """Of the month, for settlements; without it the 1st."""
    jitter: Annotated[timedelta, BeforeValidator(span("1s", "6h"))] | None = Field(None, examples=['"2m"'])
    window: Annotated[timedelta, BeforeValidator(span("1s", "1d"))] | None = Field(None, examples=['"6h"'])
    cutoff: MinuteOfDay | None = Field(None, examples=['"08:00"'])
    """Of the day after the data day."""

    def record(self) -> Plan:
        """As the planner and the ledger know it."""
        return Plan(
            name=self.name,
            read=self.read,
            basis=Basis(self.basis),
            every_s=_seconds(self.every),
            at_minute=self.at,
            channels=self.channels,
            areas=self.areas,
            stations=self.stations,
            classes=self.classes,
            profiles=self.profiles,
            days=tuple(sorted(self.days)),
            jitter_s=_seconds(self.jitter) or 0,
            window_s=_seconds(self.window),
            cutoff_minute=self.cutoff,
        )


def _seconds(span: timedelta | None) -> int | None:
    """Whole ones: `crosscheck` has seen to it."""
    return None if span is None else span // timedelta(seconds=1)


class BillingGroup(_Table):
    """Points with the same reading day, cut-off and release."""

    name: Name = Field(examples=['"homes"'])
    day: int = Field(1, ge=1, le=28, examples=["1"])
    """Of the month; 28 at most, so that every month has it."""
    cutoff: Offset = Field(timedelta(days=3), examples=['"+3d"'])
    release: Offset = Field(timedelta(days=4), examples=['"+4d"'])


class Billing(_Table):
    """Where verified readings are handed over."""

    directory: FilePath = Field(examples=['"deliveries"'])
    deliver: MinuteOfDay | None = Field(None, examples=['"06:30"'])
    """When the daemon hands over, every day; None = only `chaobiao billing deliver` does."""
    groups: tuple[BillingGroup, ...] = Field((), alias="group")


class Targets(_Table):
    """What the utility wants to reach, in percent."""

    read: Percent = Field(Decimal("99.5"), examples=["99.5"])


class Rules(_Table):
    """Thresholds of the rules that judge readings."""

    margin: Percent = Field(Decimal(1), examples=["1"])
    """How far a meter may be off and still be right."""
    over_voltage: Percent = Field(Decimal(15), examples=["15"])
    """Above the nominal voltage; IEC 62052-11 §7.1 ends the limit range of operation there."""
    slack: Annotated[timedelta, BeforeValidator(span("1ms", "5m"))] = Field(timedelta(seconds=10), examples=['"10s"'])
    """Between the instant at which a register was read and the stamp of its answer."""


class ClockSettings(_Table):
    """Meters' clocks: when one is off, and who may put it right."""

    limit: Annotated[timedelta, BeforeValidator(span("1s", "1h"))] = Field(timedelta(minutes=2), examples=['"2m"'])
    correct: Literal["never", "command", "broadcast", "set"] = Field("never", examples=['"never"'])
    """Each allows what stands before it."""
    at: MinuteOfDay = Field(10 * 60 + 22, examples=['"10:22"'])
    """When clocks are looked at, and told the time where that is allowed."""
    password_file: FilePath | None = Field(None, examples=['"clock.password"'])
    operator: str = Field("00000000", pattern=r"^[0-9A-F]{8}$", examples=['"00000000"'])


class Settings(_Table):
    """One installation."""

    format: Literal[1] = Field(1, examples=["1"])
    site: Site = Field(default_factory=Site)
    storage: Storage
    registry: RegistryFile
    channels: tuple[Channel, ...] = Field((), alias="channel")
    plans: tuple[PlanSettings, ...] = Field((), alias="plan")
    billing: Billing | None = None
    targets: Targets = Field(default_factory=Targets)
    rules: Rules = Field(default_factory=Rules)
    clock: ClockSettings = Field(default_factory=ClockSettings)

    @property
    def zone(self) -> ZoneInfo:
        """For days, tariffs, freezes and display."""
        return ZoneInfo(self.site.zone)

    @property
    def plan_records(self) -> tuple[Plan, ...]:
        """All plans, as the planner and the ledger know them."""
        return tuple(plan.record() for plan in self.plans)

    @property
    def reading_days(self) -> dict[str, int]:
        """Of each billing group."""
        return {group.name: group.day for group in self.billing.groups} if self.billing else {}

    def channel(self, name: str) -> Channel:
        """The channel of this name; the registry names no other."""
        return next(channel for channel in self.channels if channel.name == name)
