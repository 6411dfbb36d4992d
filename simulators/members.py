"""From a scenario to its meters: each entry becomes a physical meter with its customer, its faults and its plate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from protocols.profile import Profile
from simulators.faults import Fault
from simulators.load import Load
from simulators.meter import Meter
from simulators.scenario import Line, MeterEntry, Scenario, each_meter
from simulators.shapes import SHAPES
from simulators.timepiece import Timepiece

MILLION = 1_000_000
DEFAULT_UN_V, DEFAULT_IMAX_A = Decimal(220), Decimal(60)
FIRST_SERIAL = 24_030_001


@dataclass(frozen=True, slots=True)
class Member:
    """One meter of the fleet: what the scenario says of it, how it is read, and the thing itself."""

    entry: MeterEntry
    line: Line
    profile: Profile
    meter: Meter
    serial: str
    un_v: Decimal
    imax_a: Decimal

    @property
    def name(self) -> str:
        """The meter's id."""
        return self.entry.meter


def planted(scenario: Scenario, start: datetime) -> tuple[Fault, ...]:
    """The scenario's faults as instants."""
    return tuple(
        Fault(
            meter=one.meter,
            kind=one.kind,
            start=start + one.from_,
            end=None if one.to is None else start + one.to,
            share=one.share,
            kwh=one.kwh,
            back=one.back,
        )
        for one in scenario.fault
    )


def mounted_at(scenario: Scenario, start: datetime) -> datetime:
    """The local midnight on which all meters were mounted."""
    zone = ZoneInfo(scenario.zone)
    return datetime.combine((start - scenario.history).astimezone(zone).date(), time(), tzinfo=zone)


def build_members(scenario: Scenario, profiles: Mapping[str, Profile], start: datetime) -> tuple[Member, ...]:
    """All meters, in the scenario's order."""
    lines = {line.name: line for line in scenario.line}
    faults = planted(scenario, start)
    mounted = mounted_at(scenario, start)
    members: list[Member] = []
    for entry in (one for several in scenario.meter for one in each_meter(several)):
        profile = profiles[entry.profile]
        un_v = entry.un_v or profile.un_v or DEFAULT_UN_V
        imax_a = entry.imax_a or profile.imax_a or DEFAULT_IMAX_A
        zone = ZoneInfo(scenario.zone)
        load = Load(
            SHAPES[entry.load],
            seed=scenario.seed,
            name=entry.meter,
            zone=zone,
            since=mounted,
            phases=profile.phases,
            size=entry.size,
            limit_w=int(un_v * imax_a),
        )
        meter = Meter(
            entry.meter,
            load,
            mounted=mounted,
            zone=zone,
            phases=profile.phases,
            un_mv=int(un_v * 1000),
            start_kwh=int(entry.register_ * MILLION),
            faults=[fault for fault in faults if fault.meter == entry.meter],
            timepiece=_timepiece(entry, zone, mounted, start),
        )
        serial = entry.serial or str(FIRST_SERIAL + len(members))
        members.append(Member(entry, lines[entry.line], profile, meter, serial, un_v, imax_a))
    return tuple(members)


def _timepiece(entry: MeterEntry, zone: ZoneInfo, mounted: datetime, start: datetime) -> Timepiece:
    """A clock that is `clock` ahead at the start has gained some of it before."""
    gained = (start - mounted) * entry.clock_ppm / MILLION
    return Timepiece(zone, mounted, off=entry.clock - gained, ppm=entry.clock_ppm)


def begin(scenario: Scenario, start: datetime | None) -> datetime:
    """When the story begins: where the scenario says, or elsewhere; in the scenario's zone."""
    return (start or scenario.start).astimezone(ZoneInfo(scenario.zone))
