"""Clocks: what was read of them, what was changed, and what became of it.

A step says all of itself: it may not look at storage/care_tables.py, which will have moved on when it runs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

revision = "0003"
down_revision = "0002"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT, CODE = sa.BigInteger(), sa.SmallInteger()

FROZEN = {
    "clock_check": "id meter_id at shown uncertainty_us occasion",
    "clock_change": "id meter_id at how channel who why before_us",
    "clock_outcome": "change_id ended_at outcome detail after_us",
}
"""Columns that are never altered, and tables whose rows are never deleted."""


def _text(name: str) -> Column[str]:
    return Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    """Build it."""
    op.create_table(
        "clock_check",
        Column("id", KEY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        Column("at", INSTANT, nullable=False),
        Column("shown", INSTANT, nullable=False),
        Column("uncertainty_us", sa.BigInteger(), nullable=False),
        Column("occasion", CODE, nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_clock_check_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_clock_check"),
    )
    op.create_index("ix_clock_check_meter_id_at", "clock_check", ["meter_id", "at"])
    op.create_index("ix_clock_check_meter_id_shown", "clock_check", ["meter_id", "shown"])
    op.create_table(
        "clock_change",
        Column("id", KEY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        Column("at", INSTANT, nullable=False),
        Column("how", CODE, nullable=False),
        _text("channel"),
        _text("who"),
        _text("why"),
        Column("before_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_clock_change_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_clock_change"),
        sa.UniqueConstraint("meter_id", "at", name="uq_clock_change_key"),
    )
    op.create_table(
        "clock_outcome",
        Column("change_id", KEY, nullable=False),
        Column("ended_at", INSTANT, nullable=False),
        _text("outcome"),
        _text("detail"),
        Column("after_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["change_id"], ["clock_change.id"], name="fk_clock_outcome_change_id"),
        sa.PrimaryKeyConstraint("change_id", name="pk_clock_outcome"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for table, columns in FROZEN.items():
            _guard(table, columns)


def _guard(table: str, columns: str) -> None:
    names = ", ".join(f'"{name}"' for name in columns.split())
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    op.execute(f"CREATE TRIGGER {table}_unaltered BEFORE UPDATE OF {names} ON {table} {refuse}")
    op.execute(f"CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} {refuse}")
