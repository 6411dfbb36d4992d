"""What is missing because there was no supply, not because somebody failed. Pure: a day's slots, registry and events in, newer
reasons out.

A meter without power says nothing, and so does one whose wire is loose. They are told apart by

    its own word      a power-down record covers the slot's instant, or that of the first try
    its neighbours    every meter of a box, of a phase of an area, or of an area was silent at the same slot, at least two of
                      them, while another meter on each line they hang on answered at that slot

A line on which nobody answered is the line's fault, or its concentrator's: then nothing is said of supply, however many boxes
hang on it. A silent meter whose box answers is the meter's or its wire's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from storage.care import MeterEvent
from storage.records import Missing, Owner, Slot
from storage.registry import Registered

NO_SUPPLY = "no_supply"
SILENT = frozenset({"no_answer", "gateway_no_answer"})
"""Reasons that say: nothing came from this meter."""
NOT_MADE = frozenset({"no_freeze", "no_record", "no_settlement"})
"""Reasons that say: it has no such copy. By its own word, because it had no power to make one."""
_Round = tuple[str, datetime]
"""Plan and instant: what was owed of many at once."""
_Group = tuple[str, ...]


def without_supply(
    missing: Iterable[Missing],
    filled: Iterable[Slot],
    registered: Iterable[Registered],
    power_downs: Iterable[MeterEvent],
) -> tuple[Missing, ...]:
    """Those of `missing` that are so for want of supply, with that reason; the earlier one stands in the detail.

    `missing` and `filled` are whole: all slots of the same instants, of every meter.
    """
    why = {one.slot: one for one in missing if one.slot.plan}
    cuts: dict[str, list[MeterEvent]] = {}
    for event in power_downs:
        cuts.setdefault(event.meter, []).append(event)
    found: dict[Slot, Missing] = {}
    for slot, one in why.items():
        if one.reason in SILENT | NOT_MADE and (cut := _covering(one, cuts.get(slot.meter, ()))):
            found[slot] = _no_supply(one, f"the meter had no power from {_span(cut)}")
    together = dict(_silent_together(why, filled, {one.meter.meter: one for one in registered}))
    for slot, one in why.items():
        if slot not in found and one.reason in SILENT and (said := together.get((slot.plan, slot.at, slot.meter))):
            found[slot] = _no_supply(one, said)
    return tuple(found.values())


def worth_a_look(missing: Iterable[Missing], registered: Iterable[Registered]) -> frozenset[datetime]:
    """Instants at which at least half the meters of some box, phase or area were silent: only there it matters who was heard."""
    places = {one.meter.meter: one for one in registered}
    size = {name: Counter(filter(None, map(of, places.values()))) for name, of in _GROUPINGS.items()}
    silent: dict[_Round, set[str]] = {}
    for one in missing:
        if one.slot.plan and one.reason in SILENT:
            silent.setdefault((one.slot.plan, one.slot.at), set()).add(one.slot.meter)
    return frozenset(
        at
        for (_, at), quiet in silent.items()
        for name, of in _GROUPINGS.items()
        for group, members in _members(quiet, places, of).items()
        if len(members) > 1 and 2 * len(members) >= size[name][group]
    )


def _covering(one: Missing, cuts: Iterable[MeterEvent]) -> MeterEvent | None:
    instants = (one.slot.at, one.since or one.slot.at)
    return next(
        (cut for cut in cuts if any(cut.start <= at and (cut.end is None or at < cut.end) for at in instants)), None
    )


def _span(cut: MeterEvent) -> str:
    return f"{cut.start.isoformat()} to {cut.end.isoformat() if cut.end else 'now'}, by its own record"


def _no_supply(one: Missing, said: str) -> Missing:
    """No try is added: nobody asked again."""
    before = f"{one.reason}: {one.detail}" if one.detail else one.reason
    return replace(one, reason=NO_SUPPLY, owner=Owner.SUPPLY, detail=f"{said}; before: {before}", attempts=0)


def _silent_together(
    why: Mapping[Slot, Missing], filled: Iterable[Slot], places: Mapping[str, Registered]
) -> Iterator[tuple[tuple[str, datetime, str], str]]:
    """Plan, instant and meter of groups that were silent at once while others on their lines were not, with the words for it."""
    silent: dict[_Round, set[str]] = {}
    heard: dict[_Round, set[str]] = {}
    for slot, one in why.items():
        (silent if one.reason in SILENT or one.reason == NO_SUPPLY else heard).setdefault(
            (slot.plan, slot.at), set()
        ).add(slot.meter)
    for slot in filled:
        heard.setdefault((slot.plan, slot.at), set()).add(slot.meter)
    for round_, quiet in silent.items():
        spoke = heard.get(round_, set())
        lines_that_spoke = {places[meter].meter.channel for meter in spoke if meter in places}
        for name, of in _GROUPINGS.items():
            for group, members in _members(quiet | spoke, places, of).items():
                lines = {places[meter].meter.channel for meter in members}
                if len(members) > 1 and members <= quiet - spoke and lines <= lines_that_spoke:
                    said = f"{name} {' '.join(group)}: all {len(members)} meters silent at once, others on the line answered"
                    yield from (((*round_, meter), said) for meter in members)


def _members(
    meters: Iterable[str], places: Mapping[str, Registered], of: Callable[[Registered], _Group | None]
) -> dict[_Group, set[str]]:
    found: dict[_Group, set[str]] = {}
    for meter in meters:
        group = of(places[meter]) if meter in places else None
        if group is not None:
            found.setdefault(group, set()).add(meter)
    return found


def _box(one: Registered) -> _Group | None:
    return (one.point.area, one.point.box) if one.point.box else None


def _phase(one: Registered) -> _Group | None:
    return (one.point.area, one.point.phase) if one.point.area and one.point.phase else None


def _area(one: Registered) -> _Group | None:
    return (one.point.area,) if one.point.area else None


_GROUPINGS: Mapping[str, Callable[[Registered], _Group | None]] = {"box": _box, "phase": _phase, "area": _area}
