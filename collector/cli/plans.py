"""`chaobiao plans`: timetables (采集任务)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click

from collector.acquisition.calendar import timetable
from collector.acquisition.plan import takes
from collector.cli import shapes
from collector.cli.command import Command, Group, config_option, json_option
from collector.cli.coverage import Gap, gaps, sentence
from collector.cli.opening import Site, open_site
from collector.cli.tables import local_text, show_table
from collector.clock import SystemClock
from collector.settings.durations import show_duration
from collector.settings.registry_rows import read_registry
from collector.words import mark, say
from storage.days import utc_text
from storage.records import Plan
from storage.registry import Registered

AHEAD = timedelta(days=3)
"""Every plan is due within a day; a clock that is put forward can make it two."""


@click.group(
    cls=Group, example="chaobiao plans list -c collector.toml", help=mark("Timetables: what is read, from whom, when.")
)
def plans() -> None:
    """See `help` above."""


@plans.command(
    "list",
    cls=Command,
    example="chaobiao plans list -c collector.toml",
    help=mark(
        "The plans of the configuration: when each is due next, how many of the installed meters it takes, and how many of "
        "these cannot give all that it reads."
    ),
)
@config_option
@json_option
def list_(config: Path, as_json: bool) -> None:
    """Print them in the order of the file."""
    site = open_site(config)
    now = SystemClock().now()
    registered = _registered(site, now)
    found = [_listed(plan, registered, site, now) for plan in site.settings.plan_records]
    if as_json:
        for one in found:
            click.echo(shapes.one_line(_shape(one)))
        return
    headings = (
        say("plan"),
        say("quantity"),
        say("basis"),
        say("when"),
        say("from whom"),
        say("next due"),
        say("meters"),
        say("cannot give it"),
    )
    show_table(headings, (_row(one, site) for one in found), numbers=(6, 7), empty=say("there is no plan"))
    for one in found:
        for gap in one.gaps:
            click.echo(sentence(gap), err=True)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A plan with what it comes to. `lacking`: meters that cannot give all of it."""

    plan: Plan
    due: datetime | None
    meters: int
    lacking: int
    gaps: tuple[Gap, ...]


def _listed(plan: Plan, registered: Sequence[Registered], site: Site, now: datetime) -> _Listed:
    taken = [one for one in registered if takes(plan, one)]
    first = next(timetable(plan, now, now + AHEAD, site.settings.zone), None)
    missing = tuple(gaps([plan], taken, site.profiles))
    short = {profile for gap in missing for profile in gap.cannot}
    lacking = sum(one.meter.profile in short for one in taken)
    return _Listed(plan, first.due if first else None, len(taken), lacking, missing)


def _registered(site: Site, now: datetime) -> tuple[Registered, ...]:
    """Who is installed, by the database; before there is one, by the registry file."""
    settings = site.settings
    if settings.storage.url.path.exists():
        return asyncio.run(_from_ledger(site))
    if settings.registry.file.exists():
        return tuple(read_registry(settings.registry.file, settings, site.profiles, at=now).rows)
    return ()


async def _from_ledger(site: Site) -> tuple[Registered, ...]:
    async with site.ledger() as ledger:
        return await ledger.registry()


def _shape(one: _Listed) -> shapes.Shape:
    """`cannot_give`: by quantity and profile, how many of `meters`. An absent selector takes all: []."""
    plan = one.plan
    return {
        "plan": plan.name,
        "read": list(plan.read),
        "basis": str(plan.basis),
        "at": _clock(plan),
        "every": _every(plan),
        "channels": list(plan.channels),
        "areas": list(plan.areas),
        "classes": list(plan.classes),
        "profiles": list(plan.profiles),
        "next_due": utc_text(one.due) if one.due else None,
        "meters": one.meters,
        "lacking": one.lacking,
        "cannot_give": {gap.quantity: dict(gap.cannot) for gap in one.gaps},
    }


def _clock(plan: Plan) -> str | None:
    return None if plan.at_minute is None else "{:02d}:{:02d}".format(*divmod(plan.at_minute, 60))


def _every(plan: Plan) -> str | None:
    return None if plan.every_s is None else show_duration(timedelta(seconds=plan.every_s))


def _row(one: _Listed, site: Site) -> tuple[object, ...]:
    plan = one.plan
    every = _every(plan)
    return (
        plan.name,
        ", ".join(plan.read),
        say(str(plan.basis)),
        say("every {span}", span=every) if every else _clock(plan),
        _from_whom(plan),
        local_text(one.due, site.settings.zone) if one.due else None,
        one.meters,
        one.lacking,
    )


def _from_whom(plan: Plan) -> str:
    """What its selectors say; all of them must hold."""

    def part(name: str, chosen: Iterable[str]) -> str:
        return f"{name} {', '.join(chosen)}"

    selectors = (
        (say("channel"), plan.channels),
        (say("area"), plan.areas),
        (say("class"), plan.classes),
        (say("profile"), plan.profiles),
    )
    return "; ".join(part(name, chosen) for name, chosen in selectors if chosen) or say("all")
