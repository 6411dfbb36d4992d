"""`chaobiao probe`: read one device with no configuration at all."""

from __future__ import annotations

import asyncio
import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from collector.cli import shapes
from collector.cli.command import Command, Option, daemon_option, json_option
from collector.cli.device import dialect_for, seconds
from collector.cli.failures import FAILED
from collector.cli.handing_over import hand_over, lender
from collector.cli.opening import Site
from collector.cli.tables import local_text, quantity_name, show_table
from collector.clock import SystemClock
from collector.errors import UsageError
from collector.jobs.asking import ProbeWanted
from collector.jobs.by_hand import probe_for
from collector.jobs.probe import IDENTIFIES, Probed, Said
from collector.settings.spelling import did_you_mean
from collector.words import mark, say
from protocols.catalogue import describe
from protocols.dialect import Dialect
from protocols.dialects import DIALECTS
from protocols.obis import Obis
from protocols.profile import Profile, builtin_profiles, load_profile
from storage.days import from_local, utc_text
from storage.orders import OrderKind, OrderLine
from storage.record_text import from_json

LONGEST_PROBE = timedelta(minutes=10)
"""On a line that others use too."""


@click.command(
    cls=Command,
    example="chaobiao probe tcp://192.0.2.10:502 --protocol modbus-tcp --address 1 --profile eastron_sdm630",
    help=mark(
        "Read one device with no configuration: all that a profile has, or without one what is usual in the protocol. "
        "Nothing is stored. Exit status 1 if the device gave nothing, or not all that its profile has."
    ),
)
@click.argument("url", metavar="URL")
@click.option(
    "--protocol", cls=Option, required=True, metavar="|".join(DIALECTS), help=mark("The protocol that is spoken.")
)
@click.option(
    "--address", cls=Option, required=True, metavar="A", help=mark("The device's address, or the protocol's wildcard.")
)
@click.option("--profile", cls=Option, metavar="NAME", help=mark("A built-in profile, or a profile file."))
@click.option(
    "--timeout", cls=Option, default="1s", show_default=True, metavar="T", help=mark("How long to wait for an answer.")
)
@click.option(
    "--retries",
    cls=Option,
    default=2,
    show_default=True,
    type=click.IntRange(0, 10),
    help=mark("Tries after the first."),
)
@click.option(
    "--zone",
    cls=Option,
    default="Asia/Shanghai",
    show_default=True,
    metavar="ZONE",
    help=mark("The zone of the device's clock."),
)
@click.option("--frames", cls=Option, is_flag=True, help=mark("Show the bytes that went and came, on standard error."))
@daemon_option
@json_option
def probe(
    url: str,
    protocol: str,
    address: str,
    profile: str | None,
    timeout: str,
    retries: int,
    zone: str,
    frames: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Ask, and print what was said."""
    dialect = dialect_for(url, protocol)
    chosen = _profile(profile, dialect) if profile else None
    if chosen is None and not dialect.usual(address) and protocol not in IDENTIFIES:
        raise UsageError(_name_a_profile(dialect))
    name = str(Path(profile).absolute()) if chosen and profile and profile.endswith(".toml") else profile or ""
    wanted = ProbeWanted(url, protocol, address, name, seconds("--timeout", timeout), retries, _zone(zone).key)
    asked = probe_for(wanted, SystemClock())
    if (site := lender(config, url)) is not None:
        probed = asyncio.run(_lent(site, wanted))
    else:
        probed = asyncio.run(asked.with_profile(chosen) if chosen else asked.without_profile())
    if frames:
        _show_frames(probed)
    if as_json:
        for shape in _shapes(probed, asked.zone):
            click.echo(shapes.one_line(shape))
    elif not probed.nothing:
        _show(probed, asked.zone)
    _complain(probed, dialect, with_profile=chosen is not None)


async def _lent(site: Site, wanted: ProbeWanted) -> Probed:
    """Done by the daemon that has the line."""
    found = [Probed(wanted.address)]
    async with site.ledger() as ledger:
        told = partial(_heard, found)
        await hand_over(site, ledger, OrderKind.PROBE, wanted, LONGEST_PROBE, told)
    return found[-1]


def _heard(found: list[Probed], line: OrderLine) -> None:
    found.append(from_json(Probed, line.said))


def _profile(name: str, dialect: Dialect) -> Profile:
    known = builtin_profiles()
    if name in known:
        found = known[name]
    elif name.endswith(".toml"):
        found = load_profile(Path(name))
    else:
        says = say('there is no profile "{name}"', name=name)
        raise UsageError(f"{says}{did_you_mean(name, known)}: {', '.join(known)}")
    if found.protocol != dialect.family:
        says = mark("the profile {name} is read by {family}, not by {protocol}")
        raise UsageError(say(says, name=found.id, family=found.protocol, protocol=dialect.name))
    return found


def _name_a_profile(dialect: Dialect) -> str:
    fitting = ", ".join(name for name, one in builtin_profiles().items() if one.protocol == dialect.family)
    return say(
        "{protocol} has no usual quantities: name a --profile: {fitting}", protocol=dialect.name, fitting=fitting
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"--zone: {name!r}{did_you_mean(name, zoneinfo.available_timezones())}") from None


def _shapes(probed: Probed, zone: ZoneInfo) -> Iterator[shapes.Shape]:
    for reading in probed.readings:
        yield shapes.raw_reading(reading, "")
    for said in probed.said:
        yield _said(said, probed.address, zone)


def _said(said: Said, address: str, zone: ZoneInfo) -> shapes.Shape:
    """A reading's keys for what the protocol's own table says; what is no reading has `quantity` null, and its `id`."""
    item = said.item
    kind = describe(Obis.parse(item.quantity)).kind if item.quantity else None
    stamp = said.received_at if item.time is None else from_local(item.time, zone)
    return {
        "meter": address,
        "point": None,
        "quantity": item.quantity,
        "time": utc_text(stamp),
        "basis": item.basis or "instant",
        "value": None if item.value is None else item.value if isinstance(item.value, str) else f"{item.value:f}",
        "unit": item.unit,
        "kind": None if kind is None else str(kind),
        "quality": "raw",
        "source": "poll",
        "revision": 0,
        "received_at": utc_text(said.received_at),
    } | ({} if item.quantity else {"id": item.id})


def _show(probed: Probed, zone: ZoneInfo) -> None:
    def row(shape: shapes.Shape) -> tuple[str | None, ...]:
        code = shape["quantity"]
        name = quantity_name(code) if code else ""
        stamp = local_text(datetime.fromisoformat(shape["time"]), zone)
        return (code or shape["id"], name, say(shape["basis"]), shape["value"], shape["unit"], stamp)

    headings = (say("quantity"), say("name"), say("basis"), say("value"), say("unit"), say("time"))
    show_table(headings, map(row, _shapes(probed, zone)), numbers=(3,))


def _show_frames(probed: Probed) -> None:
    """As they stand in a profile's `[[vector]]`: request, answer, and how it ended."""
    for attempt in probed.attempts:
        click.echo(f"> {attempt.sent.hex(' ')}", err=True)
        click.echo(f"< {attempt.received.hex(' ')}  {attempt.outcome}", err=True)


def _complain(probed: Probed, dialect: Dialect, *, with_profile: bool) -> None:
    """What did not come, on standard error. A meter that lacks what is only usual has not failed."""
    why: dict[str, dict[str, None]] = {}
    for failed in probed.failed:
        why.setdefault(f"{failed.reason}: {failed.detail}", {}).update(dict.fromkeys(failed.ids))
    for reject in probed.rejects:
        why.setdefault(f"{reject.reason}: {reject.detail}", {})[reject.id] = None
    for reason, ids in why.items():
        click.echo(f"{', '.join(ids)}: {reason}" if ids else reason, err=True)
    if probed.nothing and not why:
        click.echo(probed.why_not or say("{address} gave nothing", address=probed.address), err=True)
    if not with_profile and not dialect.usual(probed.address):
        click.echo(_name_a_profile(dialect), err=True)
    if probed.nothing or (with_profile and why):
        click.get_current_context().exit(FAILED)
