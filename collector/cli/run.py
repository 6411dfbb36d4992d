"""`chaobiao run`: the daemon."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import sys
from functools import partial
from pathlib import Path

import click

from collector.cli.command import Command, Option, config_option
from collector.cli.opening import Site, open_site
from collector.clock import SystemClock
from collector.daemon import Daemon, new_loop, run_daemon
from collector.errors import CollectorError
from collector.words import mark
from storage.office import office

log = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
LOG_TIME = "%Y-%m-%dT%H:%M:%S%z"
"""With its offset: a server's zone is often not the utility's."""


@click.command(
    cls=Command,
    example="chaobiao run -c collector.toml",
    help=mark(
        "Collect, judge and hand over until told to stop. Plans on their timetables, messages as they come, verdicts every "
        "minute, deliveries at the hour that [billing] names. SIGTERM or Ctrl-C finishes what is under way and ends with 0; "
        "SIGHUP takes a changed configuration and drops nothing that stays."
    ),
)
@config_option
@click.option(
    "--role",
    cls=Option,
    type=click.Choice(["collect"]),
    default="collect",
    show_default=True,
    help=mark("What to run."),
)
@click.option("-v", "--verbose", cls=Option, is_flag=True, help=mark("Say more in the log."))
def run(config: Path, role: str, verbose: bool) -> None:
    """Load, open, run."""
    site = open_site(config)
    logging.basicConfig(
        stream=sys.stderr, level=logging.DEBUG if verbose else logging.INFO, format=LOG_FORMAT, datefmt=LOG_TIME
    )
    for chatty in ("apscheduler", "aiosqlite", "alembic", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_run(config, site))


async def _run(config: Path, site: Site) -> None:
    settings = site.settings
    async with site.ledger(make_for=settings.registry.file, hold=True) as ledger:
        with office(settings.storage.url.url):
            who = f"{platform.node()}:{os.getpid()}"
            daemon = Daemon(settings, site.profiles, ledger, clock=SystemClock(), orders=who)
            await run_daemon(daemon, partial(_reload, config, daemon))


def _reload(config: Path, daemon: Daemon) -> None:
    """SIGHUP: the configuration as it is now; one that is broken leaves the old one running."""
    try:
        site = open_site(config)
    except CollectorError as error:
        log.error("the new configuration is not taken, the old one goes on: %s", error)
    else:
        daemon.change(site.settings, site.profiles)
