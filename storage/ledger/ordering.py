"""Orders on demand in SQL. What is open is known by its missing end; an order that has ended is written no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.errors import OrderRefused
from storage.ledger.dialect import insert_new
from storage.order_tables import on_demand as _order
from storage.order_tables import on_demand_line as _line
from storage.orders import Order, OrderLine, OrderState, reopened, taken

_ASKED = ("kind", "what", "asked_at", "asked_by", "deadline", "state", "taken_at", "taken_by", "times", "ended_at")
_NAMES = (*_ASKED, "reason", "detail")
_SAID = ("at", "about", "outcome", "detail", "said")
_all: Select[Any] = select(_order.c.order, *(_order.c[name] for name in _NAMES)).order_by(_order.c.id)
_open = _all.where(_order.c.ended_at.is_(None))
_waiting = _open.where(_order.c.state == OrderState.WAITING)
_set = (
    update(_order)
    .where(_order.c.order == bindparam("which"), _order.c.ended_at.is_(None))
    .values({name: bindparam(f"new_{name}") for name in _NAMES[_NAMES.index("state") :]})
)


async def place(connection: AsyncConnection, order: Order) -> None:
    """See the port."""
    row = {field.name: getattr(order, field.name) for field in fields(order) if field.name != "id"}
    await connection.execute(insert_new(_order), row | {"order": order.id})


async def order(connection: AsyncConnection, which: str) -> Order | None:
    """See the port."""
    row = (await connection.execute(_all.where(_order.c.order == which))).one_or_none()
    return None if row is None else Order(*row)


async def open_orders(connection: AsyncConnection) -> tuple[Order, ...]:
    """See the port."""
    return tuple(Order(*row) for row in await connection.execute(_open))


async def take(connection: AsyncConnection, *, by: str, at: datetime) -> tuple[Order, ...]:
    """See the port."""
    found = []
    for row in (await connection.execute(_waiting)).all():
        one = taken(Order(*row), by=by, at=at)
        await _change(connection, one)
        if one.state is OrderState.TAKEN:
            found.append(one)
    return tuple(found)


async def reopen(connection: AsyncConnection, *, at: datetime, most: int) -> None:
    """See the port."""
    taken = _open.where(_order.c.state == OrderState.TAKEN)
    for row in (await connection.execute(taken)).all():
        await _change(connection, reopened(Order(*row), at=at, most=most))


async def end(
    connection: AsyncConnection, which: str, state: OrderState, *, at: datetime, reason: str, detail: str
) -> bool:
    """See the port."""
    query = update(_order).where(_order.c.order == which, _order.c.ended_at.is_(None))
    done = await connection.execute(query.values(state=state, ended_at=at, reason=reason, detail=detail))
    return done.rowcount > 0


async def _change(connection: AsyncConnection, one: Order) -> None:
    new = {f"new_{name}": getattr(one, name) for name in _NAMES[_NAMES.index("state") :]}
    await connection.execute(_set, {"which": one.id} | new)


async def add_lines(connection: AsyncConnection, lines: Sequence[OrderLine]) -> None:
    """See the port."""
    asked = {one.order for one in lines}
    rows = await connection.execute(select(_order.c.order, _order.c.id).where(_order.c.order.in_(asked)))
    numbers: dict[str, int] = {row.order: row.id for row in rows}
    if unknown := sorted(asked - numbers.keys()):
        raise OrderRefused(f"there is no order {unknown[0]}")
    if lines:
        said = [{name: getattr(one, name) for name in _SAID} | {"on_demand_id": numbers[one.order]} for one in lines]
        await connection.execute(insert(_line), said)


async def lines(connection: AsyncConnection, which: str, *, after: int) -> tuple[OrderLine, ...]:
    """See the port."""
    query: Select[Any] = (
        select(_order.c.order, *(_line.c[name] for name in _SAID), _line.c.id)
        .join_from(_line, _order)
        .where(_order.c.order == which, _line.c.id > after)
        .order_by(_line.c.id)
    )
    return tuple(OrderLine(*row) for row in await connection.execute(query))


async def forget_lines(connection: AsyncConnection, before: datetime) -> int:
    """See the port."""
    ended = select(_order.c.id).where(_order.c.ended_at < before)
    count = await connection.scalar(select(func.count()).select_from(_line).where(_line.c.on_demand_id.in_(ended)))
    if count:
        await connection.execute(delete(_line).where(_line.c.on_demand_id.in_(ended)))
    return int(count or 0)
