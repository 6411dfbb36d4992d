"""The accounting by day: when a slot was filled and whether in the first round, pauses, what each meter owed of a day.

Of slots that were filled before, the instant is that of the reading in them; whether the first round brought it is told by
the counters alone, so there it is taken for yes, which changes no counter.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

revision = "0002"
down_revision = "0001"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT, DAY, CODE = sa.BigInteger(), sa.Integer(), sa.SmallInteger()


def upgrade() -> None:
    """Build it."""
    op.rename_table("filled", "filled_before")
    op.create_table(
        "filled",
        Column("at", INSTANT, nullable=False),
        Column("plan_id", KEY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        Column("quantity_id", KEY, nullable=False),
        Column("basis", CODE, nullable=False),
        Column("filled_at", INSTANT, nullable=False),
        Column("first_round", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_filled_meter_id"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_filled_plan_id"),
        sa.ForeignKeyConstraint(["quantity_id"], ["quantity.id"], name="fk_filled_quantity_id"),
        sa.PrimaryKeyConstraint("at", "plan_id", "meter_id", "quantity_id", "basis", name="pk_filled"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO filled SELECT f.at, f.plan_id, f.meter_id, f.quantity_id, f.basis, coalesce((SELECT min(r.received_at)"
        " FROM reading r WHERE r.meter_id = f.meter_id AND r.quantity_id = f.quantity_id AND r.basis = f.basis"
        " AND r.slot_at = f.at), f.at), 1 FROM filled_before f"
    )
    op.drop_table("filled_before")
    op.create_index("ix_attempt_started_at", "attempt", ["started_at"])
    op.create_table(
        "pause",
        Column("id", KEY, nullable=False),
        Column("kind", sa.Text(), nullable=False),
        Column("name", sa.Text(), nullable=False),
        Column("since", INSTANT, nullable=False),
        Column("who", sa.Text(), nullable=False),
        Column("why", sa.Text(), nullable=False),
        Column("until", INSTANT, nullable=True),
        Column("ended_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pause"),
    )
    op.create_index("uq_pause_open", "pause", ["kind", "name"], unique=True, sqlite_where=sa.text("until IS NULL"))
    op.create_table(
        "meter_day",
        Column("day", DAY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        Column("point_id", KEY, nullable=False),
        Column("group_id", KEY, nullable=False),
        *(Column(name, sa.Boolean(), nullable=False) for name in ("total", "reading_day", "automatic", "paused_total")),
        *(
            Column(name, sa.Integer(), nullable=False)
            for name in ("freezes", "points", "paused_freezes", "paused_points")
        ),
        sa.ForeignKeyConstraint(["group_id"], ["slot_group.id"], name="fk_meter_day_group_id"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_meter_day_meter_id"),
        sa.ForeignKeyConstraint(["point_id"], ["point.id"], name="fk_meter_day_point_id"),
        sa.PrimaryKeyConstraint("day", "meter_id", name="pk_meter_day"),
        sqlite_with_rowid=False,
    )
