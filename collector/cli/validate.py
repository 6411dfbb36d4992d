"""`chaobiao validate`: a verdict for every reading that waits for one."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path

import click

from collector.cli.command import Command, config_option, json_option
from collector.cli.opening import Site, open_site
from collector.cli.shapes import one_line
from collector.clock import SystemClock
from collector.jobs.ruleset import ruleset_for
from collector.jobs.validate import Judgement
from collector.jobs.validate import validate as judge_all
from collector.words import mark, say, say_n


@click.command(
    cls=Command,
    example="chaobiao validate -c collector.toml",
    help=mark(
        "Judge every reading that has no verdict yet: verified if no rule speaks, else suspect with the rules that spoke. "
        "May run beside the daemon."
    ),
)
@config_option
@json_option
def validate(config: Path, as_json: bool) -> None:
    """Judge, and say how many."""
    done = asyncio.run(_judge(open_site(config)))
    if as_json:
        click.echo(one_line(asdict(done)))
        return
    judged = say_n("{n} reading judged", "{n} readings judged", done.judged)
    click.echo(
        say(
            "{judged}: {verified} verified, {suspect} suspect",
            judged=judged,
            verified=done.verified,
            suspect=done.suspect,
        )
    )
    for rule, count in done.by_rule.items():
        click.echo(f"  {say(rule)}: {count}")


async def _judge(site: Site) -> Judgement:
    ruleset = ruleset_for(site.settings, site.profiles)
    async with site.ledger() as ledger:
        return await judge_all(ledger, ruleset, SystemClock(), told=_progress)


def _progress(judged: int) -> None:
    """On a terminal alone, in one line that the result overwrites."""
    if sys.stderr.isatty():
        click.echo(f"{judged} …\r", err=True, nl=False)
