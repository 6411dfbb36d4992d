"""The tables. What was read is never altered: triggers refuse it, whoever asks.

Names of meters, quantities and plans are written once and stand for small integers elsewhere; times, values and
enumerations lie as `storage.columns` says. In `reading`, the facts come first and are frozen; after them comes what is
only kept at hand about them (the slot it fills, where its verdicts stand), which follows from other tables.
`storage/migrations` builds the same, step by step; a test holds the two equal.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from storage.columns import BASIS, OWNER, QUALITY, SOURCE, Day, Instant

REVISION = "0006"
"""The step of storage/migrations that builds these tables; a test holds it to be the last."""

APPLICATION_ID = 0x43424C47
"""In the header of an SQLite file: this is one of ours ("CBLG")."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts by itself only what is called INTEGER


def _id() -> Column[int]:
    return Column("id", SERIAL, primary_key=True)


def _of(table: str, *, nullable: bool = False, name: str | None = None) -> Column[int]:
    return Column(name or f"{table}_id", ForeignKey(f"{table}.id"), nullable=nullable)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


# --- names and the registry -------------------------------------------------------------------------------------------

meter = Table(
    "meter",
    metadata,
    _id(),
    Column("meter", Text, nullable=False, unique=True),
    *(_text(name) for name in ("profile", "channel", "address", "asset_no", "serial", "terminal", "wiring")),
    Column("un_v", BigInteger),
    Column("imax_a", BigInteger),
    Column("digits", Integer),
)

point = Table(
    "point",
    metadata,
    _id(),
    Column("point", Text, nullable=False, unique=True),
    *(_text(name) for name in ("account", "role", "area", "feeder", "station", "section", "box", "phase", "class")),
    *(_text(name) for name in ("tariff", "billing_group")),
    Column("contract_kva", BigInteger),
    Column("pv_kw", BigInteger),
)

installation = Table(
    "installation",
    metadata,
    _id(),
    _of("meter"),
    _of("point"),
    # From here on readings belong to it: its start, or long ago where nobody told the start.
    Column("since", Instant, nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant),
    *(
        Column(f"{which}_{side}", Integer, nullable=False)
        for which in ("ct", "pt")
        for side in ("primary", "secondary")
    ),
    _text("start_readings"),
    Index("ix_installation_meter_id_since", "meter_id", "since"),
)
Index("uq_installation_open", installation.c.meter_id, unique=True, sqlite_where=installation.c.end.is_(None))

registry_import = Table(
    "registry_import",
    metadata,
    _id(),
    _text("digest"),
    Column("at", Instant, nullable=False),
    *(Column(name, Integer, nullable=False) for name in ("added", "changed", "unchanged")),
)

quantity = Table("quantity", metadata, _id(), Column("code", Text, nullable=False, unique=True))

plan = Table("plan", metadata, _id(), Column("name", Text, nullable=False, unique=True))

plan_version = Table(
    "plan_version",
    metadata,
    _id(),
    _of("plan"),
    _text("definition"),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),
)

# --- what was read ----------------------------------------------------------------------------------------------------

reading = Table(
    "reading",
    metadata,
    _id(),
    _of("meter"),
    _of("quantity"),
    Column("basis", BASIS, nullable=False),
    Column("time", Instant, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("resolution", BigInteger, nullable=False),
    Column("source", SOURCE, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("billable", Boolean, nullable=False),
    # kept at hand:
    _of("plan", nullable=True, name="slot_plan_id"),
    Column("slot_at", Instant),
    Column("data_day", Day),
    Column("conflicted", Boolean, nullable=False, default=False),
    Column("revision", Integer, nullable=False, default=0),
    Column("waits", Boolean, nullable=False, default=True),
    Column("due", Boolean, nullable=False, default=False),
    UniqueConstraint("meter_id", "quantity_id", "basis", "time", name="uq_reading_key"),
)
Index(
    "ix_reading_waits",
    *(reading.c[name] for name in ("meter_id", "quantity_id", "basis", "time")),
    sqlite_where=reading.c.waits.is_(True),
)
Index(
    "ix_reading_due",
    *(reading.c[name] for name in ("meter_id", "quantity_id", "time", "slot_at")),
    sqlite_where=reading.c.due.is_(True),
)

restatement = Table(  # the same reading at another resolution; the finest is `served`
    "restatement",
    metadata,
    _id(),
    _of("reading"),
    Column("value", BigInteger, nullable=False),
    Column("resolution", BigInteger, nullable=False),
    Column("source", SOURCE, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("billable", Boolean, nullable=False),
    Column("served", Boolean, nullable=False),
    UniqueConstraint("reading_id", "value", "resolution", name="uq_restatement_value"),
)

conflict = Table(  # another value for the same key
    "conflict",
    metadata,
    _id(),
    _of("reading"),
    Column("value", BigInteger, nullable=False),
    Column("other", BigInteger, nullable=False),
    Column("other_resolution", BigInteger, nullable=False),
    Column("other_source", SOURCE, nullable=False),
    Column("received_at", Instant, nullable=False),
    UniqueConstraint("reading_id", "other", name="uq_conflict_other"),
)

attempt = Table(
    "attempt",
    metadata,
    _id(),
    _of("meter"),
    _text("channel"),
    _of("plan"),
    Column("started_at", Instant, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    _text("outcome"),
    Column("owner", OWNER),
    _text("detail"),
    Column("sent", LargeBinary, nullable=False),
    Column("received", LargeBinary, nullable=False),
    Column("drained", Integer, nullable=False),
    Index("ix_attempt_started_at", "started_at"),
)

raw_frame = Table(
    "raw_frame",
    metadata,
    _id(),
    Column("received_at", Instant, nullable=False),
    _text("origin"),
    _of("meter"),
    _text("protocol"),
    Column("data", LargeBinary, nullable=False),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    _id(),
    Column("received_at", Instant, nullable=False),
    *(_text(name) for name in ("origin", "reason", "detail")),
    Column("data", LargeBinary, nullable=False),
)

sender = Table(  # a concentrator that numbers its messages, each of its boots by itself
    "sender",
    metadata,
    *(Column(name, Text, primary_key=True) for name in ("channel", "sender", "boot")),
    Column("upto", BigInteger, nullable=False),
    Column("highest", BigInteger, nullable=False),
    _text("missing"),
    Column("lost", BigInteger, nullable=False),
    Column("heard_at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

# --- slots ------------------------------------------------------------------------------------------------------------


def _slot() -> tuple[Column[object], ...]:
    return (
        Column("at", Instant, primary_key=True),
        Column("plan_id", ForeignKey("plan.id"), primary_key=True),
        Column("meter_id", ForeignKey("meter.id"), primary_key=True),
        Column("quantity_id", ForeignKey("quantity.id"), primary_key=True),
        Column("basis", BASIS, primary_key=True),
    )


filled = Table(
    "filled",
    metadata,
    *_slot(),
    Column("filled_at", Instant, nullable=False),
    Column("first_round", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

slot_group = Table(
    "slot_group",
    metadata,
    _id(),
    *(_text(name) for name in ("channel", "terminal", "area", "station", "class", "profile")),
    UniqueConstraint("channel", "terminal", "area", "station", "class", "profile", name="uq_slot_group"),
)

missing = Table(
    "missing",
    metadata,
    *_slot(),
    Column("data_day", Day, nullable=False),
    Column("group_id", ForeignKey("slot_group.id"), nullable=False),
    _text("reason"),
    Column("owner", OWNER, nullable=False),
    _text("detail"),
    Column("attempts", Integer, nullable=False),
    Column("since", Instant),
    Column("expires", Instant),
    sqlite_with_rowid=False,
)

day_count = Table(
    "day_count",
    metadata,
    Column("day", Day, primary_key=True),
    Column("plan_id", ForeignKey("plan.id"), primary_key=True),
    Column("group_id", ForeignKey("slot_group.id"), primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("slots", Integer, nullable=False),
    Column("first_round", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# --- verdicts ---------------------------------------------------------------------------------------------------------

revision = Table(
    "revision",
    metadata,
    Column("reading_id", ForeignKey("reading.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
    _text("point"),
    Column("quality", QUALITY, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("value", BigInteger),
    _text("ruleset"),
    _text("maker"),
    _text("reason"),
    sqlite_with_rowid=False,
)

finding = Table(
    "finding",
    metadata,
    Column("reading_id", ForeignKey("reading.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("place", Integer, primary_key=True),
    _text("rule"),
    _of("meter"),
    _of("quantity"),
    Column("basis", BASIS, nullable=False),
    Column("time", Instant, nullable=False),
    _text("evidence"),
    sqlite_with_rowid=False,
)

# --- handing over -----------------------------------------------------------------------------------------------------

delivery = Table(
    "delivery",
    metadata,
    Column("batch_seq", SERIAL, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in ("from_seq", "to_seq", "rows")),
    *(_text(name) for name in ("sha256", "prev_sha256", "manifest_sha256", "control_totals", "data_file")),
    Column("created_at", Instant, nullable=False),
    Column("written", Boolean, nullable=False),
)

delivery_row = Table(
    "delivery_row",
    metadata,
    Column("seq", SERIAL, primary_key=True, autoincrement=False),
    Column("batch_seq", ForeignKey("delivery.batch_seq"), nullable=False, index=True),
    Column("reading_id", ForeignKey("reading.id"), nullable=False, index=True),
    Column("millionths", BigInteger, nullable=False),
    *(_text(name) for name in ("type", "account", "point", "value", "unit", "multiplier")),
    Column("quality", QUALITY, nullable=False),
    Column("source", SOURCE, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("replaces", BigInteger),
    Column("old_value", Text),
    Column("reason", Text),
)

# --- frozen -----------------------------------------------------------------------------------------------------------

_KEPT_AT_HAND = {
    "reading": ("slot_plan_id", "slot_at", "data_day", "conflicted", "revision", "waits", "due"),
    "restatement": ("served",),
    "delivery": ("written",),
    "on_demand": ("state", "taken_at", "taken_by", "times", "ended_at", "reason", "detail"),
}
FROZEN = (reading, restatement, conflict, revision, finding, delivery, delivery_row)


def guards(table: Table) -> tuple[str, str]:
    """The triggers that refuse to alter or delete a table's rows, for SQLite."""
    kept = _KEPT_AT_HAND.get(table.name, ())
    columns = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in kept)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table.name} is append-only'); END"
    return (
        f"CREATE TRIGGER {table.name}_unaltered BEFORE UPDATE OF {columns} ON {table.name} {refuse}",
        f"CREATE TRIGGER {table.name}_kept BEFORE DELETE ON {table.name} {refuse}",
    )


for _table in FROZEN:
    for _guard in guards(_table):
        event.listen(_table, "after_create", DDL(_guard).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
