"""All steps together build what storage/tables.py says, and what was read can't be altered, whoever asks."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from storage import care_tables, order_tables, tables
from storage.engine import upgrade
from storage.migrations import runner


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    path = tmp_path / "migrated.db"
    upgrade(f"sqlite:///{path}")
    return path


def schema(path: Path) -> dict[tuple[str, str], str]:
    """Everything that SQLite knows of its tables, indexes and triggers, but for line breaks."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return {(kind, name): " ".join(sql.split()) for kind, name, sql in rows if "alembic_version" not in name}


def parts(sql: str) -> list[str]:
    """Of a table, its constraints may come in any order."""
    head, _, body = sql.partition("(")
    inside, _, tail = body.rpartition(")")
    return [head, *sorted(part.strip() for part in re.split(r", (?![^(]*\))", inside)), tail]


def test_all_steps_together_are_the_tables(migrated: Path, tmp_path: Path) -> None:
    created = tmp_path / "created.db"
    tables.metadata.create_all(create_engine(f"sqlite:///{created}"))
    stepped, whole = schema(migrated), schema(created)
    assert stepped.keys() == whole.keys()
    for name, sql in whole.items():
        assert parts(stepped[name]) == parts(sql), name
    assert len(whole) > 30


def test_alembic_finds_no_difference(migrated: Path) -> None:
    with create_engine(f"sqlite:///{migrated}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_the_last_step_is_the_one_that_tables_name() -> None:
    assert runner.steps()[-1] == tables.REVISION


def test_the_file_says_whose_it_is(migrated: Path) -> None:
    with closing(sqlite3.connect(migrated)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (tables.APPLICATION_ID,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def fill(connection: sqlite3.Connection, table: str) -> None:
    """A row of ones: what is in it does not matter here."""
    columns = connection.execute(f"PRAGMA table_info({table!r})").fetchall()
    names = ", ".join(f'"{column[1]}"' for column in columns)
    connection.execute(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("1" for _ in columns)})')


@pytest.mark.parametrize("table", [table.name for table in (*tables.FROZEN, *care_tables.FROZEN, *order_tables.FROZEN)])
def test_what_was_read_cannot_be_altered(migrated: Path, table: str) -> None:
    kept_at_hand = {
        "reading": {"slot_plan_id", "slot_at", "data_day", "conflicted", "revision", "waits", "due"},
        "restatement": {"served"},
        "delivery": {"written"},
        "on_demand": {"state", "taken_at", "taken_by", "times", "ended_at", "reason", "detail"},
    }.get(table, set())
    with closing(sqlite3.connect(migrated)) as connection:
        fill(connection, table)
        columns = {column[1] for column in connection.execute(f"PRAGMA table_info({table!r})")}
        for column in columns - kept_at_hand:
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                connection.execute(f'UPDATE "{table}" SET "{column}" = 2')
        with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
            connection.execute(f'DELETE FROM "{table}"')
        for column in kept_at_hand:
            connection.execute(f'UPDATE "{table}" SET "{column}" = 2')


def test_slots_that_were_filled_before_step_2_know_since_when(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    engine = create_engine(f"sqlite:///{path}")
    settings = runner.config()
    with engine.connect() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
        for sql in (
            "INSERT INTO plan (id, name) VALUES (1, 'daily'), (2, 'again')",
            "INSERT INTO quantity (id, code) VALUES (1, '1-0:1.8.0')",
            "INSERT INTO meter (id, meter, profile, channel, address, asset_no, serial, terminal, wiring)"
            " VALUES (1, 'm1', '', '', '', '', '', '', ''), (2, 'm2', '', '', '', '', '', '', '')",
            "INSERT INTO reading (meter_id, quantity_id, basis, time, value, resolution, source, received_at, billable,"
            " slot_plan_id, slot_at, conflicted, revision, waits, due)"
            " VALUES (1, 1, 2, 500, 7, 1, 1, 555, 1, 1, 500, 0, 0, 1, 0)",
            'INSERT INTO filled ("at", plan_id, meter_id, quantity_id, basis) VALUES (500, 1, 1, 1, 2), (500, 2, 1, 1, 2),'
            " (500, 1, 2, 1, 2)",
        ):
            connection.exec_driver_sql(sql)
        connection.commit()
        command.upgrade(settings, "0002")
        connection.commit()
        rows = connection.exec_driver_sql("SELECT plan_id, meter_id, filled_at, first_round FROM filled").fetchall()
    engine.dispose()
    assert [tuple(row) for row in rows] == [(1, 1, 555, 1), (1, 2, 500, 1), (2, 1, 555, 1)]
