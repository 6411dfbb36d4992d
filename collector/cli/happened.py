"""`chaobiao report events` and `report status`: what meters wrote down (事件), and their run status words (运行状态字)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from collector.cli import shapes
from collector.cli.codes import KINDS
from collector.cli.command import Command, Option, config_option
from collector.cli.opening import open_site
from collector.cli.reporting import Answer, Table, days_options, format_options, show, span
from collector.clock import SystemClock
from collector.words import mark, say
from protocols.dialects import WITNESSES
from storage.days import day_bounds
from storage.ledger.port import Ledger


@click.command(
    "events",
    cls=Command,
    example="chaobiao report events -c collector.toml --kind power_down --from 2026-03-01",
    help=mark(
        "What meters wrote down and when, by their own clocks: power cuts, opened covers, magnetic fields, lost phases, "
        "reversed flow, relays."
    ),
)
@config_option
@click.option("--meter", "meters", cls=Option, multiple=True, metavar="ID", help=mark("This meter; may be repeated."))
@click.option(
    "--kind",
    "kinds",
    cls=Option,
    multiple=True,
    type=click.Choice(KINDS),
    help=mark("Only of this kind; may be repeated."),
)
@days_options
@format_options
def events(
    config: Path, meters: tuple[str, ...], kinds: tuple[str, ...], first: Any, last: Any, form: str, as_json: bool
) -> None:
    """One line an event, by start."""
    site = open_site(config)
    zone = site.settings.zone
    begin, end = span(SystemClock().now().astimezone(zone).date(), first, last)

    async def ask() -> list[shapes.Shape]:
        async with site.ledger() as ledger:
            points = await _points(ledger)
            start, after = day_bounds(begin, zone)[0], day_bounds(end, zone)[1]
            found = await ledger.events(meters=meters, kinds=kinds, start=start, end=after)
            return [shapes.event(one, points.get(one.meter, "")) for one in found]

    headings = {
        "meter": say("meter"),
        "point": say("point"),
        "kind": say("kind"),
        "phase": say("phase"),
        "start": say("began"),
        "end": say("ended"),
        "lasted_s": say("seconds"),
    }
    table = Table(headings, ("lasted_s",), empty=say("no meter told of anything on these days"))
    show(Answer(asyncio.run(ask()), zone), "jsonl" if as_json else form, shapes.EVENT_KEYS, table)


@click.command(
    "status",
    cls=Command,
    example="chaobiao report status -c collector.toml",
    help=mark("The run status words of each meter as they were last read, and what their bits say."),
)
@config_option
@format_options
def status(config: Path, form: str, as_json: bool) -> None:
    """One line a meter."""
    site = open_site(config)
    protocols = {channel.name: channel.protocol for channel in site.settings.channels}

    async def ask() -> list[shapes.Shape]:
        async with site.ledger() as ledger:
            rows = {one.meter.meter: one for one in await ledger.registry()}
            found = []
            for one in await ledger.last_statuses():
                row = rows.get(one.meter)
                witness = WITNESSES.get(protocols.get(row.meter.channel, "")) if row else None
                says = witness.says(one.words) if witness else ()
                found.append(shapes.status(one, row.point.point if row else "", says))
            return found

    headings = {
        "meter": say("meter"),
        "point": say("point"),
        "read_at": say("read at"),
        "words": say("words"),
        "says": say("says"),
    }
    table = Table(headings, (), empty=say('no status word was read yet; a plan does it: read = ["status"]'))
    show(Answer(asyncio.run(ask()), site.settings.zone), "jsonl" if as_json else form, shapes.STATUS_KEYS, table)


async def _points(ledger: Ledger) -> dict[str, str]:
    return {one.meter.meter: one.point.point for one in await ledger.registry()}
