"""`chaobiao read`: one pass now, no scheduler."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click

from collector.cli import shapes
from collector.cli.command import Command, Option, config_option, json_option
from collector.cli.failures import FAILED
from collector.cli.handing_over import collects, hand_over
from collector.cli.opening import Site, open_site
from collector.cli.tables import local_text, quantity_name, show_table
from collector.clock import SystemClock
from collector.errors import UsageError
from collector.jobs.asking import ReadWanted
from collector.jobs.read import Heard, Pass, ReadNow
from collector.settings.durations import parse_duration
from collector.settings.schema import Settings
from collector.words import mark, say, say_n
from storage.orders import OrderKind
from storage.record_text import from_json
from storage.records import Basis, Missing, Reading

NAMED = 20
"""Meters that the summary names; why each of them gave nothing was said when it did."""


@click.command(
    cls=Command,
    example="chaobiao read -c collector.toml --meter 4711 --json",
    help=mark(
        "Read meters once, now: collect, store and print what they say. Meters that push, and devices that dial in, are "
        "waited for as long as --wait says. Counts in no rate. Where a daemon collects into this database, it is asked to do "
        "it, and Ctrl-C withdraws that. Exit status 1 if a meter gave nothing."
    ),
)
@config_option
@click.option("--meter", "meters", cls=Option, multiple=True, metavar="ID", help=mark("This meter; may be repeated."))
@click.option("--plan", cls=Option, metavar="NAME", help=mark("What this plan reads, from whom it reads."))
@click.option(
    "--wait",
    cls=Option,
    default="10s",
    show_default=True,
    metavar="T",
    help=mark("How long to listen to meters that push, and to wait for devices that dial in."),
)
@click.option(
    "--within",
    cls=Option,
    default="1h",
    show_default=True,
    metavar="T",
    help=mark("With a daemon: ask nobody after this time."),
)
@json_option
def read(config: Path, meters: tuple[str, ...], plan: str | None, wait: str, within: str, as_json: bool) -> None:
    """Ask, store, print."""
    site = open_site(config)
    patience, longest = _span("--wait", wait), _span("--within", within)
    shown = _Printer(site.settings, as_json)
    try:
        done = asyncio.run(_read(site, meters, plan, patience, longest, shown))
    finally:
        shown.finish()  # what came before a Ctrl-C is stored, and told
    _summary(done)
    if done.silent or done.troubles:
        click.get_current_context().exit(FAILED)


async def _read(
    site: Site, meters: tuple[str, ...], plan: str | None, patience: timedelta, longest: timedelta, shown: _Printer
) -> Pass:
    async with site.ledger(make_for=site.settings.registry.file) as ledger:
        done = Pass()

        def told(heard: Heard) -> None:
            done.take(heard)
            shown.take(heard)

        if collects(site):
            wanted = ReadWanted(meters, plan, patience.total_seconds())
            await hand_over(
                site, ledger, OrderKind.READ, wanted, longest, lambda line: told(from_json(Heard, line.said))
            )
        else:
            await ReadNow(site.settings, site.profiles, ledger, SystemClock(), told=told).run(meters, plan, patience)
        return done


class _Printer:
    """JSON lines as they come; a table at the end, and what is missing on standard error as it comes."""

    def __init__(self, settings: Settings, as_json: bool) -> None:
        self._zone = settings.zone
        self._as_json = as_json
        self._rows: list[tuple[str | None, ...]] = []
        self._asked = 0

    def take(self, heard: Heard) -> None:
        """What one meter said."""
        for reading in heard.readings:
            if self._as_json:
                click.echo(shapes.one_line(shapes.raw_reading(reading, heard.point)))
            else:
                self._rows.append(self._row(reading))
        for line in _why(heard.missing):
            click.echo(f"{heard.meter}: {line}", err=True)
        if not heard.readings and not heard.missing:
            return
        self._asked += 1
        if sys.stderr.isatty():
            if heard.readings:
                click.echo(f"{heard.meter}: {say_n('{n} reading', '{n} readings', len(heard.readings))}", err=True)
            # in one line that what comes next overwrites
            click.echo(f"{say_n('{n} meter asked', '{n} meters asked', self._asked)} …\r", err=True, nl=False)

    def finish(self) -> None:
        """The table."""
        if self._rows:
            headings = (
                say("meter"),
                say("quantity"),
                say("name"),
                say("basis"),
                say("value"),
                say("unit"),
                say("time"),
            )
            show_table(headings, self._rows, numbers=(4,))

    def _row(self, reading: Reading) -> tuple[str | None, ...]:
        shape = shapes.raw_reading(reading, "")
        return (
            reading.meter,
            reading.quantity,
            quantity_name(reading.quantity),
            say(shape["basis"]),
            shape["value"],
            shape["unit"],
            local_text(reading.time, self._zone),
        )


def _why(missing: tuple[Missing, ...]) -> Iterator[str]:
    """One line a reason, with the quantities that it took; a basis other than the usual one is named."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for one in missing:
        basis = "" if one.slot.basis is Basis.INSTANT else f" ({say(one.slot.basis)})"
        grouped.setdefault((one.reason, one.detail), []).append(f"{one.slot.quantity}{basis}")
    for (reason, detail), quantities in grouped.items():
        yield f"{', '.join(quantities)}: {say(reason)}: {detail}"


def _summary(done: Pass) -> None:
    meters = say_n("{n} meter asked", "{n} meters asked", done.asked)
    readings = say_n("{n} reading", "{n} readings", done.readings)
    click.echo(
        say(
            "{meters}, {answered} answered; {readings}, {missing} missing",
            meters=meters,
            answered=done.answered,
            readings=readings,
            missing=done.missing,
        ),
        err=True,
    )
    for trouble in done.troubles:
        click.echo(trouble, err=True)
    if done.silent:
        click.echo(say("gave nothing: {meters}", meters=_named(sorted(done.silent))), err=True)


def _named(meters: list[str]) -> str:
    first, more = ", ".join(meters[:NAMED]), len(meters) - NAMED
    return say_n("{meters} and {n} more", "{meters} and {n} more", more, meters=first) if more > 0 else first


def _span(option: str, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error
