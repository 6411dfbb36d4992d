"""Handing an order to the daemon that collects into a database, where there is one: lines are in its hands while it runs."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from collector.cli.opening import Site, open_site
from collector.clock import SystemClock
from collector.jobs.asking import follow, order_for
from collector.jobs.routes import channel_of
from collector.settings.link_url import parse_link
from storage.ledger.port import Ledger
from storage.office import is_held
from storage.orders import OrderKind, OrderLine


def collects(site: Site) -> bool:
    """Does a daemon collect into this database just now?"""
    return is_held(site.settings.storage.url.url)


def lender(config: Path | None, url: str) -> Site | None:
    """Who has the line that a URL names just now; None: nobody that is known. :raises SettingsError: as `open_site`."""
    if config is None:
        return None
    site = open_site(config)
    has_it = channel_of(parse_link(url), site.settings.channels) is not None
    return site if has_it and collects(site) else None


async def hand_over(
    site: Site,
    ledger: Ledger,
    kind: OrderKind,
    wanted: object,
    within: timedelta,
    told: Callable[[OrderLine], None],
) -> None:
    """Place an order and follow it to its end; withdrawn if we are stopped. :raises CollectorError: as `follow`."""
    clock = SystemClock()
    order = order_for(kind, wanted, by=_who(), now=clock.now(), within=within)
    await follow(ledger, clock, order, told=told, collects=lambda: collects(site))


def _who() -> str:
    """For the record: who asked, where."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        name = str(os.getuid())
    return f"{name}@{platform.node()}:{os.getpid()}"
