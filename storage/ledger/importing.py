"""What a registry file changes, and which plans do: decided in one place for both adapters. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from storage.errors import RegistryRefused
from storage.records import Plan, PlanVersion
from storage.registry import Point, Registered, RegistryChange


@dataclass(frozen=True, slots=True)
class Import:
    """Rows by what becomes of them; their installations as they are to be stored."""

    added: tuple[Registered, ...]
    """No installation of this meter is open."""
    moved: tuple[Registered, ...]
    """The open one ends, this one begins."""
    altered: tuple[Registered, ...]
    """The open one stays, something about it is different."""
    unchanged: int

    @property
    def change(self) -> RegistryChange:
        """In numbers."""
        return RegistryChange(len(self.added), len(self.moved) + len(self.altered), self.unchanged)


def compare_registry(known: Mapping[str, Registered], rows: Sequence[Registered], at: datetime) -> Import:
    """`known`: the open installations by meter.

    :raises RegistryRefused: naming the meters that contradict each other.
    """
    _refuse_contradictions(known, rows)
    added, moved, altered, unchanged = [], [], [], 0
    for row in rows:
        old = known.get(row.meter.meter)
        if old is None:
            added.append(row)
        elif row.point.point != old.point.point:
            start = max(row.installation.start, at)
            moved.append(replace(row, installation=replace(row.installation, start=start)))
        else:
            kept = replace(row, installation=replace(row.installation, start=old.installation.start, end=None))
            if kept == old:
                unchanged += 1
            else:
                altered.append(kept)
    return Import(tuple(added), tuple(moved), tuple(altered), unchanged)


def _refuse_contradictions(known: Mapping[str, Registered], rows: Sequence[Registered]) -> None:
    named: dict[str, Registered] = {}
    points: dict[str, tuple[Point, str]] = {}
    for row in rows:
        meter = row.meter.meter
        if (row.installation.meter, row.installation.point) != (meter, row.point.point):
            raise RegistryRefused(f"meter {meter}: its installation names another meter or point")
        if meter in named:
            raise RegistryRefused(f"meter {meter} is there twice")
        named[meter] = row
        point, first = points.setdefault(row.point.point, (row.point, meter))
        if point != row.point:
            raise RegistryRefused(f"point {point.point} is described in two ways, with meters {first} and {meter}")
    addresses: dict[tuple[str, str], str] = {}
    staying = [registered for meter, registered in known.items() if meter not in named]
    for row in (*staying, *rows):
        place = (row.meter.channel, row.meter.address)
        other = addresses.setdefault(place, row.meter.meter)
        if other != row.meter.meter:
            whose = f"{other} (registered before)" if other not in named else other
            raise RegistryRefused(
                f"meter {row.meter.meter}: address {place[1]} on channel {place[0]} is already that of meter {whose}"
            )


def reaches_back(row: Registered, at: datetime) -> bool:
    """Was no start told? Then what the meter read before it was imported belongs to its first installation too."""
    return row.installation.start == at


def compare_plans(
    stored: Sequence[PlanVersion], plans: Sequence[Plan], at: datetime
) -> tuple[list[PlanVersion], list[PlanVersion], list[Plan]]:
    """Of the open versions: those that end (with their end), those that were never valid for an instant, the plans to open."""
    if len({plan.name for plan in plans}) != len(plans):
        raise RegistryRefused("two plans have the same name")
    wanted = {plan.name: plan for plan in plans}
    ended, void, kept = [], [], set()
    for version in stored:
        if wanted.get(version.plan.name) == version.plan:
            kept.add(version.plan.name)
        elif version.valid_from < at:
            ended.append(replace(version, valid_to=at))
        else:
            void.append(version)
    return ended, void, [plan for plan in plans if plan.name not in kept]
