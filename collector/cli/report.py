"""`chaobiao report`: the operations figures, as a table, as CSV or as JSON."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from collector.cli import shapes
from collector.cli.command import Command, F, Group, Option, config_option
from collector.cli.opening import open_site
from collector.cli.tables import cells_for_people, show_table
from collector.clock import SystemClock
from collector.errors import UsageError
from collector.jobs.report import Reporter
from collector.kpi.success import GROUPINGS
from collector.words import mark, say

FORMATS = ("table", "csv", "jsonl")
_GROUPS = {
    "day": mark("day"),
    "area": mark("area"),
    "station": mark("station"),
    "channel": mark("channel"),
    "profile": mark("profile"),
    "class": mark("class"),
    "terminal": mark("terminal"),
    "plan": mark("plan"),
    "protocol": mark("protocol"),
}
"""What the groups of each grouping are called."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was found, and the zone of whoever reads it."""

    found: list[shapes.Shape]
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class _Table:
    """What people see of it: key → heading, which of them are numbers, and what to say where nothing was found."""

    headings: Mapping[str, str]
    numbers: Sequence[str]
    empty: str


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

    headings = {
        "day": say("data day"),
        "group": say(_GROUPS[by]),
        "expected": say("due"),
        "first_round": say("first round"),
        "final": say("collected"),
        "missing": say("missing"),
        "paused": say("paused"),
        "rate": say("rate, %"),
    }
    if by == "day":
        del headings["group"]
    numbers = ("expected", "first_round", "final", "missing", "paused", "rate")
    table = _Table(headings, numbers, empty=say("nothing was due on these days"))
    _print(_ask(config, ask), "jsonl" if as_json else form, shapes.SUCCESS_KEYS, table)


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

    headings = {
        "meter": say("meter"),
        "point": say("point"),
        "quantity": say("quantity"),
        "basis": say("basis"),
        "slot": say("due at"),
        "reason": say("reason"),
        "owner": say("fault of"),
        "attempts": say("tries"),
        "detail": say("detail"),
    }
    table = _Table(headings, ("attempts",), empty=say("nothing is missing on these days"))
    _print(_ask(config, ask), "jsonl" if as_json else form, shapes.MISSING_KEYS, table)


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

    headings = {
        "meter": say("meter"),
        "point": say("point"),
        "quantity": say("quantity"),
        "basis": say("basis"),
        "time": say("time"),
        "value": say("first value"),
        "other": say("second value"),
        "received_at": say("second came"),
    }
    table = _Table(headings, ("value", "other"), empty=say("there are no conflicts"))
    _print(_ask(config, ask), "jsonl" if as_json else form, shapes.CONFLICT_KEYS, table)


def _span(reporter: Reporter, first: Any, last: Any) -> tuple[date, date]:
    today = reporter.today()
    end = last.date() if last else today
    start = first.date() if first else min(end, today - timedelta(days=1))
    if start > end:
        raise UsageError(say("--from {first} is after --to {last}", first=start, last=end))
    return start, end


def _ask(config: Path, question: Callable[[Reporter], Awaitable[list[shapes.Shape]]]) -> _Answer:
    site = open_site(config)
    protocols = {channel.name: channel.protocol for channel in site.settings.channels}

    async def answer() -> list[shapes.Shape]:
        async with site.ledger() as ledger:
            return await question(Reporter(ledger, SystemClock(), site.settings.zone, site.profiles, protocols))

    return _Answer(asyncio.run(answer()), site.settings.zone)


def _print(answer: _Answer, form: str, keys: Sequence[str], table: _Table) -> None:
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
