"""`chaobiao plans forecast`: when each line will be done, and which will not be in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from collector.acquisition.forecast import Outlook
from collector.cli import shapes
from collector.cli.command import Command, Option, config_option, json_option
from collector.cli.opening import Site, open_site
from collector.cli.tables import local_text, show_table
from collector.clock import SystemClock
from collector.errors import UsageError, WorkFailed
from collector.jobs.forecast import ChannelForecast, Forecaster, next_time
from collector.settings.fields import clock_time
from collector.settings.registry_rows import read_registry
from collector.words import mark, say
from storage.days import from_local, utc_text


@click.command(
    "forecast",
    cls=Command,
    example="chaobiao plans forecast -c collector.toml --by 06:00",
    help=mark(
        "Will it finish in time: when each channel that is polled will be done with what is owed, by the speed of its line and "
        "by what its meters took lately. Exit status 1 if one will not be done by the hour."
    ),
)
@config_option
@click.option(
    "--at",
    cls=Option,
    metavar="TIME",
    help=mark(
        "From then on, as if all that was due before were done; 22:00 is the next. Default: from now on, with all that is "
        "open."
    ),
)
@click.option(
    "--by",
    cls=Option,
    metavar="HH:MM",
    default="06:00",
    show_default=True,
    help=mark("The hour by which it is to be done; the next such one."),
)
@json_option
def forecast(config: Path, at: str | None, by: str, as_json: bool) -> None:
    """One line for each plan of a channel; with --json one a channel."""
    site = open_site(config)
    hour = _hour(by, "--by")
    found = _found(site, None if at is None else _instant(at, site.settings.zone), hour)
    if as_json:
        for one in found:
            click.echo(shapes.one_line(_shape(one)))
    else:
        _show(found, by, site.settings.zone)
    if late := [one.channel for one in found if not one.finishes]:
        raise WorkFailed(say("not done by {hour}: {channels}", hour=by, channels=", ".join(late)))


def _found(site: Site, start: datetime | None, by: time) -> list[ChannelForecast]:
    settings, clock = site.settings, SystemClock()
    job = Forecaster(settings, site.profiles, clock)
    if settings.storage.url.path.exists():
        return asyncio.run(_of_ledger(site, job, start, by))
    if settings.registry.file.exists():
        rows = read_registry(settings.registry.file, settings, site.profiles, at=clock.now()).rows
        return job.of_registry(tuple(rows), start, by)
    return job.of_registry((), start, by)


async def _of_ledger(site: Site, job: Forecaster, start: datetime | None, by: time) -> list[ChannelForecast]:
    async with site.ledger() as ledger:
        return await job.of_ledger(ledger, start, by)


def _hour(text: str, option: str) -> time:
    try:
        return time(*divmod(clock_time(text), 60))
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def _instant(text: str, zone: ZoneInfo) -> datetime:
    """`22:00` is the next one; an instant without an offset is of the utility's zone."""
    if len(text) <= len("22:00"):
        return next_time(SystemClock().now(), _hour(text, "--at"), zone)
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        says = mark('--at: "{text}" is no time; write 22:00 or 2026-03-15T22:00')
        raise UsageError(say(says, text=text)) from None
    return from_local(stamp, zone) if stamp.tzinfo is None else stamp.astimezone(UTC)


def _shape(one: ChannelForecast) -> shapes.Shape:
    """`late`: read, but after `by`; `missed`: closed before their turn; neither counts those of silent meters."""
    return {
        "channel": one.channel,
        "link": one.link,
        "by": utc_text(one.by),
        "finishes": one.finishes,
        "meters": one.meters,
        "heard": one.heard,
        "silent": one.silent,
        "values": one.values,
        "begins": utc_text(one.begins) if one.begins else None,
        "done": utc_text(one.done) if one.done else None,
        "late": one.late,
        "missed": one.missed,
        "known": str(one.known),
        "plans": {
            name: {
                "values": plan.slots,
                "begins": utc_text(plan.first_due) if plan.first_due else None,
                "done": utc_text(plan.done) if plan.done else None,
                "longest_s": round(plan.longest.total_seconds(), 1),
                "late": plan.late,
                "missed": plan.missed,
            }
            for name, plan in one.plans.items()
        },
    }


_KNOWN = {
    "learned": mark("its meters"),
    "line": mark("the line's speed"),
    "assumed": mark("nothing yet: a guess"),
}


def _show(found: Sequence[ChannelForecast], by: str, zone: ZoneInfo) -> None:
    """A line for each plan of a channel; what is said of the channel stands in its first."""
    headings = (
        say("channel"),
        say("meters"),
        say("silent"),
        say("known from"),
        say("plan"),
        say("values"),
        say("begins"),
        say("done"),
        say("longest wait"),
        say("by {hour}", hour=by),
    )
    rows = [row for one in found for row in _rows(one, zone)]
    show_table(headings, rows, numbers=(1, 2, 5, 8), empty=say("no channel is polled"))


def _rows(one: ChannelForecast, zone: ZoneInfo) -> Iterator[tuple[object, ...]]:
    of_channel: tuple[object, ...] = (one.channel, one.meters, one.silent or None, say(_KNOWN[one.known]))
    nobody = bool(one.silent) and one.silent == one.meters
    if not one.plans:
        yield (*of_channel, None, 0, None, None, None, say("no: nobody answers") if nobody else say("nothing is due"))
    for name, plan in sorted(one.plans.items()):
        begins, done = (None if at is None else local_text(at, zone) for at in (plan.first_due, plan.done))
        yield (*of_channel, name, plan.slots, begins, done, _length(plan.longest), _verdict(plan))
        of_channel = (None,) * len(of_channel)


def _length(span: timedelta) -> str:
    """To the second, as on a clock."""
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _verdict(plan: Outlook) -> str:
    parts = []
    if plan.late:
        parts.append(say("{n} later", n=plan.late))
    if plan.missed:
        parts.append(say("{n} never: closed before their turn", n=plan.missed))
    return say("no: {parts}", parts=", ".join(parts)) if parts else say("yes")
