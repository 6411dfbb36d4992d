"""`chaobiao report`: the operations figures, as a table, as CSV or as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from collector.cli import shapes
from collector.cli.command import Command, Group, Option, config_option
from collector.cli.happened import events, status
from collector.cli.opening import open_site
from collector.cli.rates import ask_rates, success
from collector.cli.reporting import Answer, Table, days_options, format_options, show, span
from collector.clock import SystemClock
from collector.jobs.rates import Rates
from collector.jobs.report import Reporter
from collector.words import mark, say


@click.group(
    cls=Group, example="chaobiao report success -c collector.toml --by area", help=mark("The operations figures.")
)
def report() -> None:
    """See `help` above."""


report.add_command(success)
report.add_command(events)
report.add_command(status)


@report.command(
    "missing",
    cls=Command,
    example="chaobiao report missing -c collector.toml --from 2026-03-14 --to 2026-03-14",
    help=mark(
        "What was owed and is not there, why, and whose fault it is; what was asked on demand and did not come too."
    ),
)
@config_option
@click.option(
    "--consecutive",
    cls=Option,
    type=click.IntRange(1),
    is_flag=False,
    flag_value=1,
    metavar="DAYS",
    help=mark(
        "Instead: meters without their total import freeze on so many data days in a row (1 if no number is given), up to "
        "the last data day; the longest first."
    ),
)
@days_options
@format_options
def missing(config: Path, consecutive: int | None, first: Any, last: Any, form: str, as_json: bool) -> None:
    """One line a value; with `--consecutive` one a meter."""
    if consecutive is not None:
        return _consecutive(config, consecutive, last, "jsonl" if as_json else form)

    async def ask(reporter: Reporter) -> list[shapes.Shape]:
        points = await reporter.points()
        found = await reporter.missing(*span(reporter.today(), first, last))
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
        "expires": say("kept until"),
        "detail": say("detail"),
    }
    table = Table(headings, ("attempts",), empty=say("nothing is missing on these days"))
    return show(_ask(config, ask), "jsonl" if as_json else form, shapes.MISSING_KEYS, table)


def _consecutive(config: Path, at_least: int, last: Any, form: str) -> None:
    async def ask(rates: Rates) -> list[shapes.Shape]:
        today = rates.clock.now().astimezone(rates.denominators.zone).date()
        found = await rates.failing(last.date() if last else today - timedelta(days=1), at_least=at_least)
        return [shapes.failing(one) for one in found]

    headings = {
        "meter": say("meter"),
        "point": say("point"),
        "area": say("area"),
        "channel": say("channel"),
        "days": say("days in a row"),
        "since": say("since data day"),
        "reason": say("reason"),
        "owner": say("fault of"),
        "detail": say("detail"),
    }
    table = Table(headings, ("days",), empty=say("no meter failed"))
    show(ask_rates(config, ask), form, shapes.FAILING_KEYS, table)


@report.command(
    "conflicts",
    cls=Command,
    example="chaobiao report conflicts -c collector.toml",
    help=mark(
        "Where a second, different value came for the same moment: both are kept, the first stays, it is suspect."
    ),
)
@config_option
@format_options
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
    table = Table(headings, ("value", "other"), empty=say("there are no conflicts"))
    show(_ask(config, ask), "jsonl" if as_json else form, shapes.CONFLICT_KEYS, table)


@report.command(
    "paused",
    cls=Command,
    example="chaobiao report paused -c collector.toml",
    help=mark("What was left out on purpose on these days, since when, by whom and why; a pause is never forgotten."),
)
@config_option
@days_options
@format_options
def paused(config: Path, first: Any, last: Any, form: str, as_json: bool) -> None:
    """One line a pause."""

    async def ask(reporter: Reporter) -> list[shapes.Shape]:
        begin, end = span(reporter.today(), first, last)
        return [shapes.pause(one) for one in await reporter.paused(begin, end)]

    headings = {
        "kind": say("kind"),
        "name": say("name"),
        "since": say("since"),
        "until": say("until"),
        "who": say("by"),
        "why": say("why"),
        "ended_by": say("ended by"),
    }
    table = Table(headings, (), empty=say("nothing was paused on these days"))
    show(_ask(config, ask), "jsonl" if as_json else form, shapes.PAUSE_KEYS, table)


def _ask(config: Path, question: Callable[[Reporter], Awaitable[list[shapes.Shape]]]) -> Answer:
    site = open_site(config)
    protocols = {channel.name: channel.protocol for channel in site.settings.channels}

    async def answer() -> list[shapes.Shape]:
        async with site.ledger() as ledger:
            return await question(Reporter(ledger, SystemClock(), site.settings.zone, site.profiles, protocols))

    return Answer(asyncio.run(answer()), site.settings.zone)
