"""`chaobiao plans`: timetables (采集任务)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click

from collector.acquisition.calendar import FIRST_OF_MONTH, Instant, timetable
from collector.acquisition.plan import takes
from collector.cli import shapes
from collector.cli.command import Command, Group, config_option, json_option
from collector.cli.coverage import Gap, gaps, sentence
from collector.cli.forecast import forecast
from collector.cli.opening import Site, open_site
from collector.cli.tables import local_text, show_table
from collector.clock import SystemClock
from collector.settings.durations import show_duration
from collector.settings.registry_rows import read_registry
from collector.words import mark, say
from storage.days import utc_text
from storage.records import WORDS, Basis, Plan
from storage.registry import Registered

AHEAD = timedelta(days=33)
"""Every plan is due within a month."""


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
        "The plans of the configuration: when each is due next and how long it stays open, how many of the installed meters "
        "it takes, and how many of these cannot give all that it reads."
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
        say("reads"),
        say("kind"),
        say("when"),
        say("open"),
        say("jitter"),
        say("cut-off"),
        say("from whom"),
        say("next due"),
        say("meters"),
        say("cannot give it"),
    )
    show_table(headings, (_row(one, site) for one in found), numbers=(9, 10), empty=say("there is no plan"))
    for one in found:
        for gap in one.gaps:
            click.echo(sentence(gap), err=True)


plans.add_command(forecast)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A plan with what it comes to. `lacking`: meters that cannot give all of it."""

    plan: Plan
    next: Instant | None
    meters: int
    lacking: int
    gaps: tuple[Gap, ...]


def _listed(plan: Plan, registered: Sequence[Registered], site: Site, now: datetime) -> _Listed:
    taken = [one for one in registered if takes(plan, one)]
    first = next(timetable(plan, now, now + AHEAD, site.settings.zone), None)
    missing = tuple(gaps([plan], taken, site.profiles))
    short = {profile for gap in missing for profile in gap.cannot}
    lacking = sum(one.meter.profile in short for one in taken)
    return _Listed(plan, first, len(taken), lacking, missing)


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
        "kind": _kind(plan),
        "basis": str(plan.basis),
        "at": _clock(plan.at_minute),
        "every": _span(plan.every_s),
        "days": list(_days(plan)),
        "window": _span(plan.window_s),
        "jitter": _span(plan.jitter_s or None),
        "cutoff": _clock(plan.cutoff_minute),
        "channels": list(plan.channels),
        "areas": list(plan.areas),
        "stations": list(plan.stations),
        "classes": list(plan.classes),
        "profiles": list(plan.profiles),
        "next_due": utc_text(one.next.due) if one.next else None,
        "meters": one.meters,
        "lacking": one.lacking,
        "cannot_give": {gap.quantity: dict(gap.cannot) for gap in one.gaps},
    }


def _kind(plan: Plan) -> str:
    """Its basis, or "care" where it reads nothing that has one."""
    return mark("care") if all(wanted in WORDS for wanted in plan.read) else str(plan.basis)


def _days(plan: Plan) -> tuple[int, ...]:
    return (plan.days or FIRST_OF_MONTH) if plan.basis is Basis.SETTLEMENT else ()


def _clock(minute: int | None) -> str | None:
    return None if minute is None else "{:02d}:{:02d}".format(*divmod(minute, 60))


def _span(seconds: int | None) -> str | None:
    return None if seconds is None else show_duration(timedelta(seconds=seconds))


def _when(plan: Plan) -> str:
    if (every := _span(plan.every_s)) is not None:
        return say("every {span}", span=every)
    at = _clock(plan.at_minute) or ""
    days = ", ".join(map(str, _days(plan)))
    return say("{at} on day {days} of the month", at=at, days=days) if days else at


def _row(one: _Listed, site: Site) -> tuple[object, ...]:
    plan = one.plan
    return (
        plan.name,
        ", ".join(plan.read),
        say(_kind(plan)),
        _when(plan),
        show_duration(one.next.closes - one.next.due) if one.next else None,
        _span(plan.jitter_s or None),
        _clock(plan.cutoff_minute),
        _from_whom(plan),
        local_text(one.next.due, site.settings.zone) if one.next else None,
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
        (say("station"), plan.stations),
        (say("class"), plan.classes),
        (say("profile"), plan.profiles),
    )
    return "; ".join(part(name, chosen) for name, chosen in selectors if chosen) or say("all")
