"""What the reports share: which days, and how to print."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click

from collector.cli import shapes
from collector.cli.command import F, Option
from collector.cli.tables import cells_for_people, show_table
from collector.errors import UsageError
from collector.words import mark, say

FORMATS = ("table", "csv", "jsonl")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and the zone of whoever reads it."""

    found: list[shapes.Shape]
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Table:
    """What people see of it: key → heading, which of them are numbers, and what to say where nothing was found."""

    headings: Mapping[str, str]
    numbers: Sequence[str]
    empty: str


class _Day(click.ParamType[datetime]):
    """A civil day, as an instant of it without a zone."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return datetime.combine(date.fromisoformat(value), time())
        except ValueError:
            self.fail(say('"{text}" is no day; write it as 2026-03-15', text=value), param, ctx)


def days_options(function: F) -> F:
    """`--from` and `--to`: data days, both included."""
    for name, target, words in (
        ("--to", "last", mark("Last data day; default: today.")),
        ("--from", "first", mark("First data day, as 2026-03-15; default: yesterday.")),
    ):
        option = click.option(name, target, cls=Option, type=_Day(), metavar="DAY", help=words)
        function = option(function)
    return function


def format_options(function: F) -> F:
    """`--format`, and `--json` for one of them."""
    as_json = click.option("--json", "as_json", cls=Option, is_flag=True, help=mark("The same as --format jsonl."))
    form = click.option(
        "--format", "form", cls=Option, type=click.Choice(FORMATS), default="table", show_default=True,
        help=mark("How to print it."),
    )  # fmt: skip
    decorated: F = form(as_json(function))
    return decorated


def span(today: date, first: Any, last: Any) -> tuple[date, date]:
    """First and last data day; by default yesterday and today. :raises UsageError: if they are the wrong way round."""
    end = last.date() if last else today
    start = first.date() if first else min(end, today - timedelta(days=1))
    if start > end:
        raise UsageError(say("--from {first} is after --to {last}", first=start, last=end))
    return start, end


def show(answer: Answer, form: str, keys: Sequence[str], table: Table) -> None:
    """Print it; `keys` are the columns of CSV."""
    if form == "jsonl":
        for shape in answer.found:
            click.echo(shapes.one_line(shape))
    elif form == "csv":
        rows = csv.DictWriter(sys.stdout, keys, lineterminator="\n")
        rows.writeheader()
        rows.writerows(answer.found)
    else:
        columns = list(table.headings)
        right = [columns.index(key) for key in table.numbers]
        lines = (cells_for_people(shape, columns, answer.zone) for shape in answer.found)
        show_table(list(table.headings.values()), lines, numbers=right, empty=table.empty)
