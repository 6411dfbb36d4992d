"""Tables of the accounting by day: what was left out on purpose, and what each meter owed of a day that is over."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text

from storage.columns import Day, Instant
from storage.tables import SERIAL, metadata

pause = Table(
    "pause",
    metadata,
    Column("id", SERIAL, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("kind", "name")),
    Column("since", Instant, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("who", "why")),
    Column("until", Instant),
    Column("ended_by", Text, nullable=False, default=""),
)
Index("uq_pause_open", pause.c.kind, pause.c.name, unique=True, sqlite_where=pause.c.until.is_(None))

FLAGS = ("total", "reading_day", "automatic", "paused_total")
NUMBERS = ("freezes", "points", "paused_freezes", "paused_points")

meter_day = Table(
    "meter_day",
    metadata,
    Column("day", Day, primary_key=True),
    Column("meter_id", ForeignKey("meter.id"), primary_key=True),
    Column("point_id", ForeignKey("point.id"), nullable=False),
    Column("group_id", ForeignKey("slot_group.id"), nullable=False),
    *(Column(name, Boolean, nullable=False) for name in FLAGS),
    *(Column(name, Integer, nullable=False) for name in NUMBERS),
    sqlite_with_rowid=False,
)
