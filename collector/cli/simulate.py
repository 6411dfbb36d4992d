"""`chaobiao simulate`: a fleet of simulated meters on real sockets, for as long as one wants."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from collector.cli.command import Command, Option
from collector.cli.endings import until_told
from collector.cli.tables import show_table
from collector.clock import SystemClock
from collector.demo import Fleet, serve_scenario
from collector.errors import UsageError
from collector.settings.link_url import parse_link
from collector.words import mark, say

CONFIGURATION = "collector.toml"
OURS = "# The simulated fleet"
"""How a configuration begins that a fleet has written."""


@click.command(
    cls=Command,
    example="chaobiao simulate one-of-each --write-config fleet",
    help=mark(
        "Simulated meters on real sockets of this host, in real time, until Ctrl-C. SCENARIO is a file, or the name of one "
        "that comes with chaobiao (demo, one-of-each)."
    ),
)
@click.argument("scenario", metavar="SCENARIO")
@click.option(
    "--write-config",
    "folder",
    cls=Option,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=mark("Write a configuration and a registry for exactly this fleet there."),
)
@click.option(
    "--broker",
    cls=Option,
    metavar="URL",
    help=mark("Where meters that push send to, mqtt://host:port; default: a Mosquitto of the fleet's own."),
)
@click.option(
    "--truth",
    cls=Option,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help=mark("At the end, write there what every meter really showed."),
)
def simulate(scenario: str, folder: Path | None, broker: str | None, truth: Path | None) -> None:
    """Serve until told to stop."""
    if broker is not None:
        _refuse_other_links(broker)
    if folder is not None:
        _refuse_foreign(folder / CONFIGURATION)
    which = Path(scenario) if scenario.endswith(".toml") else scenario

    def tell(fleet: Fleet) -> None:
        headings = [say("meter"), say("line"), say("protocol"), say("link"), say("address")]
        show_table(headings, ((one.meter, one.line, one.protocol, one.url, one.address) for one in fleet.listening))
        for line, why in fleet.left_out.items():
            click.echo(say("line {line} is left out: {why}", line=line, why=why), err=True)
        if folder is not None:
            configuration, _ = fleet.write_config(folder)
            click.echo(say("In another terminal: chaobiao read -c {file}", file=configuration))
        sys.stdout.flush()

    asyncio.run(until_told(serve_scenario(which, SystemClock(), tell=tell, broker=broker, truth=truth)))


def _refuse_other_links(broker: str) -> None:
    try:
        scheme = parse_link(broker).scheme
    except ValueError as error:
        raise UsageError(f"--broker: {error}") from error
    if scheme != "mqtt":
        raise UsageError(say("--broker: {url} is no broker; write it as mqtt://host:1883", url=broker))


def _refuse_foreign(configuration: Path) -> None:
    """A fleet's own configuration is written anew, as its ports change; anybody else's is not touched."""
    if configuration.exists() and not configuration.read_text(encoding="utf-8", errors="replace").startswith(OURS):
        raise UsageError(say("{files}: there already; nothing was written", files=configuration))
