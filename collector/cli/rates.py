"""`chaobiao report success`: the rates of operations, and why one moved."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from collector.cli import shapes
from collector.cli.command import Command, Option, config_option
from collector.cli.opening import open_site
from collector.cli.reporting import Answer, Table, days_options, format_options, show, span
from collector.clock import SystemClock
from collector.errors import UsageError
from collector.jobs.denominators import Denominators
from collector.jobs.rates import Rates
from collector.kpi.change import PER_METER
from collector.kpi.cutoffs import CUTOFFS, NOW
from collector.kpi.rates import GROUPINGS, Metric
from collector.kpi.success import Success
from collector.words import mark, say

ALL = "all"
OWED = (Metric.READ, Metric.ALL_ITEMS, Metric.CURVE, Metric.READING_DAY)
"""Rates of what was due: these are told when nobody says which."""
_GROUPS = {
    "day": mark("day"),
    "month": mark("month"),
    "area": mark("area"),
    "station": mark("station"),
    "terminal": mark("terminal"),
    "channel": mark("channel"),
    "class": mark("class"),
    "profile": mark("profile"),
    "protocol": mark("protocol"),
    "maker": mark("maker"),
}
"""What the groups of each grouping are called."""


@click.command(
    "success",
    cls=Command,
    example="chaobiao report success -c collector.toml --by area --metric read --as-of 08:00",
    help=mark(
        "Success rates, each by its own name: read (采集成功率), all_items (全项), curve (曲线完整率), reading_day (例日); with "
        "--metric also message (通信成功率) and coverage (采集覆盖率)."
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
@click.option(
    "--metric",
    "metrics",
    cls=Option,
    multiple=True,
    type=click.Choice([*map(str, Metric), ALL]),
    help=mark("Which rates; may be repeated. Default: those of what was due."),
)
@click.option(
    "--as-of",
    "cutoff",
    cls=Option,
    type=click.Choice(CUTOFFS),
    default=NOW,
    show_default=True,
    help=mark("What was there by then: the hour is of the day after the data day, +3d and +7d count from its 00:00."),
)
@click.option("--sum", "summed", cls=Option, is_flag=True, help=mark("One line for all the days: Σ/Σ."))
@click.option(
    "--why",
    cls=Option,
    is_flag=True,
    help=mark(
        "Instead: why the rate of the last data day (default: yesterday) is not that of the day before, by meter."
    ),
)
@days_options
@format_options
def success(
    config: Path,
    by: str,
    metrics: tuple[str, ...],
    cutoff: str,
    summed: bool,
    why: bool,
    first: Any,
    last: Any,
    form: str,
    as_json: bool,
) -> None:
    """One line a metric, day and group; with `--why` one a meter that changed."""
    chosen = tuple(Metric) if ALL in metrics else tuple(map(Metric, metrics)) or OWED
    form = "jsonl" if as_json else form
    if why:
        return _why(config, chosen[0] if metrics else Metric.READ, cutoff, last, form)

    async def ask(rates: Rates) -> list[shapes.Shape]:
        days = span(today(rates), first, last)
        found = await rates.of(*days, by=by, metrics=chosen, cutoff=cutoff, summed=summed)
        return [shapes.success(one) for one in found]

    headings = {
        "metric": say("rate of"),
        "day": say("data day"),
        "group": say(_GROUPS[by]),
        "expected": say("due"),
        "first_round": say("first round"),
        "final": say("collected"),
        "missing": say("missing"),
        "paused": say("paused"),
        "rate": say("rate, %"),
    }
    if by == "day" or (by == "month" and not summed):
        del headings["group" if by == "day" else "day"]
    numbers = ("expected", "first_round", "final", "missing", "paused", "rate")
    table = Table(headings, numbers, empty=say("nothing was due on these days"))
    return show(ask_rates(config, ask), form, shapes.SUCCESS_KEYS, table)


def _why(config: Path, metric: Metric, cutoff: str, last: Any, form: str) -> None:
    if metric not in PER_METER:
        raise UsageError(say("--why can explain {metrics}", metrics=", ".join(PER_METER)))
    compared: list[tuple[date, Success | None]] = []

    async def ask(rates: Rates) -> list[shapes.Shape]:
        day = last.date() if last else today(rates) - timedelta(days=1)
        found = await rates.why(day, metric, cutoff=cutoff)
        compared.extend([(day - timedelta(days=1), found.before), (day, found.after)])
        return [shapes.moved(one, day, metric) for one in found.moved]

    answer = ask_rates(config, ask)
    if form == "table":
        for day, line in compared:
            click.echo(_told(day, line))
    headings = {"change": say("change"), "meter": say("meter"), "point": say("point")}
    show(answer, form, shapes.MOVED_KEYS, Table(headings, (), empty=say("no meter changed")))


def _told(day: date, line: Success | None) -> str:
    if line is None:
        return say("{day}: nothing was due", day=day)
    return say(
        "{day}: {final} of {expected}, {rate} %, {paused} paused",
        day=day,
        final=line.final,
        expected=line.expected,
        rate=line.rate or "-",
        paused=line.paused,
    )


def today(rates: Rates) -> date:
    """The civil day it is."""
    return rates.clock.now().astimezone(rates.denominators.zone).date()


def ask_rates(config: Path, question: Callable[[Rates], Awaitable[list[shapes.Shape]]]) -> Answer:
    """Ask the ledger of a configuration."""
    site = open_site(config)
    settings = site.settings
    protocols = {channel.name: channel.protocol for channel in settings.channels}
    makers = {name: profile.maker for name, profile in site.profiles.items()}

    async def answer() -> list[shapes.Shape]:
        async with site.ledger() as ledger:
            due = Denominators(ledger, settings.zone, site.profiles, settings.reading_days, protocols)
            return await question(Rates(due, SystemClock(), protocols, makers))

    return Answer(asyncio.run(answer()), settings.zone)
