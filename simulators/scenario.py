"""A scenario: which meters there are, who draws what behind them, and what goes wrong when. A TOML file, `format = 1`.

    title, seed, zone, start            when the story begins; `history` before that the meters were mounted
    [[line]]     name, protocol         a listener: one RS-485 line, one gateway, or one broker
    [[meter]]    meter, line, profile   one meter or, with `count`, several: {n} in its names, addresses that count up
    [[fault]]    meter, kind, from, to  times count from `start`

Everything is checked before a socket opens; every mistake is told at once, with file, line and key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from protocols.errors import TomlProblem
from protocols.profile import Exact, Profile
from protocols.tomlfile import TomlFile, parse_toml, read_toml
from simulators.errors import ScenarioError
from simulators.faults import LINE_FAULTS, FaultKind
from simulators.shapes import SHAPES

Protocol = Literal["modbus-tcp", "modbus-rtu", "dlt645", "mqtt-json"]
FAMILY = {"modbus-tcp": "modbus", "modbus-rtu": "modbus", "dlt645": "dlt645", "mqtt-json": "mqtt-json"}
CHECKSUMMED = ("modbus-rtu", "dlt645")
_PART = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> timedelta:
    if isinstance(value, str) and re.fullmatch(rf"(?:{_PART.pattern})+", value):
        parts = [timedelta(**{_UNITS[unit]: int(number)}) for number, unit in _PART.findall(value)]
        return sum(parts, timedelta())
    raise ValueError('write a duration as "400ms", "15m", "1h30m" or "2d"')


def _signed(value: object) -> timedelta:
    """A clock may be slow, too."""
    if isinstance(value, str) and value.startswith("-"):
        return -_duration(value[1:])
    return _duration(value)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{name!r} is no time zone") from None
    return name


def _shape(name: str) -> str:
    if name not in SHAPES:
        raise ValueError(f"{name!r} is no load; there are {', '.join(SHAPES)}")
    return name


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(_Strict):
    """One listener. `reply`: how long an answer takes; `every`: how often meters on a broker publish.

    `timeout`, `worst_reply`, `retries` are for the collector: the configuration that is written for a fleet says them.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    protocol: Protocol
    reply: Duration = timedelta()
    every: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=15)
    timeout: Duration | None = None
    worst_reply: Duration | None = None
    retries: int | None = Field(default=None, ge=0, le=10)


class MeterEntry(_Strict):
    """One meter, or `count` of them. `register` is what its import register showed when it was mounted."""

    meter: str
    line: str
    profile: str
    address: str
    count: int = Field(default=1, ge=1, le=100_000)
    load: Annotated[str, AfterValidator(_shape)] = "household"
    size: int = Field(default=1000, ge=1, le=100_000)
    """Thousandths of the load's shape."""
    register_: Exact = Field(default=Decimal(0), alias="register", ge=0, lt=1_000_000)
    serial: str = ""
    point: str = ""
    account: str = ""
    role: Literal["sale", "generation", "export", "area_total", "check"] = "sale"
    area: str = ""
    feeder: str = ""
    station: str = ""
    section: str = ""
    box: str = ""
    phase: str = ""
    class_: Literal["household", "business", "farm", "industry", "street_light", "public"] = Field(
        default="household", alias="class"
    )
    tariff: str = ""
    billing_group: str = ""
    asset_no: str = ""
    clock: Annotated[timedelta, BeforeValidator(_signed)] = timedelta()
    """How far its clock is ahead when the story begins; "-3m" is behind."""
    clock_ppm: int = Field(default=0, ge=-1000, le=1000)
    """Microseconds that it gains each second."""
    password: str = Field(default="02000000", pattern=r"^[0-9]{8}$")
    """DL/T 645: level and password that let its clock be set, as they go over the wire."""
    un_v: Exact | None = Field(default=None, gt=0)
    imax_a: Exact | None = Field(default=None, gt=0)


class FaultEntry(_Strict):
    """One fault, from–to counted from the start; without `to` it lasts."""

    meter: str
    kind: FaultKind
    from_: Duration = Field(default=timedelta(), alias="from")
    to: Duration | None = None
    share: int = Field(default=1000, ge=1, le=1000)
    kwh: int = Field(default=0, ge=0)
    back: Duration = timedelta()


class Scenario(_Strict):
    """One file."""

    format: Literal[1] = 1
    title: str
    title_zh: str = ""
    seed: int = 1
    zone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    start: AwareDatetime
    days: int = Field(default=1, ge=1)
    """How many days the story is told for."""
    history: Duration = timedelta(days=10)
    line: tuple[Line, ...] = ()
    meter: tuple[MeterEntry, ...] = ()
    fault: tuple[FaultEntry, ...] = ()


def load_scenario(which: str | Path, profiles: Mapping[str, Profile]) -> Scenario:
    """A file, or the name of one that comes with chaobiao (`demo`, `one-of-each`).

    :raises ScenarioError: one line a mistake, each with file, line and key.
    """
    document = _document(which)
    try:
        scenario = Scenario.model_validate(document.data)
    except ValidationError as error:
        lines = [f"{document.at(one['loc'])}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()]
        raise ScenarioError("\n".join(lines)) from error
    if problems := [f"{document.at(path)}: {message}" for path, message in _contradictions(scenario, profiles)]:
        raise ScenarioError("\n".join(problems))
    return scenario


def builtin_scenarios() -> dict[str, str]:
    """Name → text of the scenarios that come with chaobiao."""
    folder = resources.files("simulators").joinpath("scenarios")
    found = {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(".toml")}
    return {name.removesuffix(".toml"): found[name].read_text(encoding="utf-8") for name in sorted(found)}


def each_meter(entry: MeterEntry) -> Iterator[MeterEntry]:
    """The meters that an entry with `count` stands for."""
    if entry.count == 1:
        yield entry
        return
    for n in range(entry.count):
        numbered = {
            name: value.replace("{n}", f"{n + 1:02d}")
            for name, value in entry
            if isinstance(value, str) and "{n}" in value
        }
        if "address" not in numbered:
            numbered["address"] = str(int(entry.address) + n).rjust(len(entry.address), "0")
        yield entry.model_copy(update={**numbered, "count": 1})


def _document(which: str | Path) -> TomlFile:
    try:
        if isinstance(which, str) and (text := builtin_scenarios().get(which)) is not None:
            return parse_toml(text, f"{which}.toml")
        return read_toml(Path(which))
    except TomlProblem as problem:
        known = f"; scenarios that come along: {', '.join(builtin_scenarios())}" if not Path(which).exists() else ""
        raise ScenarioError(f"{problem}{known}") from problem


Finding = tuple[tuple[str | int, ...], str]


def _contradictions(scenario: Scenario, profiles: Mapping[str, Profile]) -> Iterator[Finding]:
    lines: dict[str, Line] = {}
    for place, line in enumerate(scenario.line):
        if line.name in lines:
            yield ("line", place, "name"), f"the line {line.name!r} is there twice"
        lines[line.name] = line
    names: set[str] = set()
    addresses: set[tuple[str, str]] = set()
    line_of: dict[str, Line] = {}
    doubtful = False
    for place, entry in enumerate(scenario.meter):
        at: tuple[str | int, ...] = ("meter", place)
        wrong = list(_meter_mistakes(at, entry, lines, profiles))
        yield from wrong
        if wrong:
            doubtful = True
            continue
        for one in each_meter(entry):
            if one.meter in names:
                yield (*at, "meter"), f"the meter {one.meter!r} is there twice"
            if (one.line, one.address) in addresses:
                yield (*at, "address"), f"address {one.address} is there twice on {one.line}"
            names.add(one.meter)
            addresses.add((one.line, one.address))
            line_of[one.meter] = lines[one.line]
    if not scenario.meter:
        yield ("meter",), "a fleet has at least one [[meter]]"
    for place, fault in enumerate(scenario.fault):
        at = ("fault", place)
        if fault.meter not in names and not doubtful:
            yield (*at, "meter"), f"there is no meter {fault.meter!r}"
        yield from _fault_mistakes(at, fault, line_of.get(fault.meter))


def _meter_mistakes(
    at: tuple[str | int, ...], entry: MeterEntry, lines: Mapping[str, Line], profiles: Mapping[str, Profile]
) -> Iterator[Finding]:
    line, profile = lines.get(entry.line), profiles.get(entry.profile)
    if line is None:
        yield (*at, "line"), f"there is no line {entry.line!r}"
    if profile is None:
        yield (*at, "profile"), f"there is no profile {entry.profile!r}; there are {', '.join(profiles)}"
    if entry.count > 1 and "{n}" not in entry.meter:
        yield (*at, "meter"), "with a count above 1, {n} stands for the number in its name"
    if line is None or profile is None:
        return
    family = FAMILY[line.protocol]
    if profile.protocol != family:
        yield (*at, "profile"), f"{profile.id} speaks {profile.protocol}, the line {line.name} {line.protocol}"
    digits = entry.address.isascii() and entry.address.isdecimal()
    last = int(entry.address) + entry.count - 1 if digits else 0
    if family == "modbus" and not (digits and 1 <= int(entry.address) <= last <= 247):
        yield (*at, "address"), f"{entry.address!r} is no Modbus unit: a number from 1 to 247"
    if family == "dlt645" and not (digits and len(entry.address) <= 12 and last < 10**12 - 1):
        yield (*at, "address"), f"{entry.address!r} is no DL/T 645 address: up to 12 digits"
    if family == "mqtt-json":
        if not re.fullmatch(r"[^/+#\x00]+", entry.address):
            yield (*at, "address"), f"{entry.address!r} cannot be a part of a topic"
        elif entry.count > 1 and not digits and "{n}" not in entry.address:
            yield (*at, "address"), "with a count above 1 an address counts up or holds {n}"


def _fault_mistakes(at: tuple[str | int, ...], fault: FaultEntry, line: Line | None) -> Iterator[Finding]:
    if fault.to is not None and fault.to <= fault.from_:
        yield (*at, "to"), "it ends before it begins"
    if fault.kind is FaultKind.WRONG_VALUE and not fault.kwh:
        yield (*at, "kind"), "a wrong value says by how many `kwh`"
    if fault.kind is FaultKind.DECREASED and not fault.back:
        yield (*at, "kind"), "a register that falls says how far `back` in time"
    if fault.kind not in LINE_FAULTS and fault.share != FaultEntry.model_fields["share"].default:
        yield (*at, "share"), f"{fault.kind} is a fault of the register, not of single exchanges"
    if fault.kind is FaultKind.BAD_CHECKSUM and line is not None and line.protocol not in CHECKSUMMED:
        yield (*at, "kind"), f"{line.protocol} has no checksum of its own that could be bad"
