"""`chaobiao billing`: verified readings on their way to the billing system."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from collector.cli.command import Command, Group, config_option, json_option
from collector.cli.opening import Site, open_site
from collector.cli.shapes import Shape, delivery_shape, one_line
from collector.cli.tables import cells_for_people, local_text, show_table
from collector.clock import SystemClock
from collector.errors import SettingsError, UsageError
from collector.jobs.deliver import HandedOver
from collector.jobs.settle import deliverer_for
from collector.outlets.batch import row_object
from collector.words import mark, say, say_n
from storage.records import Delivery, DeliveryRow


@click.group(
    cls=Group,
    example="chaobiao billing deliver -c collector.toml",
    help=mark("Hand verified readings over to billing."),
)
def billing() -> None:
    """See `help` above."""


@billing.command(
    "deliver",
    cls=Command,
    example="chaobiao billing deliver -c collector.toml",
    help=mark(
        "Write what is verified and new as a numbered, checksummed delivery. Twice has the effect of once; nothing new is "
        "no failure. May run beside the daemon."
    ),
)
@config_option
@json_option
def deliver(config: Path, as_json: bool) -> None:
    """Hand over, and say what."""
    done = asyncio.run(_deliver(config, open_site(config)))
    for delivery in (*done.again, *done.new):
        if as_json:
            click.echo(one_line(delivery_shape(delivery)))
        else:
            rows = say_n("{n} row", "{n} rows", delivery.rows)
            click.echo(say("{file}: {rows}", file=delivery.data_file, rows=rows))
    if done.nothing:
        click.echo(say("nothing new to hand over"), err=as_json)


async def _deliver(config: Path, site: Site) -> HandedOver:
    async with site.ledger() as ledger:
        deliverer = deliverer_for(site.settings, site.profiles, ledger, SystemClock())
        if deliverer is None:
            raise SettingsError(
                [f'{config}:1: billing: is missing; deliveries need [billing] with directory = "deliveries"']
            )
        return await deliverer.run()


@billing.command(
    "list",
    cls=Command,
    example="chaobiao billing list -c collector.toml",
    help=mark(
        "Every delivery so far. --json has the keys of its manifest, and whether its files are known to be written."
    ),
)
@config_option
@json_option
def list_(config: Path, as_json: bool) -> None:
    """Print them."""
    site = open_site(config)
    found = asyncio.run(_deliveries(site))
    if as_json:
        for one in found:
            click.echo(one_line(delivery_shape(one)))
        return
    headings = [say("number"), say("rows"), say("from"), say("to"), say("written"), say("created"), say("file")]
    show_table(headings, (_row(one, site) for one in found), numbers=(0, 1, 2, 3), empty=say("no delivery yet"))


def _row(one: Delivery, site: Site) -> tuple[object, ...]:
    written = say("yes") if one.written else say("not yet")
    created = local_text(one.created_at, site.settings.zone)
    return (one.batch_seq, one.rows, one.from_seq, one.to_seq, written, created, one.data_file)


async def _deliveries(site: Site) -> tuple[Delivery, ...]:
    async with site.ledger() as ledger:
        return await ledger.deliveries()


@billing.command(
    "show",
    cls=Command,
    example="chaobiao billing show -c collector.toml 1",
    help=mark("The rows of one delivery. --json has them as they stand in its file."),
)
@config_option
@click.argument("number", metavar="NUMBER", type=click.IntRange(min=1))
@json_option
def show(config: Path, number: int, as_json: bool) -> None:
    """Print its rows."""
    site = open_site(config)
    rows: list[Shape] = [row_object(row) for row in asyncio.run(_rows(site, number))]
    if as_json:
        for row in rows:
            click.echo(one_line(row))
        return
    headings = {
        "seq": say("number"),
        "type": say("kind"),
        "account": say("account"),
        "point": say("point"),
        "meter": say("meter"),
        "quantity": say("quantity"),
        "basis": say("basis"),
        "time": say("time"),
        "value": say("value"),
        "unit": say("unit"),
        "multiplier": say("multiplier"),
        "quality": say("quality"),
    }
    zone = site.settings.zone
    show_table(list(headings.values()), (cells_for_people(row, headings, zone) for row in rows), numbers=(0, 8, 10))


async def _rows(site: Site, number: int) -> tuple[DeliveryRow, ...]:
    async with site.ledger() as ledger:
        known = [one.batch_seq for one in await ledger.deliveries()]
        if number not in known:
            says = mark("there is no delivery {number}; the last one is {last}")
            raise UsageError(say(says, number=number, last=max(known, default=0)))
        return await ledger.delivery_rows(number)
