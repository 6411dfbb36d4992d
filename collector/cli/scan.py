"""`chaobiao scan`: who is on this line?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click

from collector.acquisition.scan import (
    DISTURBED,
    HEARD_ONLY,
    LATE,
    NO_SHORT,
    UNDIVIDED,
    UNNAMED,
    Findings,
)
from collector.acquisition.scanning import TIME_IS_UP
from collector.cli import shapes
from collector.cli.command import Command, Option, daemon_option, json_option
from collector.cli.device import dialect_for, seconds
from collector.cli.failures import FAILED, INTERRUPTED
from collector.cli.handing_over import hand_over, lender
from collector.cli.live import Tell, progress
from collector.cli.opening import Site
from collector.cli.tables import show_table
from collector.clock import SystemClock
from collector.errors import UsageError
from collector.jobs.asking import ScanStep, ScanWanted
from collector.jobs.by_hand import scan_for, search_wanted
from collector.jobs.scan import Device, Scanned
from collector.settings.durations import show_duration
from collector.words import mark, say, say_n
from protocols.catalogue import describe
from protocols.dialect import Dialect
from protocols.dialects import DIALECTS
from protocols.modbus.unit import HIGHEST_UNIT
from protocols.obis import Obis
from protocols.profile import builtin_profiles
from storage.orders import OrderKind, OrderLine
from storage.record_text import from_json
from storage.values import to_text

PATIENCE = {"dlt645": "800ms", "modbus-rtu": "300ms", "modbus-tcp": "1s"}
"""How long an answer may take. DL/T 645: up to 500 ms until it begins, and 220 ms for its bytes at 1200 baud. Through a
gateway for Modbus TCP: longer than its own time-out, or its queue fills with our questions."""
DIGITS, MOST_DIGITS = 4, 12
"""Asked on to, behind a good answer, unless --verify says otherwise. Each further pair costs a hundred questions a meter."""
LONGEST_SEARCH = timedelta(days=1)
BESIDE = timedelta(minutes=10)
"""Through a daemon, beside the search itself: to begin it, and to look at who was found."""
WHY = {
    DISTURBED: mark("several with this address, or its answers are spoilt"),
    UNNAMED: mark("somebody answers without telling the address"),
    LATE: mark("answers later than --timeout"),
    UNDIVIDED: mark("everything that is asked is answered, and nobody can be told apart"),
    HEARD_ONLY: mark("somebody was heard once, and nobody answers any more"),
    NO_SHORT: mark("does not know shortened addresses: others like it cannot be found"),
}


@click.command(
    cls=Command,
    example="chaobiao scan 'serial:///dev/ttyUSB0?baudrate=2400&parity=E' --protocol dlt645",
    help=mark(
        "Find the devices on a line. Asks only, and changes nothing on any of them. "
        "DL/T 645: by shortened addresses, two digits at a time; Modbus: every unit. What fits a built-in profile is said with "
        "the values that were seen. Exit status 1 if nothing was found."
    ),
)
@click.argument("url", metavar="URL")
@click.option(
    "--protocol", cls=Option, required=True, metavar="|".join(DIALECTS), help=mark("The protocol that is spoken.")
)
@click.option(
    "--timeout",
    cls=Option,
    metavar="T",
    help=mark(
        "How long to wait for an answer; default: DL/T 645 800ms, Modbus RTU 300ms, Modbus TCP 1s. Through a gateway it must be "
        "longer than the gateway's own."
    ),
)
@click.option(
    "--retries",
    cls=Option,
    default=0,
    show_default=True,
    type=click.IntRange(0, 5),
    help=mark("Ask again where nobody answers; each time as long again."),
)
@click.option("--from", "first", cls=Option, type=click.IntRange(1, HIGHEST_UNIT), help=mark("Modbus: the first unit."))
@click.option("--to", "last", cls=Option, type=click.IntRange(1, HIGHEST_UNIT), help=mark("Modbus: the last unit."))
@click.option(
    "--verify",
    cls=Option,
    type=click.Choice(["2", "4", "6", "8", "10", "12"]),
    help=mark(
        "DL/T 645: below one good answer, ask on for a second one that it hides, down to so many digits; default: 4. "
        "2 is quick, 12 is certain."
    ),
)
@click.option(
    "--within",
    cls=Option,
    default="1h",
    show_default=True,
    metavar="T",
    help=mark("Stop after this time, with what was found by then."),
)
@daemon_option
@json_option
def scan(
    url: str,
    protocol: str,
    timeout: str | None,
    retries: int,
    first: int | None,
    last: int | None,
    verify: str | None,
    within: str,
    config: Path | None,
    as_json: bool,
) -> None:
    """Search, then print who was found, however the search ended."""
    dialect = dialect_for(url, protocol)
    _check(dialect, first, last, verify)
    wait_s = seconds("--timeout", timeout or PATIENCE.get(protocol, "1s"))
    within_s = seconds("--within", within, LONGEST_SEARCH)
    wanted = ScanWanted(
        *(url, protocol, wait_s, retries, first or 1, last or HIGHEST_UNIT, int(verify or DIGITS), within_s)
    )
    search = search_wanted(wanted)
    if search is None:
        raise UsageError(say("the devices of {protocol} cannot be searched for", protocol=dialect.name))
    scanned = Scanned(search.findings)
    site = lender(config, url)
    interrupted = False
    with progress(url, 1.0) as tell:
        try:
            if site is None:
                work = scan_for(wanted, builtin_profiles(), SystemClock())
                asyncio.run(work.run(search, scanned, within_s=within_s, told=lambda *one: tell(*_far(*one))))
            else:
                asyncio.run(_lent(site, wanted, scanned, tell))
        except KeyboardInterrupt:
            interrupted = True
    _show(scanned, protocol, as_json=as_json)
    for remark in _remarks(scanned, dialect, int(verify or DIGITS)):
        click.echo(remark, err=True)
    if interrupted:
        click.get_current_context().exit(INTERRUPTED)
    if not scanned.devices:
        click.get_current_context().exit(FAILED)


async def _lent(site: Site, wanted: ScanWanted, scanned: Scanned, tell: Tell) -> None:
    """Done by the daemon that has the line."""

    def told(line: OrderLine) -> None:
        step = from_json(ScanStep, line.said)
        if step.scanned:
            now = from_json(Scanned, step.scanned)
            scanned.findings, scanned.devices, scanned.ended = now.findings, now.devices, now.ended
        scanned.findings.asked, scanned.findings.ahead = step.asked, step.ahead
        tell(*_far(scanned.findings, step.left_s))

    async with site.ledger() as ledger:
        within = timedelta(seconds=wanted.within_s) + BESIDE
        await hand_over(site, ledger, OrderKind.SCAN, wanted, within, told)


def _check(dialect: Dialect, first: int | None, last: int | None, verify: str | None) -> None:
    if dialect.family != "modbus" and (first is not None or last is not None):
        raise UsageError(say("--from and --to are for Modbus; {protocol} has no units", protocol=dialect.name))
    if dialect.family != "dlt645" and verify is not None:
        raise UsageError(say("--verify is for DL/T 645; {protocol} asks every unit", protocol=dialect.name))
    if not range(first or 1, (last or HIGHEST_UNIT) + 1):
        raise UsageError(say("--from {first} is behind --to {last}", first=first, last=last))


def _far(findings: Findings, left_s: float) -> tuple[float, str]:
    """How far a search is: a part of 1, and words. What is left is known of the questions that are known; more may follow."""
    words = say(
        "{found} found, question {asked}, about {left} more",
        found=len(findings.found),
        asked=findings.asked,
        left=spoken(timedelta(seconds=max(1, round(left_s)))),
    )
    return findings.asked / max(1, findings.asked + findings.ahead), words


def spoken(span: timedelta) -> str:
    """Whole seconds below two minutes, whole minutes above: nobody needs it finer."""
    if span < timedelta(minutes=2):
        return show_duration(span)
    return show_duration(timedelta(minutes=round(span / timedelta(minutes=1))))


def _shape(device: Device, protocol: str) -> shapes.Shape:
    """`sure`: it answered to its whole address. `shows`: the values by which the first of `profiles` fits."""
    who = device.who
    return {
        "protocol": protocol,
        "address": device.address,
        "sure": device.sure,
        "note": device.unclear or None,
        "vendor": who.vendor or None,
        "product": who.product or None,
        "revision": who.revision or None,
        "serial": device.serial or None,
        "profiles": [fit.profile for fit in device.fits],
        "shows": {one.quantity: to_text(one.value, one.resolution) for fit in device.fits[:1] for one in fit.seen},
    }


def _show(scanned: Scanned, protocol: str, *, as_json: bool) -> None:
    devices = sorted(scanned.devices.values(), key=lambda one: (len(one.address), one.address))
    if as_json:
        for one in devices:
            click.echo(shapes.one_line(_shape(one, protocol)))
    elif devices:
        headings = (say("address"), say("says it is"), say("serial"), say("fits profile"), say("shows"), say("note"))
        show_table(headings, map(_row, devices))


def _row(device: Device) -> tuple[str, ...]:
    who = device.who
    seen = device.fits[0].seen if device.fits else ()
    return (
        device.address,
        " ".join(filter(None, (who.vendor, who.product, who.revision))),
        device.serial,
        ", ".join(fit.profile for fit in device.fits),
        ", ".join(f"{to_text(one.value, one.resolution)} {_unit(one.quantity)}" for one in seen),
        say(WHY[device.unclear]) if device.unclear else "",
    )


def _unit(quantity: str) -> str:
    return describe(Obis.parse(quantity)).unit


def _remarks(scanned: Scanned, dialect: Dialect, verify: int) -> Iterator[str]:
    """All that keeps the list from being the whole truth, and what the search took."""
    findings, ended = scanned.findings, scanned.ended
    yield from (f"{place}: {say(WHY[why])}" for place, why in sorted(scanned.places.items()))
    if findings.one_for_all:
        yield say("every unit is answered for: this is one device that does not look at the unit")
    if ended is not None and ended.reason not in ("", TIME_IS_UP):
        yield f"{say(ended.reason)}: {ended.detail}"
    elif ended is not None and not findings.found and not findings.unclear:
        yield _nobody(dialect)
    if ended is not None and ended.late:
        yield say_n(
            "{n} byte came late: a longer --timeout may find more",
            "{n} bytes came late: a longer --timeout may find more",
            ended.late,
        )
    if findings.ahead and (ended is None or ended.reason):
        yield say_n("stopped with {n} question still to ask", "stopped with {n} questions still to ask", findings.ahead)
    elif dialect.family == "dlt645" and verify < MOST_DIGITS and findings.found:
        says = mark(
            "a meter whose last {digits} digits are those of one found may be hidden behind it; --verify 12 asks on"
        )
        yield say(says, digits=verify)
    found = say_n("{n} device found", "{n} devices found", len(scanned.devices))
    asked = say_n("{n} question asked", "{n} questions asked", findings.asked)
    yield f"{found}; {asked}"


def _nobody(dialect: Dialect) -> str:
    if not dialect.streaming:
        return say("nobody answers")
    return say("nobody answers: is the speed right, and the parity, are A and B the right way round?")
