"""The ledger's port, continued: orders on demand and their progress. See `storage.ledger.port` for what holds of every verb."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from storage.orders import Order, OrderLine, OrderState


class OrderLedger(Protocol):
    """Where who asks and who reads the meters meet. Orders stay for good; their lines may be forgotten after a while."""

    async def place_order(self, order: Order) -> None:
        """Write down what is asked: it waits from now on. Repeating the same has no effect."""

    async def order(self, order: str) -> Order | None:
        """As it stands; None: there is none of this id."""

    async def open_orders(self) -> tuple[Order, ...]:
        """Those that wait and those that are taken, oldest first. Cheap: asked every second."""

    async def take_orders(self, *, by: str, at: datetime) -> tuple[Order, ...]:
        """Take all that wait, oldest first: each is given to one taker only. Those whose deadline is over expire instead."""

    async def reopen_orders(self, *, at: datetime, most: int) -> None:
        """What is taken waits again: whoever had it is gone (the caller knows, for only one collector runs at a time).

        What has been taken `most` times fails as `interrupted`: it may be what ended them.
        """

    async def end_order(
        self, order: str, state: OrderState, *, at: datetime, reason: str = "", detail: str = ""
    ) -> bool:
        """It is over. False: it had ended before, and stays as it is."""

    async def add_order_lines(self, lines: Sequence[OrderLine]) -> None:
        """Write down progress, all or none; their `n` is not looked at. :raises OrderRefused: of an order that is not there."""

    async def order_lines(self, order: str, *, after: int = 0) -> tuple[OrderLine, ...]:
        """Progress of an order, in its order: those with a number above `after`."""

    async def forget_order_lines(self, before: datetime) -> int:
        """Throw away the progress of orders that ended before; the orders themselves stay. How many lines it was."""
