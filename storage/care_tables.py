"""Tables of what stands beside readings: clocks and their changes. An audit that could be altered would be none.

`clock_change` is what was intended, written before the frame leaves; `clock_outcome` what became of it.
"""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Column, ForeignKey, Index, Table, Text, UniqueConstraint, event

from storage.columns import CLOCK_HOW, OCCASION, Instant
from storage.tables import SERIAL, guards, metadata

clock_check = Table(
    "clock_check",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("meter_id", ForeignKey("meter.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("shown", Instant, nullable=False),
    Column("uncertainty_us", BigInteger, nullable=False),
    Column("occasion", OCCASION, nullable=False),
    Index("ix_clock_check_meter_id_at", "meter_id", "at"),
    Index("ix_clock_check_meter_id_shown", "meter_id", "shown"),
)

clock_change = Table(
    "clock_change",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("meter_id", ForeignKey("meter.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("how", CLOCK_HOW, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("channel", "who", "why")),
    Column("before_us", BigInteger),
    UniqueConstraint("meter_id", "at", name="uq_clock_change_key"),
)

clock_outcome = Table(
    "clock_outcome",
    metadata,
    Column("change_id", ForeignKey("clock_change.id"), primary_key=True),
    Column("ended_at", Instant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("after_us", BigInteger),
)

meter_status = Table(
    "meter_status",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("meter_id", ForeignKey("meter.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("words", Text, nullable=False),
    Index("ix_meter_status_meter_id_at", "meter_id", "at"),
)

meter_event = Table(
    "meter_event",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("meter_id", ForeignKey("meter.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant),
    Column("seen_at", Instant, nullable=False),
    UniqueConstraint("meter_id", "kind", "phase", "start", name="uq_meter_event_key"),
    Index("ix_meter_event_start", "start"),
)

event_count = Table(
    "event_count",
    metadata,
    Column("meter_id", ForeignKey("meter.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("phase", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

FROZEN = (clock_check, clock_change, clock_outcome)

for _table in FROZEN:
    for _guard in guards(_table):
        event.listen(_table, "after_create", DDL(_guard).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
