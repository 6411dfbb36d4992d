"""The rules as an installation has set them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from collector.settings.schema import Settings
from collector.vee.judge import Ruleset
from collector.vee.rules import Parameters
from protocols.profile import Profile


def ruleset_for(settings: Settings, profiles: Mapping[str, Profile]) -> Ruleset:
    """Thresholds from `[rules]`; what is not set there is the rules' own."""
    rules = settings.rules
    parameters = Parameters(
        margin=_above_one(rules.margin),
        over_voltage=_above_one(rules.over_voltage),
        slack=rules.slack,
        clock=settings.clock.limit,
    )
    return Ruleset(parameters=parameters, profiles=profiles)


def _above_one(percent: Decimal) -> Fraction:
    return 1 + Fraction(percent) / 100
