"""Concentrators that number what they send: how far each has got."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Build it."""
    op.create_table(
        "sender",
        Column("channel", sa.Text(), nullable=False),
        Column("sender", sa.Text(), nullable=False),
        Column("boot", sa.Text(), nullable=False),
        Column("upto", sa.BigInteger(), nullable=False),
        Column("highest", sa.BigInteger(), nullable=False),
        Column("missing", sa.Text(), nullable=False),
        Column("lost", sa.BigInteger(), nullable=False),
        Column("heard_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "sender", "boot", name="pk_sender"),
        sqlite_with_rowid=False,
    )
