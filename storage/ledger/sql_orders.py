"""The SQL ledger's half of `order_port`: each verb one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from storage.ledger import ordering
from storage.ledger.sessions import Sessions
from storage.orders import Order, OrderLine, OrderState


class SqlOrders:
    """See the port."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def place_order(self, order: Order) -> None:
        """It waits from now on."""
        await self._sessions.write(lambda connection: ordering.place(connection, order))

    async def order(self, order: str) -> Order | None:
        """As it stands."""
        return await self._sessions.read(lambda connection: ordering.order(connection, order))

    async def open_orders(self) -> tuple[Order, ...]:
        """Waiting and taken."""
        return await self._sessions.read(ordering.open_orders)

    async def take_orders(self, *, by: str, at: datetime) -> tuple[Order, ...]:
        """Each to one taker."""
        return await self._sessions.write(lambda connection: ordering.take(connection, by=by, at=at))

    async def reopen_orders(self, *, at: datetime, most: int) -> None:
        """Whoever had them is gone."""
        await self._sessions.write(lambda connection: ordering.reopen(connection, at=at, most=most))

    async def end_order(
        self, order: str, state: OrderState, *, at: datetime, reason: str = "", detail: str = ""
    ) -> bool:
        """For good."""
        return await self._sessions.write(
            lambda connection: ordering.end(connection, order, state, at=at, reason=reason, detail=detail)
        )

    async def add_order_lines(self, lines: Sequence[OrderLine]) -> None:
        """All or none."""
        await self._sessions.write(lambda connection: ordering.add_lines(connection, lines))

    async def order_lines(self, order: str, *, after: int = 0) -> tuple[OrderLine, ...]:
        """Progress."""
        return await self._sessions.read(lambda connection: ordering.lines(connection, order, after=after))

    async def forget_order_lines(self, before: datetime) -> int:
        """Of orders that ended long ago."""
        return await self._sessions.write(lambda connection: ordering.forget_lines(connection, before))
