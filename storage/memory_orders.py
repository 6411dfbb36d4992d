"""The ledger in memory, its half of `order_port`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from storage.errors import OrderRefused
from storage.orders import OPEN, Order, OrderLine, OrderState, reopened, taken


class MemoryOrders:
    """See the port."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._order_lines: list[OrderLine] = []
        self._order_line = 0

    async def place_order(self, order: Order) -> None:
        """See the port."""
        self._orders.setdefault(order.id, order)

    async def order(self, order: str) -> Order | None:
        """See the port."""
        return self._orders.get(order)

    async def open_orders(self) -> tuple[Order, ...]:
        """See the port."""
        return tuple(one for one in self._orders.values() if one.state in OPEN)

    async def take_orders(self, *, by: str, at: datetime) -> tuple[Order, ...]:
        """See the port."""
        now = [taken(one, by=by, at=at) for one in self._orders.values() if one.state is OrderState.WAITING]
        self._orders |= {one.id: one for one in now}
        return tuple(one for one in now if one.state is OrderState.TAKEN)

    async def reopen_orders(self, *, at: datetime, most: int) -> None:
        """See the port."""
        gone = [one for one in self._orders.values() if one.state is OrderState.TAKEN]
        self._orders |= {one.id: reopened(one, at=at, most=most) for one in gone}

    async def end_order(
        self, order: str, state: OrderState, *, at: datetime, reason: str = "", detail: str = ""
    ) -> bool:
        """See the port."""
        one = self._orders.get(order)
        if one is None or one.state not in OPEN:
            return False
        self._orders[order] = replace(one, state=state, ended_at=at, reason=reason, detail=detail)
        return True

    async def add_order_lines(self, lines: Sequence[OrderLine]) -> None:
        """See the port."""
        if unknown := sorted({one.order for one in lines} - self._orders.keys()):
            raise OrderRefused(f"there is no order {unknown[0]}")
        for one in lines:
            self._order_line += 1
            self._order_lines.append(replace(one, n=self._order_line))

    async def order_lines(self, order: str, *, after: int = 0) -> tuple[OrderLine, ...]:
        """See the port."""
        return tuple(one for one in self._order_lines if one.order == order and one.n > after)

    async def forget_order_lines(self, before: datetime) -> int:
        """See the port."""
        ended = {one.id for one in self._orders.values() if one.ended_at is not None and one.ended_at < before}
        kept = [one for one in self._order_lines if one.order not in ended]
        count = len(self._order_lines) - len(kept)
        self._order_lines = kept
        return count
