"""Judge what waits for a verdict, in bounded portions, until nothing does.

May run beside the daemon and beside itself: a verdict that another process gave meanwhile is found in the ledger and not
given twice; running again changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from collector.clock import Clock
from collector.vee.bounds import quantity_of
from collector.vee.clocks import NEAR, ClockRecord, record_of
from collector.vee.judge import UNREAD, Ruleset, judge
from protocols.catalogue import Kind
from storage.errors import VerdictRefused
from storage.ledger.port import Ledger
from storage.records import Basis, Quality, Series

PORTION = 1_000
"""Readings judged in one transaction, and without letting others have the loop: some 30 ms of work."""


TRIES = 20
"""How often another process may come between before we say so."""


def quietly(judged: int) -> None:
    """Nobody wants to hear it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How many values got a verdict; `by_rule` counts the suspect ones for each rule that spoke (several may)."""

    judged: int = 0
    verified: int = 0
    suspect: int = 0
    by_rule: Mapping[str, int] = field(default_factory=dict)


async def validate(
    ledger: Ledger, ruleset: Ruleset, clock: Clock, *, portion: int = PORTION, told: Callable[[int], None] = quietly
) -> Judgement:
    """Give every reading without a verdict one. `told` hears how many have one, after each portion."""
    verified = suspect = refused = 0
    by_rule: Counter[str] = Counter()
    while series := await ledger.unjudged(limit=portion):
        made_at = clock.now()
        clocks = await _clocks(ledger, series)
        revisions = [
            revision
            for one in series
            for revision in judge(one, ruleset, made_at=made_at, clock=clocks.get(one.registered.meter.meter, UNREAD))
        ]
        try:
            await ledger.judge(revisions)
        except VerdictRefused:
            # Another process judged some of these, or a conflict came, between reading and judging: look again.
            refused += 1
            if refused == TRIES:
                raise
            continue
        for revision in revisions:
            if revision.quality is Quality.VERIFIED:
                verified += 1
            else:
                suspect += 1
                by_rule.update({finding.rule for finding in revision.findings})
        told(verified + suspect)
        await asyncio.sleep(0)
    return Judgement(verified + suspect, verified, suspect, dict(sorted(by_rule.items())))


async def _clocks(ledger: Ledger, series: Iterable[Series]) -> dict[str, ClockRecord]:
    """What is known of the clocks that dated these values. Asked by month: one clock that has lost years does not make all
    the others' years be read.
    """
    spans: dict[tuple[int, int], tuple[datetime, datetime, set[str]]] = {}
    for one in series:
        first, last = one.times[max(0, one.judge_from - 1)], one.times[-1]
        if one.basis is Basis.INSTANT and not is_dated(one.quantity):
            continue
        low, high, meters = spans.get((last.year, last.month), (first, last, set()))
        spans[last.year, last.month] = min(low, first), max(high, last), meters | {one.registered.meter.meter}
    found: dict[str, ClockRecord] = {}
    for first, last, meters in spans.values():
        checks = await ledger.clock_checks(meters=meters, shown=(first - NEAR, last + NEAR))
        changes = await ledger.clock_changes(meters=meters)
        for meter, record in record_of(checks, changes).items():
            known = found.get(meter, UNREAD)
            found[meter] = ClockRecord(known.checks + record.checks, record.changes)
    return found


def is_dated(quantity: str) -> bool:
    """Whether a running value of it comes with the meter's own stamp: a demand does."""
    return quantity_of(quantity).kind is Kind.DEMAND
