"""What SQLite and PostgreSQL say differently: the one door. PostgreSQL's half comes with its adapter.

`listed` hands any number of rows to a statement as one parameter, so that a batch is looked up in one question (a thousand
keys: 4 ms, against 50 as a list of row values, measured).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, Text, bindparam, column, func, literal_column, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.dialects.sqlite.dml import Insert
from sqlalchemy.sql.selectable import Subquery

Upsert = Insert


def listed(*names: str, parameter: str = "listed") -> Subquery:
    """Rows of whole numbers or texts, with these columns and `place` (0, 1, …), from the parameter `as_list` makes."""
    rows = func.json_each(bindparam(parameter, type_=Text)).table_valued(
        column("key"), column("value"), name=f"{parameter}_json"
    )
    fields: list[ColumnElement[Any]] = [
        func.json_extract(rows.c.value, literal_column(f"'$[{place}]'")).label(name) for place, name in enumerate(names)
    ]
    return select(rows.c.key.label("place"), *fields).subquery(parameter)


def as_list(rows: Iterable[Sequence[int | str | None]]) -> str:
    """The parameter for `listed`."""
    return json.dumps([list(row) for row in rows], ensure_ascii=False)


def insert_new(table: Table) -> Upsert:
    """Insert; rows that are there already stay as they are."""
    return sqlite_insert(table).on_conflict_do_nothing()


def insert_or_set(table: Table, key: Sequence[str], values: Sequence[str]) -> Upsert:
    """Insert; where the key is there, set the other columns."""
    insert = sqlite_insert(table)
    return insert.on_conflict_do_update(index_elements=list(key), set_={name: insert.excluded[name] for name in values})


def insert_or_add(table: Table, key: Sequence[str], numbers: Sequence[str]) -> Upsert:
    """Insert; where the key is there, add to the other columns."""
    insert = sqlite_insert(table)
    added: Mapping[str, ColumnElement[Any]] = {name: table.c[name] + insert.excluded[name] for name in numbers}
    return insert.on_conflict_do_update(index_elements=list(key), set_=dict(added))


def insert_once_ended(table: Table, key: Sequence[str], column_: str) -> Upsert:
    """Insert; where the key is there, only what `column_` does not say yet is filled in."""
    insert = sqlite_insert(table)
    known = func.coalesce(table.c[column_], insert.excluded[column_])
    return insert.on_conflict_do_update(index_elements=list(key), set_={column_: known})
