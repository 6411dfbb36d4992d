"""`chaobiao demo`: the simulated district, on a terminal that lives, or one night of it and its summary."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click

from collector.cli.command import Command, Option
from collector.cli.endings import until_told
from collector.cli.failures import INTERRUPTED
from collector.cli.live import Board, progress
from collector.cli.tables import local_text, show_pairs
from collector.daemon import new_loop
from collector.demo import SPAN, STEP, District, Listening, Numbers, Standing, open_district
from collector.errors import WorkFailed
from collector.kpi.success import percent
from collector.words import mark, say, say_n

SHOWN = Decimal("0.001")
PACE_S = 1.0
"""Living on, a quarter of an hour takes a second."""


@click.command(
    cls=Command,
    example="chaobiao demo --once",
    help=mark(
        "A simulated district and the collector beside it, on SQLite, with no configuration. Lives until Ctrl-C; with --once "
        "it runs one night in half a minute, says what came of it, and exits 0 only if every value handed over is the one "
        "that its meter showed."
    ),
)
@click.option("--once", cls=Option, is_flag=True, help=mark("One night, then the summary."))
@click.option(
    "--keep",
    cls=Option,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=mark("Keep configuration, database, deliveries and truth there."),
)
def demo(once: bool, keep: Path | None) -> None:
    """Run it."""
    logging.getLogger().addHandler(logging.NullHandler())  # the board and the summary say what there is to say
    with asyncio.Runner(loop_factory=new_loop) as runner:
        ended = runner.run(until_told(_once(keep) if once else _live(keep)))
    if once and not ended:
        click.get_current_context().exit(INTERRUPTED)


async def _once(keep: Path | None) -> None:
    async with open_district(folder=keep) as district:
        _introduce(district)
        end = district.fleet.start + SPAN
        with progress(say("one night"), SPAN / STEP) as shown:
            async for now in district.live_until(end):
                shown((now - district.fleet.start) / STEP, local_text(now, district.settings.zone))
        await district.judge_and_hand_over()
        numbers = await district.numbers()
        _summary(numbers)
        if keep is not None:
            await asyncio.to_thread(district.fleet.write_truth, keep / "truth.jsonl")
    if numbers.difference or numbers.untold or not numbers.compared:
        raise WorkFailed(say("what was handed over is not what the meters showed"))


async def _live(keep: Path | None) -> None:
    headings = (say("meter"), say("protocol"), "kWh", say("at"), say("verdict"), say("trouble"))
    async with AsyncExitStack() as stack:
        district = await stack.enter_async_context(open_district(folder=keep))
        _introduce(district)
        board = stack.enter_context(Board(headings, coloured=4, numbers=(2,), hint=say("Ctrl-C ends")))
        while True:
            async for _ in district.live_until(district.clock.now() + STEP):
                pass
            await district.judge_and_hand_over()
            standing = await district.look()
            rows = [_row(district, one, standing) for one in district.fleet.listening]
            rows.sort(key=lambda row: _URGENCY.index(row[1]))
            board.show(_title(district), rows, await _footer(district, standing))
            await asyncio.sleep(PACE_S)


def _introduce(district: District) -> None:
    protocols: dict[str, int] = {}
    for one in district.fleet.listening:
        protocols[one.protocol] = protocols.get(one.protocol, 0) + 1
    meters = say_n("{n} simulated meter", "{n} simulated meters", len(district.fleet.listening))
    parts = ", ".join(f"{count} {name}" for name, count in protocols.items())
    click.echo(f"{meters}: {parts}")
    for line, why in district.fleet.left_out.items():
        click.echo(say("without {line}: {why}", line=line, why=why))


_URGENCY = ("missing", "suspect", "recovered", "raw", "verified")
"""What comes first on the board: what is wrong, then what was."""


def _row(district: District, one: Listening, standing: Standing) -> tuple[tuple[str, ...], str]:
    last, trouble = district.latest.get(one.meter), standing.trouble.get(one.meter)
    overdue = one.meter in standing.overdue
    verdict = "missing" if overdue or last is None else str(last.quality)
    cells = (
        one.meter,
        one.protocol,
        last.value if last else "–",
        _at(district, last.time) if last else "–",
        say(verdict),
        _counts(trouble or {}),
    )
    return cells, "recovered" if trouble and verdict == "verified" else verdict


def _at(district: District, instant: datetime) -> str:
    """The time of day, or the day if that is another."""
    zone = district.settings.zone
    local, now = instant.astimezone(zone), district.clock.now().astimezone(zone)
    return f"{local:%H:%M}" if local.date() == now.date() else f"{local:%m-%d}"


def _title(district: District) -> str:
    return say(
        "{time}, simulated: a quarter of an hour takes a second",
        time=f"{district.clock.now().astimezone(district.settings.zone):%Y-%m-%d %H:%M}",
    )


async def _footer(district: District, standing: Standing) -> list[str]:
    rate = percent(standing.collected, standing.expected) or "–"
    lines = [
        say(
            "due {expected}, collected {collected} ({rate} %), missing {missing}{reasons}",
            expected=standing.expected,
            collected=standing.collected,
            rate=rate,
            missing=standing.expected - standing.collected,
            reasons=_in_brackets(standing.missing),
        ),
        say(
            "verified {verified}, suspect {suspect}{rules}",
            verified=district.judged["verified"],
            suspect=district.judged["suspect"],
            rules=_in_brackets(district.rules),
        ),
    ]
    handed = await district.ledger.deliveries()
    if handed:
        lines.append(
            say(
                "handed over {readings} in {deliveries}; last {file}: {rows}",
                readings=say_n("{n} reading", "{n} readings", sum(one.rows for one in handed)),
                deliveries=say_n("{n} delivery", "{n} deliveries", len(handed)),
                file=handed[-1].data_file,
                rows=handed[-1].rows,
            )
        )
    return lines


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{say(code)} {count}" for code, count in sorted(counts.items()))


def _in_brackets(counts: Mapping[str, int]) -> str:
    return say(" ({list})", list=_counts(counts)) if counts else ""


def _deliveries(numbers: Numbers) -> str:
    return say_n("{n} delivery", "{n} deliveries", len(numbers.deliveries))


def _rows(numbers: Numbers) -> str:
    return say_n("{n} reading", "{n} readings", numbers.delivered)


def _summary(numbers: Numbers) -> None:
    """The night in lines that a person reads and a script can grep."""
    missing, rules = _in_brackets(numbers.missing), _in_brackets(numbers.rules)
    read = say("(of {n} readings, those between the slots too)", n=numbers.readings)
    difference = say(
        "{difference} kWh between what was delivered and the true register, {compared} values of {healthy} healthy meters",
        difference=f"{numbers.difference.quantize(SHOWN):f}",
        compared=numbers.compared,
        healthy=numbers.healthy,
    )
    show_pairs(
        (
            (say("expected"), f"{numbers.expected} " + say("(slots that the plans owed)")),
            (say("collected"), f"{numbers.collected}"),
            (say("missing"), f"{numbers.expected - numbers.collected}{missing}"),
            (say("suspect"), f"{numbers.qualities['suspect']}{rules}"),
            (
                say("verified"),
                f"{numbers.qualities['verified']} {read}",
            ),
            (say("delivered"), f"{_rows(numbers)}, {_deliveries(numbers)}"),
            (say("difference"), difference),
        )
    )
    for delivery in numbers.deliveries:
        click.echo(f"{delivery.data_file}  sha256 {delivery.sha256}")
