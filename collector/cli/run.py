"""`chaobiao run`: the daemon."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click

from collector.cli.command import Command, Option, config_option
from collector.clock import SystemClock
from collector.daemon import Daemon, new_loop, run_daemon
from collector.settings.loading import load_profiles, load_settings
from collector.settings.schema import Settings
from collector.words import mark
from storage.engine import open_ledger
from storage.office import office

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@click.command(
    cls=Command,
    example="chaobiao run -c collector.toml",
    help=mark(
        "Collect, judge and hand over until told to stop. Plans on their timetables, messages as they come, verdicts every "
        "minute, deliveries at the hour that [billing] names. SIGTERM or Ctrl-C finishes what is under way and ends with 0."
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
    settings = load_settings(config)
    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG if verbose else logging.INFO, format=LOG_FORMAT)
    for chatty in ("apscheduler", "aiosqlite", "alembic", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_run(settings))


async def _run(settings: Settings) -> None:
    ledger = await open_ledger(settings.storage.url.url, create=True)
    try:
        with office(settings.storage.url.url):
            await run_daemon(Daemon(settings, load_profiles(settings), ledger, clock=SystemClock()))
    finally:
        await ledger.close()
