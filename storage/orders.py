"""Records of what is asked on demand (召测) through a collector that runs: an order, and the log of what became of it.

Whoever asks and whoever reads the meters are two processes that meet in the ledger alone. The ledger does not look into what
is asked (`Order.what`) nor into what came of it (`OrderLine.said`): both are JSON texts of `collector.jobs`. Times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class OrderKind(StrEnum):
    """What is to be done."""

    READ = "read"
    PROBE = "probe"
    SCAN = "scan"
    CLOCK = "clock"


class OrderState(StrEnum):
    """How far it is. The first two are open; an order leaves them once, and for good."""

    WAITING = "waiting"
    TAKEN = "taken"
    DONE = "done"
    """It was served; single meters may have failed all the same, its lines say which."""
    FAILED = "failed"
    EXPIRED = "expired"
    """Its deadline came first."""
    WITHDRAWN = "withdrawn"
    """By whoever asked."""


OPEN = (OrderState.WAITING, OrderState.TAKEN)


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `deadline`: what is not done by then is not done any more. `times`: how often it was taken."""

    id: str
    """UUIDv7."""
    kind: OrderKind
    what: str
    asked_at: datetime
    asked_by: str
    deadline: datetime
    state: OrderState = OrderState.WAITING
    taken_at: datetime | None = None
    taken_by: str = ""
    times: int = 0
    ended_at: datetime | None = None
    reason: str = ""
    """A code; of those that failed."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One step of an order's progress. `n` counts up within the ledger; 0 until it is stored.

    `about`: the meter, or the device's address. `outcome`: `ok`, `progress`, or the reason code.
    """

    order: str
    at: datetime
    about: str
    outcome: str
    detail: str = ""
    said: str = ""
    n: int = 0


def taken(one: Order, *, by: str, at: datetime) -> Order:
    """One that waited: taken now, or expired."""
    if one.deadline <= at:
        return replace(one, state=OrderState.EXPIRED, ended_at=at)
    return replace(one, state=OrderState.TAKEN, taken_at=at, taken_by=by, times=one.times + 1)


def reopened(one: Order, *, at: datetime, most: int) -> Order:
    """One that was taken by somebody who is gone: it waits again, unless it was taken `most` times already."""
    if one.times < most:
        return replace(one, state=OrderState.WAITING, taken_at=None, taken_by="")
    detail = f"taken {one.times} times, and the collector ended each time before it was done"
    return replace(one, state=OrderState.FAILED, ended_at=at, reason="interrupted", detail=detail)
