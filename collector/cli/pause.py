"""`chaobiao pause` and `resume`: what is left out for a while."""

from __future__ import annotations

import asyncio
from getpass import getuser
from pathlib import Path

import click

from collector.cli.command import Command, Option, config_option
from collector.cli.opening import Site, open_site
from collector.cli.tables import local_text
from collector.clock import SystemClock
from collector.errors import UsageError
from collector.words import mark, say
from storage.dues import Pause, Paused
from storage.ledger.port import Ledger

_KIND = click.argument("kind", type=click.Choice([str(kind) for kind in Paused]))
_NAME = click.argument("name")
_WHO = click.option("--who", cls=Option, metavar="NAME", help=mark("Who does it; default: the user who is logged in."))


@click.command(
    "pause",
    cls=Command,
    example='chaobiao pause meter M-0001 -c collector.toml --why "house empty until May"',
    help=mark(
        "Leave a plan, a meter or a channel out until it is resumed. A running daemon notices within a minute. What is due "
        "meanwhile is shown as paused in every rate."
    ),
)
@_KIND
@_NAME
@config_option
@click.option("--why", cls=Option, required=True, metavar="TEXT", help=mark("The reason; it is kept for good."))
@_WHO
def pause(kind: str, name: str, config: Path, why: str, who: str | None) -> None:
    """Write it down, with who and why."""
    site = open_site(config)
    one = Pause(Paused(kind), name, SystemClock().now(), who or getuser(), why)

    async def begin() -> Pause | None:
        async with site.ledger() as ledger:
            await _there(site, ledger, one.kind, name)
            return None if await ledger.begin_pause(one) else await _running(ledger, one)

    before = asyncio.run(begin())
    if before is None:
        return click.echo(say("{kind} {name} is paused", kind=say(kind), name=name))
    since = local_text(before.since, site.settings.zone)
    return click.echo(
        say(
            "{kind} {name} is paused already: since {since}, by {who}: {why}",
            kind=say(kind),
            name=name,
            since=since,
            who=before.who,
            why=before.why,
        )
    )


@click.command(
    "resume",
    cls=Command,
    example="chaobiao resume meter M-0001 -c collector.toml",
    help=mark("Take up what was paused. A running daemon notices within a minute."),
)
@_KIND
@_NAME
@config_option
@_WHO
def resume(kind: str, name: str, config: Path, who: str | None) -> None:
    """End the pause, with who."""
    site = open_site(config)
    which = Paused(kind)

    async def end() -> bool:
        async with site.ledger() as ledger:
            at = SystemClock().now()
            if await ledger.end_pause(which, name, at=at, who=who or getuser()):
                return True
            await _there(site, ledger, which, name)
            return False

    ended = asyncio.run(end())
    if ended:
        click.echo(say("{kind} {name} is resumed", kind=say(kind), name=name))
    else:
        click.echo(say("{kind} {name} is not paused", kind=say(kind), name=name))


async def _running(ledger: Ledger, one: Pause) -> Pause | None:
    known = await ledger.pauses(one.since, one.since.max.replace(tzinfo=one.since.tzinfo))
    return next((old for old in known if (old.kind, old.name, old.until) == (one.kind, one.name, None)), None)


async def _there(site: Site, ledger: Ledger, kind: Paused, name: str) -> None:
    """:raises UsageError: for a name that nothing has: a slip of the pen would pause nothing, and say it did."""
    known = {
        Paused.PLAN: {plan.name for plan in site.settings.plan_records},
        Paused.CHANNEL: {channel.name for channel in site.settings.channels},
        Paused.METER: {one.meter.meter for one in await ledger.registry()},
    }[kind]
    if name not in known:
        raise UsageError(say("there is no {kind} {name}", kind=say(str(kind)), name=name))
