"""The registry file as records: every row exact, or every mistake at once with file, line, meter and column.

A row without `point` gets one of its own. A meter that already stands somewhere keeps that point (so an exchange made since,
or the same file again, changes nothing); a new one gets `@` and its own id. The `@` cannot be typed into the file, so no
point of a utility's own numbering is ever taken for one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TypeVar

from collector.errors import SettingsError
from collector.settings import registry_cells as cell
from collector.settings.protocol_names import WAYS
from collector.settings.registry_csv import REQUIRED, Line, Sheet, read_sheet
from collector.settings.schema import Channel, Settings
from protocols.dialect import Wanted
from protocols.dialects import DIALECTS
from protocols.errors import RequestError
from protocols.profile import Profile
from storage.registry import Installation, Meter, Point, Ratio, Registered

T = TypeVar("T")
MOST_PROBLEMS = 200
"""Said at once. A file of a million rows with one wrong column is one mistake, not a million lines."""
OWN = "@"


@dataclass(frozen=True, slots=True)
class Registry:
    """The rows of a registry file, and the digest by which a change of the file is seen."""

    rows: tuple[Registered, ...]
    digest: str


def read_registry(
    path: Path,
    settings: Settings,
    profiles: Mapping[str, Profile],
    *,
    at: datetime,
    points: Mapping[str, str] | None = None,
) -> Registry:
    """The registry file's rows as records.

    `at`: the instant of this import, from which meters without `installed` count. `points`: where meters stand at present,
    by meter; what the ledger says, {} where there is none.

    :raises SettingsError: one line a mistake.
    """
    sheet = read_sheet(path)
    reader = _Reader(settings, profiles, at, dict(points or {}), sheet, list(sheet.problems))
    rows = tuple(row for line in sheet.lines if (row := reader.row(line)))
    if problems := reader.problems:
        if len(problems) > MOST_PROBLEMS:
            problems = [*problems[:MOST_PROBLEMS], f"{sheet.name}: and {len(problems) - MOST_PROBLEMS} more"]
        raise SettingsError(problems)
    return Registry(rows, sheet.digest)


@dataclass(slots=True)
class _Reader:
    settings: Settings
    profiles: Mapping[str, Profile]
    at: datetime
    points: dict[str, str]
    sheet: Sheet
    problems: list[str]
    seen: dict[tuple[str, ...], int] = field(default_factory=dict)
    taken: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.taken = frozenset(self.points.values())

    def row(self, line: Line) -> Registered | None:
        """One row; None when something is wrong with it."""
        before = len(self.problems)
        cells = _Cells(self, line)
        for column in REQUIRED:
            if column not in line.cells and column in self.sheet.columns:
                cells.wrong(column, "is empty")
        meter = _meter(cells)
        point = _point(cells, self.own_point(meter.meter))
        installation = Installation(
            meter=meter.meter,
            point=point.point,
            start=cells.take("installed", cell.installed(self.settings.zone), self.at),
            ct=cells.take("ct_ratio", cell.ratio, Ratio()),
            pt=cells.take("pt_ratio", cell.ratio, Ratio()),
            start_readings=cells.take("start_readings", cell.start_readings, {}),
        )
        self.check(cells, meter, point)
        return Registered(meter, point, installation) if len(self.problems) == before else None

    def check(self, cells: _Cells, meter: Meter, point: Point) -> None:
        """What cells say of each other, of the configuration, and of rows before."""
        channel = next((one for one in self.settings.channels if one.name == meter.channel), None)
        profile = self.profiles.get(meter.profile)
        if meter.meter and self.once(cells, "meter", ("meter", meter.meter), f"the meter {meter.meter}"):
            self.once(cells, "point", ("point", point.point), f"the point {point.point}")
        if channel and meter.address:
            key = _on_the_medium(channel, meter.address)
            self.once(cells, "address", key, f"the address {meter.address} on channel {channel.name}")
        if channel and profile:
            self.fits(cells, channel, profile, meter)

    def once(self, cells: _Cells, column: str, key: tuple[str, ...], what: str) -> bool:
        """Say so if an earlier row has the same; True if none has."""
        first = self.seen.setdefault(key, cells.line.number)
        if first != cells.line.number:
            cells.wrong(column, f"{what} is in line {first} already")
        return first == cells.line.number

    def fits(self, cells: _Cells, channel: Channel, profile: Profile, meter: Meter) -> None:
        """Profile, channel, address and wiring must belong together."""
        family = WAYS[channel.protocol].family
        if profile.protocol != family:
            says = f"{profile.id} is read by {profile.protocol}, but channel {channel.name} speaks {channel.protocol}"
            cells.wrong("profile", says)
        elif meter.address and (says := _unusable(channel, profile, meter.address)):
            cells.wrong("address", says)
        if profile.phases == 1 and meter.wiring in ("3p3w", "3p4w"):
            cells.wrong("wiring", f"{meter.wiring} does not fit {profile.id}, which is a single-phase meter")

    def own_point(self, meter: str) -> str:
        """The point of a meter that names none; one whose first place is another meter's by now gets `@M7.2`."""
        if meter in self.points:
            return self.points[meter]
        tries = (f"{OWN}{meter}" if n == 1 else f"{OWN}{meter}.{n}" for n in count(1))
        return next(own for own in tries if own not in self.taken)


@dataclass(frozen=True, slots=True)
class _Cells:
    reader: _Reader
    line: Line

    def take(self, column: str, parse: Callable[[str], T], default: T) -> T:
        """The value of a cell; its default when it is empty, or wrong (which is said)."""
        text = self.line.cells.get(column)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.wrong(column, str(error))
            return default

    def wrong(self, column: str, says: str) -> None:
        """One mistake of this row."""
        meter = self.line.cells.get("meter")
        whose = f"meter {meter}: " if meter else ""
        self.reader.problems.append(f"{self.reader.sheet.name}:{self.line.number}: {whose}{column}: {says}")


def _point(cells: _Cells, own: str) -> Point:
    groups = [group.name for group in cells.reader.settings.billing.groups] if cells.reader.settings.billing else []
    return Point(
        point=cells.take("point", _typed_point, own),
        account=cells.take("account", cell.name, ""),
        role=cells.take("role", cell.one_of(cell.ROLES, "role"), "sale"),
        area=cells.take("area", cell.name, ""),
        feeder=cells.take("feeder", cell.name, ""),
        station=cells.take("station", cell.name, ""),
        section=cells.take("section", cell.name, ""),
        box=cells.take("box", cell.name, ""),
        phase=cells.take("phase", cell.name, ""),
        class_=cells.take("class", cell.one_of(cell.CLASSES, "class"), "household"),
        tariff=cells.take("tariff", cell.name, ""),
        billing_group=cells.take("billing_group", cell.one_of(groups, "billing group of the configuration"), ""),
        contract_kva=cells.take("contract_kva", cell.not_negative, None),
        pv_kw=cells.take("pv_kw", cell.not_negative, None),
    )


def _meter(cells: _Cells) -> Meter:
    channels = [channel.name for channel in cells.reader.settings.channels]
    return Meter(
        meter=cells.take("meter", cell.name, ""),
        profile=cells.take("profile", cell.one_of(cells.reader.profiles, "profile"), ""),
        channel=cells.take("channel", cell.one_of(channels, "channel of the configuration"), ""),
        address=cells.take("address", cell.name, ""),
        asset_no=cells.take("asset_no", cell.name, ""),
        serial=cells.take("serial", cell.name, ""),
        terminal=cells.take("terminal", cell.name, ""),
        wiring=cells.take("wiring", cell.one_of(cell.WIRINGS, "wiring"), ""),
        un_v=cells.take("un_v", cell.positive, None),
        imax_a=cells.take("imax_a", cell.positive, None),
        digits=cells.take("digits", cell.digits, None),
    )


def _typed_point(text: str) -> str:
    if text.startswith(OWN):
        raise ValueError(f'"{text}": ids that begin with {OWN} are given to rows without a point; leave the cell empty')
    return cell.name(text)


def _on_the_medium(channel: Channel, address: str) -> tuple[str, ...]:
    """Where an address must be unique: on a shared line of one protocol; with a broker, on the channel."""
    if channel.link.scheme == "mqtt":
        return ("address", channel.name, address)
    number = address.lstrip("0") if address.isascii() and address.isdecimal() else address
    return ("address", channel.medium, WAYS[channel.protocol].family, number)


def _unusable(channel: Channel, profile: Profile, address: str) -> str:
    """Why this protocol cannot ask a device of this address, or ""."""
    if channel.protocol == "mqtt-json":
        levels = set(address) & set("/+#")
        return f'"{address}": it is one level of a topic, without {" ".join(sorted(levels))}' if levels else ""
    dialect = DIALECTS.get(channel.protocol)
    register = profile.registers[0]
    try:
        if dialect is not None:
            dialect.requests(profile, address, [Wanted(register.quantity, register.basis)])
    except RequestError as error:
        return str(error)
    return ""
