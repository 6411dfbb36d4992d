"""Names and the small integers that stand for them. Written once, never changed, so what is known may be remembered.

Only a writer asks (one at a time, see `sessions`); what it adds is remembered once it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, Table, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.ledger.dialect import Upsert, as_list, insert_new, listed
from storage.ledger.slots import Group

Name = TypeVar("Name", str, Group)

_NOT_REGISTERED = dict.fromkeys(("profile", "channel", "address", "asset_no", "serial", "terminal", "wiring"), "")


class Words(Generic[Name]):
    """One table of names. `row` gives the columns of a name."""

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        row: Callable[[Name], tuple[str, ...]],
        others: Mapping[str, str] | None = None,
    ) -> None:
        keys = listed(*columns)
        same = and_(*(table.c[column] == keys.c[column] for column in columns))
        self._insert: Upsert = insert_new(table)
        self._find: Select[Any] = select(keys.c.place, table.c.id).join_from(keys, table, same)
        self._columns = columns
        self._others = others or {}
        self._row: Callable[[Name], tuple[str, ...]] = row
        self._known: dict[Name, int] = {}
        self._fresh: dict[Name, int] = {}

    async def ids(self, connection: AsyncConnection, names: Iterable[Name]) -> dict[Name, int]:
        """Of these names; the new ones are written down."""
        wanted = set(names)
        unknown = sorted(wanted - self._known.keys() - self._fresh.keys())
        if unknown:
            rows = [self._row(name) for name in unknown]
            values = [{**self._others, **dict(zip(self._columns, row, strict=True))} for row in rows]
            await connection.execute(self._insert, values)
            for place, number in await connection.execute(self._find, {"listed": as_list(rows)}):
                self._fresh[unknown[place]] = number
        return {name: self._known[name] if name in self._known else self._fresh[name] for name in wanted}

    async def known(self, connection: AsyncConnection, names: Iterable[Name]) -> dict[Name, int]:
        """Of those of these names that are written down; reads only."""
        wanted = sorted(set(names) - self._known.keys())
        found = {name: self._known[name] for name in names if name in self._known}
        if wanted:
            rows = as_list(self._row(name) for name in wanted)
            for place, number in await connection.execute(self._find, {"listed": rows}):
                found[wanted[place]] = number
        return found

    def keep(self) -> None:
        """They are committed."""
        self._known.update(self._fresh)
        self._fresh.clear()

    def forget(self) -> None:
        """They were rolled back."""
        self._fresh.clear()


class Vocabulary:
    """All tables of names."""

    def __init__(self) -> None:
        self.meters: Words[str] = Words(tables.meter, ["meter"], _alone, _NOT_REGISTERED)
        self.quantities: Words[str] = Words(tables.quantity, ["code"], _alone)
        self.plans: Words[str] = Words(tables.plan, ["name"], _alone)
        columns = ("channel", "terminal", "area", "station", "class", "profile")
        self.groups: Words[Group] = Words(tables.slot_group, columns, tuple)

    def keep(self) -> None:
        """The transaction is committed."""
        for words in (self.meters, self.quantities, self.plans, self.groups):
            words.keep()

    def forget(self) -> None:
        """The transaction was rolled back."""
        for words in (self.meters, self.quantities, self.plans, self.groups):
            words.forget()


def _alone(name: str) -> tuple[str, ...]:
    return (name,)
