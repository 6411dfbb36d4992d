"""What is asked on demand of a collector that runs, and its progress.

A step says all of itself: it may not look at storage/order_tables.py, which will have moved on when it runs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

revision = "0005"
down_revision = "0004"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT, CODE = sa.BigInteger(), sa.SmallInteger()

ASKED = "id order kind what asked_at asked_by deadline"
"""Columns that are never altered."""


def _text(name: str) -> Column[str]:
    return Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    """Build it."""
    op.create_table(
        "on_demand",
        Column("id", KEY, nullable=False),
        _text("order"),
        Column("kind", CODE, nullable=False),
        _text("what"),
        Column("asked_at", INSTANT, nullable=False),
        _text("asked_by"),
        Column("deadline", INSTANT, nullable=False),
        Column("state", CODE, nullable=False),
        Column("taken_at", INSTANT, nullable=True),
        _text("taken_by"),
        Column("times", sa.Integer(), nullable=False),
        Column("ended_at", INSTANT, nullable=True),
        _text("reason"),
        _text("detail"),
        sa.PrimaryKeyConstraint("id", name="pk_on_demand"),
        sa.UniqueConstraint("order", name="uq_on_demand_order"),
    )
    op.create_index("ix_on_demand_open", "on_demand", ["id"], sqlite_where=sa.text("ended_at IS NULL"))
    op.create_table(
        "on_demand_line",
        Column("id", KEY, nullable=False),
        Column("on_demand_id", KEY, nullable=False),
        Column("at", INSTANT, nullable=False),
        _text("about"),
        _text("outcome"),
        _text("detail"),
        _text("said"),
        sa.ForeignKeyConstraint(["on_demand_id"], ["on_demand.id"], name="fk_on_demand_line_on_demand_id"),
        sa.PrimaryKeyConstraint("id", name="pk_on_demand_line"),
    )
    op.create_index("ix_on_demand_line_on_demand_id_id", "on_demand_line", ["on_demand_id", "id"])
    if op.get_bind().dialect.name == "sqlite":
        names = ", ".join(f'"{name}"' for name in ASKED.split())
        refuse = "BEGIN SELECT RAISE(ABORT, 'on_demand is append-only'); END"
        op.execute(f"CREATE TRIGGER on_demand_unaltered BEFORE UPDATE OF {names} ON on_demand {refuse}")
        op.execute(f"CREATE TRIGGER on_demand_kept BEFORE DELETE ON on_demand {refuse}")
