"""Tables of what is asked on demand. What was asked, by whom and when, is never altered; how far it is, is."""

from __future__ import annotations

from sqlalchemy import DDL, Column, ForeignKey, Index, Integer, Table, Text, event

from storage.columns import ORDER_KIND, ORDER_STATE, Instant
from storage.tables import SERIAL, guards, metadata

on_demand = Table(
    "on_demand",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("order", Text, nullable=False, unique=True),
    Column("kind", ORDER_KIND, nullable=False),
    Column("what", Text, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("deadline", Instant, nullable=False),
    Column("state", ORDER_STATE, nullable=False),
    Column("taken_at", Instant),
    Column("taken_by", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("ended_at", Instant),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
# Few are open at a time, however many there were: whoever looks every second looks at these alone.
Index("ix_on_demand_open", on_demand.c.id, sqlite_where=on_demand.c.ended_at.is_(None))

on_demand_line = Table(
    "on_demand_line",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("on_demand_id", ForeignKey("on_demand.id"), nullable=False),
    Column("at", Instant, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("about", "outcome", "detail", "said")),
    Index("ix_on_demand_line_on_demand_id_id", "on_demand_id", "id"),
)

FROZEN = (on_demand,)
"""But for what `storage.tables` says of it."""

for _table in FROZEN:
    for _guard in guards(_table):
        event.listen(_table, "after_create", DDL(_guard).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
