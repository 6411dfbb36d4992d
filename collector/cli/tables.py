"""Tables for people; the door to rich. They are as wide as they need, so that `grep` finds whole lines and numbers stay whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from collector import words
from protocols.catalogue import describe
from protocols.obis import Obis

WIDEST = 1000
_TIMES = frozenset({"time", "slot", "received_at", "since", "until", "expires", "start", "end", "read_at"})
"""An instant under these is shown in the reader's zone; a day stays a day."""
_CODES = frozenset({"kind", "basis", "reason", "owner", "quality", "change", "metric"})


def show_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Iterable[int] = (), empty: str = ""
) -> None:
    """Print a table; columns in `numbers` stand to the right. None is an empty cell; nothing in a cell is markup.

    Where there are no rows, `empty` is said instead.
    """
    right = frozenset(numbers)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if place in right else "left")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    if empty and not table.row_count:
        click.echo(empty)
    else:
        _print(table)


def show_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and what they are, in two columns that stand straight in any script."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(name), Text(value))
    _print(grid)


def _print(table: Table) -> None:
    """Never narrower than it is: the terminal breaks lines better than cells of six letters could. No blanks at the end."""
    console = Console(width=WIDEST, highlight=False)
    with console.capture() as lines:
        console.print(table)
    for line in lines.get().splitlines():
        click.echo(line.rstrip())


def local_text(instant: datetime, zone: ZoneInfo) -> str:
    """An instant as people of this zone read it, to the second."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def cells_for_people(shape: Mapping[str, object], keys: Iterable[str], zone: ZoneInfo) -> list[object]:
    """What a JSON object has under these keys, as a person reads it: times of this zone, codes in the chosen language."""
    return [_for_people(key, shape[key], zone) for key in keys]


def _for_people(key: str, value: object, zone: ZoneInfo) -> object:
    match value:
        case str(text) if key in _TIMES and "T" in text:
            return local_text(datetime.fromisoformat(text), zone)
        case str(code) if key in _CODES:
            return words.say(code)
        case _:
            return value


def quantity_name(code: str) -> str:
    """A quantity's name in the chosen language."""
    entry = describe(Obis.parse(code))
    return entry.chinese if words.language().startswith("zh") else entry.english
