"""`chaobiao readings`: what was read, as it stands."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from collector.cli import shapes
from collector.cli.command import Command, Group, Option, config_option
from collector.cli.opening import Site, open_site
from collector.errors import UsageError
from collector.jobs.read import choose_meters
from collector.words import mark, say, say_n
from protocols.catalogue import describe
from protocols.errors import ObisError
from protocols.obis import Obis
from storage.days import from_local
from storage.records import Basis

Write = Callable[[shapes.Shape], None]
_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@click.group(cls=Group, example="chaobiao readings export -c collector.toml --format csv", help=mark("What was read."))
def readings() -> None:
    """See `help` above."""


@readings.command(
    "export",
    cls=Command,
    example="chaobiao readings export -c collector.toml --format csv --from 2026-03-01 --to 2026-04-01 > march.csv",
    help=mark(
        "All stored readings as they stand, to standard output: by meter, quantity, basis and time. Of a conflict the "
        "first value stays, and it is suspect."
    ),
)
@config_option
@click.option("--format", "form", cls=Option, default="csv", show_default=True, metavar="F", help=mark("csv or jsonl."))
@click.option("--json", "as_json", cls=Option, is_flag=True, help=mark("The same as --format jsonl."))
@click.option(
    "--meter", "meters", cls=Option, multiple=True, metavar="ID", help=mark("Only this meter; may be repeated.")
)
@click.option(
    "--quantity",
    "quantities",
    cls=Option,
    multiple=True,
    metavar="OBIS",
    help=mark("Only this quantity; may be repeated."),
)
@click.option(
    "--basis", cls=Option, type=click.Choice([str(basis) for basis in Basis]), help=mark("Only of this basis.")
)
@click.option("--from", "start", cls=Option, metavar="TIME", help=mark("From this day or instant on."))
@click.option("--to", "end", cls=Option, metavar="TIME", help=mark("Up to this day or instant, which is not included."))
def export(
    config: Path,
    form: str,
    as_json: bool,
    meters: tuple[str, ...],
    quantities: tuple[str, ...],
    basis: str | None,
    start: str | None,
    end: str | None,
) -> None:
    """Write one line a reading."""
    form = "jsonl" if as_json else form
    if form == "parquet":
        raise UsageError(say("parquet is not built into this version; there are csv and jsonl"))
    if form not in _WRITERS:
        raise UsageError(say('"{form}" is no format; there are csv and jsonl', form=form))
    for code in quantities:
        _known(code)
    site = open_site(config)
    zone = site.settings.zone
    bounds = _instant(start, zone, "--from"), _instant(end, zone, "--to")
    count = asyncio.run(_export(site, _WRITERS[form], meters, quantities, Basis(basis) if basis else None, bounds))
    click.echo(say_n("{n} reading", "{n} readings", count), err=True)


async def _export(
    site: Site,
    writer: Callable[[], Write],
    meters: tuple[str, ...],
    quantities: tuple[str, ...],
    basis: Basis | None,
    bounds: tuple[datetime | None, datetime | None],
) -> int:
    count = 0
    async with site.ledger() as ledger:
        if meters:
            choose_meters(await ledger.installations(*_EVER), meters)
        write = writer()
        found = ledger.readings(meters=meters, quantities=quantities, basis=basis, start=bounds[0], end=bounds[1])
        async with aclosing(found):  # whoever reads the output may go away in the middle
            async for judged in found:
                write(shapes.reading(judged))
                count += 1
    return count


def _csv() -> Write:
    rows = csv.DictWriter(sys.stdout, shapes.READING_KEYS, lineterminator="\n")
    rows.writeheader()
    return rows.writerow


def _jsonl() -> Write:
    return lambda shape: print_line(shapes.one_line(shape))


def print_line(line: str) -> None:
    """Without the flush of `click.echo`: there may be millions."""
    sys.stdout.write(f"{line}\n")


_WRITERS: dict[str, Callable[[], Write]] = {"csv": _csv, "jsonl": _jsonl}


def _known(code: str) -> None:
    try:
        describe(Obis.parse(code))
    except ObisError as error:
        raise UsageError(f"--quantity: {error}") from error


def _instant(text: str | None, zone: ZoneInfo, option: str) -> datetime | None:
    """A day means its first instant in the utility's zone; an instant without an offset is of that zone too."""
    if text is None:
        return None
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        says = mark('{option}: "{text}" is no time; write 2026-03-15 or 2026-03-15T00:15:00+08:00')
        raise UsageError(say(says, option=option, text=text)) from None
    return from_local(stamp, zone) if stamp.tzinfo is None else stamp.astimezone(UTC)
