"""Which meters cannot give what a plan asks of them: their profile has no such quantity on that basis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from collector.acquisition.plan import gives_by, takes
from collector.words import say
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
    gives = gives_by(profiles)  # a profile that has gone since the registry was imported gives nothing
    for plan in plans:
        asked = Counter(row.meter.profile for row in registered if takes(plan, row))
        for quantity in plan.read:
            cannot = {name: n for name, n in asked.items() if not gives(name, quantity, plan.basis)}
            if cannot:
                yield Gap(plan.name, quantity, plan.basis, asked.total(), cannot)


def sentence(gap: Gap) -> str:
    """For people, with the profiles that lack it."""
    return say(
        "plan {plan}: {n} of {asked} meters cannot give {quantity} ({basis}): {profiles}",
        plan=gap.plan,
        n=sum(gap.cannot.values()),
        asked=gap.asked,
        quantity=gap.quantity,
        basis=say(gap.basis),
        profiles=", ".join(f"{profile} {count}" for profile, count in sorted(gap.cannot.items())),
    )
