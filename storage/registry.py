"""Records of the registry (档案): points, meters, and which meter is where since when. Frozen, like all records.

Values are millionths of the canonical unit; times are aware and in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Point:
    """A metering point (计量点): the place. Outlives its meters."""

    point: str
    account: str = ""
    role: str = "sale"
    area: str = ""
    feeder: str = ""
    station: str = ""
    section: str = ""
    box: str = ""
    phase: str = ""
    class_: str = "household"
    tariff: str = ""
    billing_group: str = ""
    contract_kva: int | None = None
    """Millionths, as every value here."""
    pv_kw: int | None = None


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter (电能表): the device. `un_v`, `imax_a` in millionths; None = the profile's."""

    meter: str
    profile: str
    channel: str
    address: str
    asset_no: str = ""
    serial: str = ""
    terminal: str = ""
    wiring: str = ""
    un_v: int | None = None
    imax_a: int | None = None
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A transformer's ratio, primary to secondary, as written on its plate: 100/5."""

    primary: int = 1
    secondary: int = 1


@dataclass(frozen=True, slots=True)
class Installation:
    """A meter at a point, from–to (half open), with start readings per quantity and the multipliers of the transformers."""

    meter: str
    point: str
    start: datetime
    end: datetime | None = None
    ct: Ratio = Ratio()
    pt: Ratio = Ratio()
    start_readings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registered:
    """One row of the registry: what is where."""

    meter: Meter
    point: Point
    installation: Installation


@dataclass(frozen=True, slots=True)
class RegistryChange:
    """What an import did."""

    added: int
    changed: int
    unchanged: int
