"""Judge what waits for a verdict, in bounded portions, until nothing does.

May run beside the daemon and beside itself: a verdict that another process gave meanwhile is found in the ledger and not
given twice; running again changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from collector.clock import Clock
from collector.vee.judge import Ruleset, judge
from storage.errors import VerdictRefused
from storage.ledger.port import Ledger
from storage.records import Quality

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
        revisions = [revision for one in series for revision in judge(one, ruleset, made_at=made_at)]
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
