"""Why a slot was given up though nobody asked for it: what was tried before has its reason in the ledger already."""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import datetime

from collector.acquisition.breaker import FAILURES, Trouble
from collector.acquisition.budget import Budget
from collector.acquisition.outcome import PAUSED, rule
from collector.acquisition.planner import Planner
from collector.jobs.routes import no_channel
from storage.records import Owner, Slot

Why = tuple[str, Owner, str]
"""Reason, owner, detail."""


def why_untried(
    slot: Slot,
    planner: Planner,
    budget: Budget,
    now: datetime,
    *,
    listened: Container[str],
    polled: Container[str],
    silence: Callable[[str, str], Trouble | None],
) -> Why:
    """`listened` and `polled`: channels. `silence`: the trouble of a whole line, by channel and meter."""
    one = planner.registered(slot.meter)
    channel = one.meter.channel if one is not None else None
    reason, detail = "window_closed", "it was not read, or not stored, in time"
    if planner.is_left_out(slot):
        reason, detail = PAUSED, "nobody asked: it is left out on purpose"
    elif channel is not None and channel in listened:
        reason, detail = "no_message", "no message came for it"
    elif channel is not None and channel not in polled:
        reason, detail = no_channel(channel)
    elif trouble := planner.breakers.trouble(slot.meter):
        return _of(trouble, f"left alone after {FAILURES} rounds in vain; the last: ")
    elif trouble := budget.trouble(slot.meter, now):
        return _of(trouble, "it has had its share of its line's time; the last: ")
    elif channel is not None and (trouble := silence(channel, slot.meter)):
        return _of(trouble, "its turn did not come: nothing came over its line; ")
    return reason, rule(reason).owner, detail


def _of(trouble: Trouble, before: str) -> Why:
    return trouble.reason, trouble.owner, before + trouble.detail
