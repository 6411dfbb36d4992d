"""`chaobiao meters`: the registry (档案)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from collector.cli import shapes
from collector.cli.command import Command, Group, Option, config_option, json_option
from collector.cli.opening import Site, open_site
from collector.cli.tables import local_text, show_table
from collector.clock import SystemClock
from collector.jobs.registry import import_registry
from collector.words import mark, say
from storage.registry import Registered, RegistryChange


@click.group(
    cls=Group, example="chaobiao meters list -c collector.toml", help=mark("The registry: which meter is where.")
)
def meters() -> None:
    """See `help` above."""


@meters.command(
    "import",
    cls=Command,
    example="chaobiao meters import -c collector.toml meters.csv",
    help=mark(
        "Take a registry file into the database, all of it or nothing; the database is made where there is none. Meters "
        "that are not in the file stay as they are."
    ),
)
@config_option
@click.argument("file", metavar="CSV", type=click.Path(path_type=Path, readable=False))
def import_(config: Path, file: Path) -> None:
    """Import, and say what changed."""
    change = asyncio.run(_import(open_site(config), file))
    if change is None:
        click.echo(say("{file}: nothing new", file=file))
        return
    says = mark("{file}: {added} added, {changed} changed, {unchanged} unchanged")
    click.echo(say(says, file=file, added=change.added, changed=change.changed, unchanged=change.unchanged))


async def _import(site: Site, file: Path) -> RegistryChange | None:
    async with site.ledger(make_for=file) as ledger:
        return await import_registry(ledger, site.settings, site.profiles, SystemClock(), file=file)


@meters.command(
    "list",
    cls=Command,
    example="chaobiao meters list -c collector.toml --area TA-0107",
    help=mark("The meters that are installed now. --json has the columns of the registry file."),
)
@config_option
@click.option(
    "--area", "areas", cls=Option, multiple=True, metavar="AREA", help=mark("Only of this area; may be repeated.")
)
@click.option(
    "--channel",
    "channels",
    cls=Option,
    multiple=True,
    metavar="NAME",
    help=mark("Only on this channel; may be repeated."),
)
@json_option
def list_(config: Path, areas: tuple[str, ...], channels: tuple[str, ...], as_json: bool) -> None:
    """Print those that the filters let through."""
    site = open_site(config)
    found = [
        one
        for one in asyncio.run(_registered(site))
        if (not areas or one.point.area in areas) and (not channels or one.meter.channel in channels)
    ]
    if as_json:
        for one in found:
            click.echo(shapes.one_line(shapes.registered(one, site.settings.zone)))
    if not found:
        click.echo(say("no meter matches"), err=True)
    if as_json or not found:
        return
    headings = [
        say("meter"),
        say("point"),
        say("area"),
        say("profile"),
        say("channel"),
        say("address"),
        say("installed"),
    ]
    show_table(headings, (_row(site, one) for one in found))


async def _registered(site: Site) -> tuple[Registered, ...]:
    async with site.ledger() as ledger:
        return await ledger.registry()


def _row(site: Site, one: Registered) -> tuple[str, ...]:
    meter, point = one.meter, one.point
    since = local_text(one.installation.start, site.settings.zone)[:10]
    return (meter.meter, point.point, point.area, meter.profile, meter.channel, meter.address, since)
