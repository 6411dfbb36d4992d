"""What moves on a terminal: a progress bar and the living board. In a pipe both are quiet, or say a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from collector.words import say_n

Tell = Callable[[float, str], None]
Row = tuple[Sequence[str], str]
QUIET = ("verified", "accepted")
AROUND = 5
"""Lines of a board that are neither row nor footer: title, headings, rule, hint, and the one on which the cursor stands."""
STYLES = {
    "verified": "green",
    "recovered": "green",
    "accepted": "green",
    "suspect": "bold red",
    "raw": "dim",
    "missing": "bold yellow",
}


@contextmanager
def progress(title: str, total: float) -> Iterator[Tell]:
    """A bar on standard error: `tell(done, words)` moves it. Nothing where standard error is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _done, _words: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total, words="")
        yield lambda done, words: bar.update(task, completed=done, words=words)


def fitting(rows: Sequence[Row], room: int) -> tuple[list[Row], int]:
    """The rows for which there is room, in their order, and how many are left out: first those of which nothing is to be told."""
    if len(rows) <= room:
        return list(rows), 0
    room = max(room - 1, 0)
    telling = sorted(range(len(rows)), key=lambda place: rows[place][1] in QUIET)[:room]
    return [rows[place] for place in sorted(telling)], len(rows) - len(telling)


class Board:
    """A table that is drawn anew in place, as tall as the terminal lets it be: rows that tell nothing make room for the footer.

    In a pipe only the footer is printed, a line each time.
    """

    def __init__(self, headings: Sequence[str], *, coloured: int, numbers: Sequence[int], hint: str) -> None:
        """`coloured`: the column that takes the colour of its row; those in `numbers` stand to the right."""
        self._headings = headings
        self._coloured = coloured
        self._numbers = frozenset(numbers)
        self._hint = hint
        self._console = Console(file=sys.stdout, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, title: str, rows: Sequence[Row], footer: Sequence[str]) -> None:
        """`rows`: cells, and the quality that colours one of them; those that matter most come first."""
        if self._live is None:
            self._console.print(Text(f"{title}  " + "; ".join(footer)), soft_wrap=True)
            return
        size = self._console.size
        wrapped = sum(-(-cell_len(line) // size.width) for line in footer)
        shown, left_out = fitting(rows, size.height - wrapped - AROUND)
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
        for place, heading in enumerate(self._headings):
            table.add_column(Text(heading), no_wrap=True, justify="right" if place in self._numbers else "left")
        for cells, quality in shown:
            style = STYLES.get(quality, "")
            table.add_row(
                *(Text(cell, style=style if place == self._coloured else "") for place, cell in enumerate(cells))
            )
        more = [Text(say_n("… and {n} more", "… and {n} more", left_out), style="dim")] if left_out else []
        head = Text(title, style="bold")
        tail = [Text(line) for line in footer]
        self._live.update(Group(head, table, *more, *tail, Text(self._hint, style="dim")), refresh=True)
