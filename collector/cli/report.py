"""`chaobiao report`: the operations figures, as a table, as CSV or as JSON."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from collector.cli import shapes
from collector.cli.command import Command, F, Group, Option, config_option
from collector.cli.opening import open_site
from collector.cli.tables import show_table
from collector.clock import SystemClock
from collector.errors import UsageError
from collector.jobs.report import Reporter
from collector.kpi.success import GROUPINGS
from collector.words import mark, say

T = TypeVar("T")
FORMATS = ("table", "csv", "jsonl")


@click.group(
    cls=Group, example="chaobiao report success -c collector.toml --by area", help=mark("The operations figures.")
)
def report() -> None:
    """See `help` above."""


def _days(function: F) -> F:
    """`--from` and `--to`: data days, both included."""
    for name, target, words in (
        ("--to", "last", mark("Last data day; default: today.")),
        ("--from", "first", mark("First data day, as 2026-03-15; default: yesterday.")),
    ):
        option = click.option(name, target, cls=Option, type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help=words)
        function = option(function)
    return function


def _format(function: F) -> F:
    """`--format`, and `--json` for one of them."""
    as_json = click.option("--json", "as_json", cls=Option, is_flag=True, help=mark("The same as --format jsonl."))
    form = click.option(
        "--format", "form", cls=Option, type=click.Choice(FORMATS), default="table", show_default=True,
        help=mark("How to print it."),
    )  # fmt: skip
    decorated: F = form(as_json(function))
    return decorated


@report.command(
    "success",
    cls=Command,
    example="chaobiao report success -c collector.toml --by area --json",
    help=mark(
        "Read success (采集成功率): of the values that were due, how many came; what was asked on demand is not in it."
    ),
)
@config_option
@click.option(
    "--by",
    cls=Option,
    type=click.Choice(GROUPINGS),
    default="day",
    show_default=True,
    help=mark("One line for each of these."),
)
@_days
@_format
def success(config: Path, by: str, first: Any, last: Any, form: str, as_json: bool) -> None:
    """One line a day and group."""

    async def ask(reporter: Reporter) -> list[shapes.Shape]:
        return [shapes.success(one) for one in await reporter.success(*_span(reporter, first, last), by=by)]

    _print(_ask(config, ask), "jsonl" if as_json else form, shapes.SUCCESS_KEYS, numbers=range(5, 11))


@report.command(
    "missing",
    cls=Command,
    example="chaobiao report missing -c collector.toml --from 2026-03-14 --to 2026-03-14",
    help=mark(
        "What was owed and is not there, why, and whose fault it is; what was asked on demand and did not come too."
    ),
)
@config_option
@_days
@_format
def missing(config: Path, first: Any, last: Any, form: str, as_json: bool) -> None:
    """One line a value."""

    async def ask(reporter: Reporter) -> list[shapes.Shape]:
        points = await reporter.points()
        found = await reporter.missing(*_span(reporter, first, last))
        return [shapes.missing(one, points.get(one.slot.meter, "")) for one in found]

    _print(_ask(config, ask), "jsonl" if as_json else form, shapes.MISSING_KEYS, numbers=(8,))


@report.command(
    "conflicts",
    cls=Command,
    example="chaobiao report conflicts -c collector.toml",
    help=mark(
        "Where a second, different value came for the same moment: both are kept, the first stays, it is suspect."
    ),
)
@config_option
@_format
def conflicts(config: Path, form: str, as_json: bool) -> None:
    """One line a conflict."""

    async def ask(reporter: Reporter) -> list[shapes.Shape]:
        points = await reporter.points()
        return [shapes.conflict(one, points.get(one.meter, "")) for one in await reporter.conflicts()]

    _print(_ask(config, ask), "jsonl" if as_json else form, shapes.CONFLICT_KEYS, numbers=(5, 6))


def _span(reporter: Reporter, first: Any, last: Any) -> tuple[date, date]:
    today = reporter.today()
    end = last.date() if last else today
    start = first.date() if first else min(end, today - timedelta(days=1))
    if start > end:
        raise UsageError(say("--from {first} is after --to {last}", first=start, last=end))
    return start, end


def _ask(config: Path, question: Callable[[Reporter], Awaitable[T]]) -> T:
    site = open_site(config)
    protocols = {channel.name: channel.protocol for channel in site.settings.channels}

    async def answer() -> T:
        async with site.ledger() as ledger:
            return await question(Reporter(ledger, SystemClock(), site.settings.zone, site.profiles, protocols))

    return asyncio.run(answer())


def _print(found: list[shapes.Shape], form: str, keys: Sequence[str], *, numbers: Sequence[int]) -> None:
    if form == "jsonl":
        for shape in found:
            click.echo(shapes.one_line(shape))
    elif form == "csv":
        rows = csv.DictWriter(sys.stdout, keys, lineterminator="\n")
        rows.writeheader()
        rows.writerows(found)
    else:
        show_table(keys, ([shape[key] for key in keys] for shape in found), numbers=numbers)
