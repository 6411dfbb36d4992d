"""What is written on an order on demand and in its progress, and how who placed one follows it.

The ledger keeps these records as text (`storage.record_text`) and does not look into them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from uuid6 import uuid7

from collector.clock import Clock
from collector.errors import UsageError, WorkFailed
from storage.ledger.port import Ledger
from storage.orders import OPEN, Order, OrderKind, OrderLine, OrderState
from storage.record_text import to_json

FOLLOW_S = 0.2
"""How often who placed an order looks what became of it."""
ORPHANED = timedelta(seconds=10)
"""So long an order waits for a collector that was restarted."""
OVERDUE = timedelta(seconds=30)
"""A collector ends an order at its deadline; one that has not done so by then is not well."""

BAD_ORDER = "bad_order"
"""What is asked cannot be: the mistake is in the order."""


@dataclass(frozen=True, slots=True)
class ReadWanted:
    """`chaobiao read`: these meters, or all; what this plan reads, or all plans. `wait_s`: for meters that push."""

    meters: tuple[str, ...]
    plan: str | None
    wait_s: float


@dataclass(frozen=True, slots=True)
class ProbeWanted:
    """`chaobiao probe`. `profile`: a name, or the path of a file; empty: what is usual in the protocol."""

    url: str
    protocol: str
    address: str
    profile: str
    timeout_s: float
    retries: int
    zone: str


@dataclass(frozen=True, slots=True)
class ScanWanted:
    """`chaobiao scan`. Units and `verify` as the protocol has them."""

    url: str
    protocol: str
    timeout_s: float
    retries: int
    first: int
    last: int
    verify: int
    within_s: float


@dataclass(frozen=True, slots=True)
class ClockWanted:
    """`chaobiao clock set`. The password is not in it: the daemon has its own."""

    meter: str
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class ScanStep:
    """How far a scan is; `scanned` where somebody was found since, and at its end."""

    asked: int
    ahead: int
    left_s: float
    scanned: str = ""
    """A `collector.jobs.scan.Scanned`, as text."""


def order_for(kind: OrderKind, wanted: object, *, by: str, now: datetime, within: timedelta) -> Order:
    """An order that is not placed yet."""
    return Order(str(uuid7()), kind, to_json(wanted), now, by, now + within)


async def follow(
    ledger: Ledger,
    clock: Clock,
    order: Order,
    *,
    told: Callable[[OrderLine], None],
    collects: Callable[[], bool],
) -> Order:
    """Place it and hand on its progress until it ends; then it is served, or expired. Withdrawn when who follows gives up.

    `collects`: is there a collector at all?

    :raises UsageError: what is asked cannot be. :raises WorkFailed: it was not served, and why.
    """
    await ledger.place_order(order)
    seen, over = 0, False
    alone_since: datetime | None = None
    try:
        while True:
            now = clock.now()
            one = await ledger.order(order.id)
            for line in await ledger.order_lines(order.id, after=seen):
                seen = line.n
                told(line)
            if one is None or one.state not in OPEN:
                over = True
                return _checked(one or order)
            alone_since = None if collects() else alone_since or now
            if alone_since is not None and now >= alone_since + ORPHANED:
                raise WorkFailed("the collector that ran on this database has ended; the order is withdrawn")
            if now >= one.deadline + OVERDUE:
                raise WorkFailed("the collector that runs on this database serves no orders; it is withdrawn")
            await asyncio.sleep(FOLLOW_S)
    finally:
        if not over:
            await ledger.end_order(order.id, OrderState.WITHDRAWN, at=clock.now())


def _checked(one: Order) -> Order:
    if one.state is OrderState.FAILED and one.reason == BAD_ORDER:
        raise UsageError(one.detail)
    if one.state is OrderState.FAILED:
        raise WorkFailed(f"{one.reason}: {one.detail}")
    if one.state is OrderState.WITHDRAWN:
        raise WorkFailed("somebody else has withdrawn the order")
    if one.state is OrderState.EXPIRED and not one.times:
        raise WorkFailed("the order's time was over before the collector could begin it")
    return one
