"""`chaobiao clock`: what the meters' own clocks show (时钟), and setting one."""

from __future__ import annotations

import asyncio
import getpass
from datetime import timedelta
from pathlib import Path

import click

from collector.acquisition.clocks import Correct, Standing
from collector.acquisition.listening import Ports
from collector.cli import shapes
from collector.cli.command import Command, Group, Option, config_option, json_option
from collector.cli.failures import FAILED
from collector.cli.handing_over import collects, hand_over
from collector.cli.opening import Site, open_site
from collector.cli.tables import local_text, show_table
from collector.clock import SystemClock
from collector.errors import UsageError
from collector.jobs.asking import ClockWanted
from collector.jobs.clock_rounds import clock_key, policy_of, show_drift
from collector.jobs.clocks import ClockSetter, Setting, standings
from collector.jobs.read import choose_meters
from collector.jobs.routes import no_channel, routes_for
from collector.settings.secrets import CLOCK_PASSWORD
from collector.words import mark, say
from protocols.clockwork import Key
from storage.days import utc_text
from storage.orders import OrderKind, OrderLine
from storage.record_text import from_json

LEAST_CORRECT = Correct.COMMAND
LONGEST = timedelta(minutes=10)
"""For a running daemon: until the meter's line is free and all is said."""


@click.group(
    cls=Group,
    example="chaobiao clock show -c collector.toml",
    help=mark("The meters' own clocks: what they show, and setting one."),
)
def clock() -> None:
    """See `help` above."""


@clock.command(
    cls=Command,
    example="chaobiao clock show -c collector.toml --meter 4711",
    help=mark(
        "How each clock stood when it was last read, what would put it right, and how often that was tried in the month "
        "before."
    ),
)
@config_option
@click.option("--meter", "meters", cls=Option, multiple=True, metavar="ID", help=mark("This meter; may be repeated."))
@json_option
def show(config: Path, meters: tuple[str, ...], as_json: bool) -> None:
    """One line a meter."""
    site = open_site(config)
    found = asyncio.run(_standings(site, meters))
    if as_json:
        for one in found:
            click.echo(shapes.one_line(_shape(one)))
        return
    headings = (
        say("meter"),
        say("read at"),
        say("off by"),
        say("uncertain by"),
        say("verdict"),
        say("remedy"),
        say("corrections"),
    )
    rows = (_row(one, site) for one in found)
    show_table(headings, rows, numbers=(2, 3, 6), empty=say('no clock was read yet; a plan does it: read = ["clock"]'))


async def _standings(site: Site, meters: tuple[str, ...]) -> tuple[Standing, ...]:
    async with site.ledger() as ledger:
        choose_meters(await ledger.registry(), meters)
        return await standings(ledger, policy_of(site.settings), meters)


CLOCK_KEYS = ("meter", "at", "shown", "drift_s", "uncertainty_s", "verdict", "remedy", "corrections")


def _shape(one: Standing) -> shapes.Shape:
    """Seconds as decimal text; `corrections`: of the month before."""
    check = one.check
    return {
        "meter": check.meter,
        "at": utc_text(check.at),
        "shown": utc_text(check.shown),
        "drift_s": _seconds(check.drift),
        "uncertainty_s": _seconds(timedelta(microseconds=check.uncertainty_us)),
        "verdict": str(one.verdict),
        "remedy": str(one.remedy),
        "corrections": one.corrections,
    }


def _seconds(span: timedelta) -> str:
    """To the millisecond, cut off."""
    sign, thousandths = "-" if span < timedelta() else "", abs(span) // timedelta(milliseconds=1)
    return f"{sign}{thousandths // 1000}.{thousandths % 1000:03d}"


def _row(one: Standing, site: Site) -> tuple[object, ...]:
    check = one.check
    return (
        check.meter,
        local_text(check.at, site.settings.zone),
        show_drift(check.drift),
        show_drift(timedelta(microseconds=check.uncertainty_us)).replace("+", "±"),
        say(str(one.verdict)),
        say(str(one.remedy)),
        one.corrections,
    )


@clock.command(
    "set",
    cls=Command,
    example="chaobiao clock set 4711 -c collector.toml --why 'off by two hours after its battery failed'",
    help=mark(
        "Set one meter's clock at its own address, by password: it is read before, and read back. Who did it and why stands "
        "in the database before the meter hears of it. Exit status 1 if it does not stand right afterwards."
    ),
)
@click.argument("meter")
@config_option
@click.option("--why", cls=Option, required=True, metavar="TEXT", help=mark("For the audit."))
@click.option("--who", cls=Option, metavar="NAME", help=mark("Who sets it; default: the login name."))
def set_(meter: str, config: Path, why: str, who: str | None) -> None:
    """Set it, and say what it showed before and after."""
    site = open_site(config)
    if policy_of(site.settings).correct < LEAST_CORRECT:
        raise UsageError(say('clocks are not set here: [clock] correct is "never"; "command" allows it'))
    if not why.strip():
        raise UsageError(say("--why must say why; it stands in the audit"))
    wanted = ClockWanted(meter, who or _login(), why)
    done = asyncio.run(_handed_over(site, wanted) if collects(site) else _set(site, wanted, _key(site)))
    click.echo(_told(done), err=bool(done.reason))
    if done.reason:
        click.get_current_context().exit(FAILED)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container may know no name for its user
        raise UsageError(say("nobody knows who you are; say it with --who")) from None


def _key(site: Site) -> Key:
    key = clock_key(site.settings)
    if key is None:
        says = mark("there is no password: [clock] password_file, or the environment: {name}")
        raise UsageError(say(says, name=CLOCK_PASSWORD))
    return key


async def _handed_over(site: Site, wanted: ClockWanted) -> Setting:
    """Done by the daemon that has the line, with its password."""
    found = [Setting(wanted.meter)]

    def told(line: OrderLine) -> None:
        found.append(from_json(Setting, line.said))

    async with site.ledger() as ledger:
        choose_meters(await ledger.registry(), [wanted.meter])
        await hand_over(site, ledger, OrderKind.CLOCK, wanted, LONGEST, told)
    return found[-1] if len(found) > 1 else Setting(wanted.meter, "no_answer", say("its turn did not come in time"))


async def _set(site: Site, wanted: ClockWanted, key: Key) -> Setting:
    settings, ports, meter = site.settings, Ports(), wanted.meter
    async with site.ledger() as ledger:
        (one,) = choose_meters(await ledger.registry(), [meter])
        channels = [channel for channel in settings.channels if channel.name == one.meter.channel]
        routes = routes_for(channels, SystemClock(), ports)
        if one.meter.channel not in routes:
            return Setting(meter, *no_channel(one.meter.channel))
        route = routes[one.meter.channel]
        try:
            async with ports:
                return await ClockSetter(ledger, SystemClock(), settings.zone).set_one(
                    one, route, key, who=wanted.who, why=wanted.why
                )
        finally:
            await route.line.close()


def _told(done: Setting) -> str:
    before = show_drift(done.before.drift) if done.before else say("unread")
    after = show_drift(done.after.drift) if done.after else say("unread")
    if not done.reason:
        return say("{meter}: set; it was off by {before}, now {after}", meter=done.meter, before=before, after=after)
    return say(
        "{meter}: not set: {reason}: {detail} (off by {before} before, {after} after)",
        meter=done.meter,
        reason=say(done.reason),
        detail=done.detail,
        before=before,
        after=after,
    )
