"""The first schema: registry, readings, slots and counters, verdicts, deliveries.

A step says all of itself: it may not look at storage/tables.py, which will have moved on when it runs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT, DAY, CODE = sa.BigInteger(), sa.Integer(), sa.SmallInteger()
APPLICATION_ID = 0x43424C47

FROZEN = {
    "reading": "id meter_id quantity_id basis time value resolution source received_at billable",
    "restatement": "id reading_id value resolution source received_at billable",
    "conflict": "id reading_id value other other_resolution other_source received_at",
    "revision": "reading_id n point quality made_at value ruleset maker reason",
    "finding": "reading_id n place rule meter_id quantity_id basis time evidence",
    "delivery": "batch_seq from_seq to_seq rows sha256 prev_sha256 manifest_sha256 control_totals data_file created_at",
    "delivery_row": "seq batch_seq reading_id millionths type account point value unit multiplier quality source revision"
    " replaces old_value reason",
}
"""Columns that are never altered, and tables whose rows are never deleted."""


def _text(name: str) -> Column[str]:
    return Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    """Build it."""
    op.create_table(
        "dead_letter",
        Column("id", KEY, nullable=False),
        Column("received_at", INSTANT, nullable=False),
        _text("origin"),
        _text("reason"),
        _text("detail"),
        Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letter"),
    )
    op.create_table(
        "delivery",
        Column("batch_seq", KEY, autoincrement=False, nullable=False),
        Column("from_seq", sa.BigInteger(), nullable=False),
        Column("to_seq", sa.BigInteger(), nullable=False),
        Column("rows", sa.BigInteger(), nullable=False),
        _text("sha256"),
        _text("prev_sha256"),
        _text("manifest_sha256"),
        _text("control_totals"),
        _text("data_file"),
        Column("created_at", INSTANT, nullable=False),
        Column("written", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("batch_seq", name="pk_delivery"),
    )
    op.create_table(
        "meter",
        Column("id", KEY, nullable=False),
        _text("meter"),
        _text("profile"),
        _text("channel"),
        _text("address"),
        _text("asset_no"),
        _text("serial"),
        _text("terminal"),
        _text("wiring"),
        Column("un_v", sa.BigInteger(), nullable=True),
        Column("imax_a", sa.BigInteger(), nullable=True),
        Column("digits", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_meter"),
        sa.UniqueConstraint("meter", name="uq_meter_meter"),
    )
    op.create_table(
        "plan",
        Column("id", KEY, nullable=False),
        _text("name"),
        sa.PrimaryKeyConstraint("id", name="pk_plan"),
        sa.UniqueConstraint("name", name="uq_plan_name"),
    )
    op.create_table(
        "point",
        Column("id", KEY, nullable=False),
        _text("point"),
        _text("account"),
        _text("role"),
        _text("area"),
        _text("feeder"),
        _text("station"),
        _text("section"),
        _text("box"),
        _text("phase"),
        _text("class"),
        _text("tariff"),
        _text("billing_group"),
        Column("contract_kva", sa.BigInteger(), nullable=True),
        Column("pv_kw", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_point"),
        sa.UniqueConstraint("point", name="uq_point_point"),
    )
    op.create_table(
        "quantity",
        Column("id", KEY, nullable=False),
        _text("code"),
        sa.PrimaryKeyConstraint("id", name="pk_quantity"),
        sa.UniqueConstraint("code", name="uq_quantity_code"),
    )
    op.create_table(
        "registry_import",
        Column("id", KEY, nullable=False),
        _text("digest"),
        Column("at", INSTANT, nullable=False),
        Column("added", sa.Integer(), nullable=False),
        Column("changed", sa.Integer(), nullable=False),
        Column("unchanged", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_registry_import"),
    )
    op.create_table(
        "slot_group",
        Column("id", KEY, nullable=False),
        _text("channel"),
        _text("terminal"),
        _text("area"),
        _text("station"),
        _text("class"),
        _text("profile"),
        sa.PrimaryKeyConstraint("id", name="pk_slot_group"),
        sa.UniqueConstraint("channel", "terminal", "area", "station", "class", "profile", name="uq_slot_group"),
    )
    op.create_table(
        "attempt",
        Column("id", KEY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        _text("channel"),
        Column("plan_id", KEY, nullable=False),
        Column("started_at", INSTANT, nullable=False),
        Column("duration_us", sa.BigInteger(), nullable=False),
        _text("outcome"),
        Column("owner", CODE, nullable=True),
        _text("detail"),
        Column("sent", sa.LargeBinary(), nullable=False),
        Column("received", sa.LargeBinary(), nullable=False),
        Column("drained", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_attempt_meter_id"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_attempt_plan_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
    )
    op.create_table(
        "day_count",
        Column("day", DAY, nullable=False),
        Column("plan_id", KEY, nullable=False),
        Column("group_id", KEY, nullable=False),
        _text("reason"),
        Column("slots", sa.Integer(), nullable=False),
        Column("first_round", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["slot_group.id"], name="fk_day_count_group_id"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_day_count_plan_id"),
        sa.PrimaryKeyConstraint("day", "plan_id", "group_id", "reason", name="pk_day_count"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "filled",
        Column("at", INSTANT, nullable=False),
        Column("plan_id", KEY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        Column("quantity_id", KEY, nullable=False),
        Column("basis", CODE, nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_filled_meter_id"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_filled_plan_id"),
        sa.ForeignKeyConstraint(["quantity_id"], ["quantity.id"], name="fk_filled_quantity_id"),
        sa.PrimaryKeyConstraint("at", "plan_id", "meter_id", "quantity_id", "basis", name="pk_filled"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "installation",
        Column("id", KEY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        Column("point_id", KEY, nullable=False),
        Column("since", INSTANT, nullable=False),
        Column("start", INSTANT, nullable=False),
        Column("end", INSTANT, nullable=True),
        Column("ct_primary", sa.Integer(), nullable=False),
        Column("ct_secondary", sa.Integer(), nullable=False),
        Column("pt_primary", sa.Integer(), nullable=False),
        Column("pt_secondary", sa.Integer(), nullable=False),
        _text("start_readings"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_installation_meter_id"),
        sa.ForeignKeyConstraint(["point_id"], ["point.id"], name="fk_installation_point_id"),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )
    op.create_index("ix_installation_meter_id_since", "installation", ["meter_id", "since"])
    op.create_index(
        "uq_installation_open", "installation", ["meter_id"], unique=True, sqlite_where=sa.text('"end" IS NULL')
    )
    op.create_table(
        "missing",
        Column("at", INSTANT, nullable=False),
        Column("plan_id", KEY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        Column("quantity_id", KEY, nullable=False),
        Column("basis", CODE, nullable=False),
        Column("data_day", DAY, nullable=False),
        Column("group_id", KEY, nullable=False),
        _text("reason"),
        Column("owner", CODE, nullable=False),
        _text("detail"),
        Column("attempts", sa.Integer(), nullable=False),
        Column("since", INSTANT, nullable=True),
        Column("expires", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["group_id"], ["slot_group.id"], name="fk_missing_group_id"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_missing_meter_id"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_missing_plan_id"),
        sa.ForeignKeyConstraint(["quantity_id"], ["quantity.id"], name="fk_missing_quantity_id"),
        sa.PrimaryKeyConstraint("at", "plan_id", "meter_id", "quantity_id", "basis", name="pk_missing"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "plan_version",
        Column("id", KEY, nullable=False),
        Column("plan_id", KEY, nullable=False),
        _text("definition"),
        Column("valid_from", INSTANT, nullable=False),
        Column("valid_to", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_plan_version_plan_id"),
        sa.PrimaryKeyConstraint("id", name="pk_plan_version"),
    )
    op.create_table(
        "raw_frame",
        Column("id", KEY, nullable=False),
        Column("received_at", INSTANT, nullable=False),
        _text("origin"),
        Column("meter_id", KEY, nullable=False),
        _text("protocol"),
        Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_raw_frame_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_raw_frame"),
    )
    op.create_table(
        "reading",
        Column("id", KEY, nullable=False),
        Column("meter_id", KEY, nullable=False),
        Column("quantity_id", KEY, nullable=False),
        Column("basis", CODE, nullable=False),
        Column("time", INSTANT, nullable=False),
        Column("value", sa.BigInteger(), nullable=False),
        Column("resolution", sa.BigInteger(), nullable=False),
        Column("source", CODE, nullable=False),
        Column("received_at", INSTANT, nullable=False),
        Column("billable", sa.Boolean(), nullable=False),
        Column("slot_plan_id", KEY, nullable=True),
        Column("slot_at", INSTANT, nullable=True),
        Column("data_day", DAY, nullable=True),
        Column("conflicted", sa.Boolean(), nullable=False),
        Column("revision", sa.Integer(), nullable=False),
        Column("waits", sa.Boolean(), nullable=False),
        Column("due", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_reading_meter_id"),
        sa.ForeignKeyConstraint(["quantity_id"], ["quantity.id"], name="fk_reading_quantity_id"),
        sa.ForeignKeyConstraint(["slot_plan_id"], ["plan.id"], name="fk_reading_slot_plan_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reading"),
        sa.UniqueConstraint("meter_id", "quantity_id", "basis", "time", name="uq_reading_key"),
    )
    op.create_index(
        "ix_reading_due", "reading", ["meter_id", "quantity_id", "time", "slot_at"], sqlite_where=sa.text("due IS 1")
    )
    op.create_index(
        "ix_reading_waits", "reading", ["meter_id", "quantity_id", "basis", "time"], sqlite_where=sa.text("waits IS 1")
    )
    op.create_table(
        "conflict",
        Column("id", KEY, nullable=False),
        Column("reading_id", KEY, nullable=False),
        Column("value", sa.BigInteger(), nullable=False),
        Column("other", sa.BigInteger(), nullable=False),
        Column("other_resolution", sa.BigInteger(), nullable=False),
        Column("other_source", CODE, nullable=False),
        Column("received_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["reading_id"], ["reading.id"], name="fk_conflict_reading_id"),
        sa.PrimaryKeyConstraint("id", name="pk_conflict"),
        sa.UniqueConstraint("reading_id", "other", name="uq_conflict_other"),
    )
    op.create_table(
        "delivery_row",
        Column("seq", KEY, autoincrement=False, nullable=False),
        Column("batch_seq", KEY, nullable=False),
        Column("reading_id", KEY, nullable=False),
        Column("millionths", sa.BigInteger(), nullable=False),
        _text("type"),
        _text("account"),
        _text("point"),
        _text("value"),
        _text("unit"),
        _text("multiplier"),
        Column("quality", CODE, nullable=False),
        Column("source", CODE, nullable=False),
        Column("revision", sa.Integer(), nullable=False),
        Column("replaces", sa.BigInteger(), nullable=True),
        Column("old_value", sa.Text(), nullable=True),
        Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["batch_seq"], ["delivery.batch_seq"], name="fk_delivery_row_batch_seq"),
        sa.ForeignKeyConstraint(["reading_id"], ["reading.id"], name="fk_delivery_row_reading_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_delivery_row"),
    )
    op.create_index("ix_delivery_row_batch_seq", "delivery_row", ["batch_seq"])
    op.create_index("ix_delivery_row_reading_id", "delivery_row", ["reading_id"])
    op.create_table(
        "finding",
        Column("reading_id", KEY, nullable=False),
        Column("n", sa.Integer(), nullable=False),
        Column("place", sa.Integer(), nullable=False),
        _text("rule"),
        Column("meter_id", KEY, nullable=False),
        Column("quantity_id", KEY, nullable=False),
        Column("basis", CODE, nullable=False),
        Column("time", INSTANT, nullable=False),
        _text("evidence"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_finding_meter_id"),
        sa.ForeignKeyConstraint(["quantity_id"], ["quantity.id"], name="fk_finding_quantity_id"),
        sa.ForeignKeyConstraint(["reading_id"], ["reading.id"], name="fk_finding_reading_id"),
        sa.PrimaryKeyConstraint("reading_id", "n", "place", name="pk_finding"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "restatement",
        Column("id", KEY, nullable=False),
        Column("reading_id", KEY, nullable=False),
        Column("value", sa.BigInteger(), nullable=False),
        Column("resolution", sa.BigInteger(), nullable=False),
        Column("source", CODE, nullable=False),
        Column("received_at", INSTANT, nullable=False),
        Column("billable", sa.Boolean(), nullable=False),
        Column("served", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["reading_id"], ["reading.id"], name="fk_restatement_reading_id"),
        sa.PrimaryKeyConstraint("id", name="pk_restatement"),
        sa.UniqueConstraint("reading_id", "value", "resolution", name="uq_restatement_value"),
    )
    op.create_table(
        "revision",
        Column("reading_id", KEY, nullable=False),
        Column("n", sa.Integer(), nullable=False),
        _text("point"),
        Column("quality", CODE, nullable=False),
        Column("made_at", INSTANT, nullable=False),
        Column("value", sa.BigInteger(), nullable=True),
        _text("ruleset"),
        _text("maker"),
        _text("reason"),
        sa.ForeignKeyConstraint(["reading_id"], ["reading.id"], name="fk_revision_reading_id"),
        sa.PrimaryKeyConstraint("reading_id", "n", name="pk_revision"),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for table, columns in FROZEN.items():
            _guard(table, columns)


def _guard(table: str, columns: str) -> None:
    names = ", ".join(f'"{name}"' for name in columns.split())
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    op.execute(f"CREATE TRIGGER {table}_unaltered BEFORE UPDATE OF {names} ON {table} {refuse}")
    op.execute(f"CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} {refuse}")
