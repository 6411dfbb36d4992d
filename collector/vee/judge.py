"""A series in, its verdicts out. Pure: the same series and ruleset give the same verdicts.

Invariant: the value that a value is compared with is released (or the start reading of the installation), never a suspect
one; so one wrong value condemns itself alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property

from collector.vee.bounds import capacity, quantity_of, rating_of
from collector.vee.clocks import ClockRecord
from collector.vee.rules import RULES, Case, Good, Parameters, Rule
from protocols.profile import Profile
from storage.records import Finding, Quality, Revision, Series


@dataclass(frozen=True)
class Ruleset:
    """Rules with their parameters, and the profiles whose plates they may ask."""

    rules: tuple[Rule, ...] = RULES
    parameters: Parameters = field(default_factory=Parameters)
    profiles: Mapping[str, Profile] = field(default_factory=dict)

    @cached_property
    def version(self) -> str:
        """Names what judged: a hash of the rules' ids and of all parameters."""
        content = {
            "rules": [rule.__name__ for rule in self.rules],
            "parameters": {one.name: str(getattr(self.parameters, one.name)) for one in fields(self.parameters)},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


UNREAD = ClockRecord()
"""A clock that nobody has read: nothing is held against its stamps."""


def judge(series: Series, ruleset: Ruleset, *, made_at: datetime, clock: ClockRecord = UNREAD) -> tuple[Revision, ...]:
    """A verdict for each value that waits for one: verified if no rule spoke, else suspect with what the rules said.

    `clock`: what is known of the meter's own.
    """
    return tuple(_verdicts(series, ruleset, made_at, clock))


def _verdicts(series: Series, ruleset: Ruleset, made_at: datetime, clock: ClockRecord) -> Iterator[Revision]:
    registered = series.registered
    quantity = quantity_of(series.quantity)
    rating = rating_of(registered, ruleset.profiles.get(registered.meter.profile))
    load = capacity(rating, quantity)
    last = _last_good(series)
    for place in range(series.judge_from, len(series.times)):
        seen = Good(series.times[place], series.values[place], series.resolutions[place])
        case = Case(
            quantity=quantity,
            rating=rating,
            load=load,
            parameters=ruleset.parameters,
            time=seen.time,
            value=seen.value,
            resolution=seen.resolution,
            conflicted=series.conflicted[place],
            last=last,
            basis=series.basis,
            drift=clock.drift(seen.time),
            shift=clock.shift(series.times[place - 1], seen.time) if place else None,
        )
        found = tuple(
            Finding(rule.__name__, registered.meter.meter, series.quantity, series.basis, seen.time, evidence)
            for rule in ruleset.rules
            if (evidence := rule(case)) is not None
        )
        if not found:
            last = seen
        yield Revision(
            point=registered.point.point,
            meter=registered.meter.meter,
            quantity=series.quantity,
            basis=series.basis,
            time=seen.time,
            n=series.revisions[place] + 1,
            quality=Quality.SUSPECT if found else Quality.VERIFIED,
            made_at=made_at,
            findings=found,
            ruleset=ruleset.version,
        )


def _last_good(series: Series) -> Good | None:
    """What the first value is compared with: the released value before it, unless a start reading is younger than that.

    A start reading says nothing of values from before the installation. Without one, the register simply goes on.
    """
    installation = series.registered.installation
    before = series.judge_from - 1
    last = None if before < 0 else Good(series.times[before], series.values[before], series.resolutions[before])
    start = installation.start_readings.get(series.quantity)
    if start is None or (last is not None and last.time >= installation.start):
        return last
    if len(series.times) > series.judge_from and series.times[series.judge_from] < installation.start:
        return last
    return Good(installation.start, start, resolution=1, origin="start_reading")
