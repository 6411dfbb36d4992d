"""What happened to meters: status words, events, and their counters.

A step says all of itself: it may not look at storage/care_tables.py, which will have moved on when it runs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

revision = "0006"
down_revision = "0005"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.BigInteger()


def _text(name: str) -> Column[str]:
    return Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    """Build it."""
    op.create_table(
        "meter_status",
        Column("id", KEY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        Column("at", INSTANT, nullable=False),
        _text("words"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_meter_status_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_meter_status"),
    )
    op.create_index("ix_meter_status_meter_id_at", "meter_status", ["meter_id", "at"])
    op.create_table(
        "meter_event",
        Column("id", KEY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        _text("kind"),
        _text("phase"),
        Column("start", INSTANT, nullable=False),
        Column("end", INSTANT, nullable=True),
        Column("seen_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_meter_event_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_meter_event"),
        sa.UniqueConstraint("meter_id", "kind", "phase", "start", name="uq_meter_event_key"),
    )
    op.create_index("ix_meter_event_start", "meter_event", ["start"])
    op.create_table(
        "event_count",
        Column("meter_id", KEY, nullable=False),
        _text("kind"),
        _text("phase"),
        Column("count", sa.BigInteger(), nullable=False),
        Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_event_count_meter_id"),
        sa.PrimaryKeyConstraint("meter_id", "kind", "phase", name="pk_event_count"),
        sqlite_with_rowid=False,
    )
