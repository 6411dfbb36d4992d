"""Which meters cannot give what a plan asks of them: their profile has no such quantity on that basis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from collector.acquisition.plan import takes
from protocols.profile import Profile
from storage.records import Plan
from storage.registry import Registered


@dataclass(frozen=True, slots=True)
class Gap:
    """One quantity of one plan: of `asked` meters, so many of each profile cannot give it."""

    plan: str
    quantity: str
    basis: str
    asked: int
    cannot: Mapping[str, int]


def gaps(plans: Iterable[Plan], rows: Iterable[Registered], profiles: Mapping[str, Profile]) -> Iterator[Gap]:
    """What plans ask and meters cannot give, plan by plan."""
    registered = tuple(rows)
    for plan in plans:
        asked = Counter(row.meter.profile for row in registered if takes(plan, row))
        for quantity in plan.read:
            cannot = {name: n for name, n in asked.items() if not profiles[name].gives(quantity, plan.basis)}
            if cannot:
                yield Gap(plan.name, quantity, plan.basis, asked.total(), cannot)
