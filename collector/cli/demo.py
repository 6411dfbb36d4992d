"""`chaobiao demo`: the simulated district, on a terminal that lives, or one night of it and its summary."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import click

from collector.cli.command import Command, Option
from collector.cli.live import Board, progress
from collector.cli.tables import local_text, show_pairs
from collector.daemon import new_loop
from collector.demo import SPAN, STEP, District, Latest, Listening, Numbers, open_district
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
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_once(keep) if once else _live(keep))


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
    headings = (say("meter"), say("protocol"), say("last value"), say("at"), say("verdict"))
    async with AsyncExitStack() as stack:
        district = await stack.enter_async_context(open_district(folder=keep))
        _introduce(district)
        board = stack.enter_context(Board(headings, hint=say("Ctrl-C ends")))
        while True:
            async for _ in district.live_until(district.clock.now() + STEP):
                pass
            await district.judge_and_hand_over()
            latest = await district.latest()
            title = local_text(district.clock.now(), district.settings.zone)
            board.show(
                title, [_row(district, one, latest) for one in district.fleet.listening], await _footer(district)
            )
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


def _row(district: District, one: Listening, latest: Mapping[str, Latest]) -> tuple[tuple[str, ...], str]:
    last = latest.get(one.meter)
    if last is None:
        return (one.meter, one.protocol, "–", say("never"), "–"), "missing"
    when = local_text(last.time, district.settings.zone)
    return (one.meter, one.protocol, f"{last.value} kWh", when, say(last.quality)), last.quality


async def _footer(district: District) -> list[str]:
    numbers = await district.numbers()
    rate = percent(numbers.collected, numbers.expected) or "–"
    return [
        say(
            "collected {collected} of {expected} ({rate} %); verified {verified}, suspect {suspect}",
            collected=numbers.collected,
            expected=numbers.expected,
            rate=rate,
            verified=numbers.qualities["verified"],
            suspect=numbers.qualities["suspect"],
        ),
        say("handed over: {deliveries}, {rows}", deliveries=_deliveries(numbers), rows=_rows(numbers)),
    ]


def _deliveries(numbers: Numbers) -> str:
    return say_n("{n} delivery", "{n} deliveries", len(numbers.deliveries))


def _rows(numbers: Numbers) -> str:
    return say_n("{n} reading", "{n} readings", numbers.delivered)


def _summary(numbers: Numbers) -> None:
    """The night in lines that a person reads and a script can grep."""
    missing, rules = _listed(numbers.missing), _listed(numbers.rules)
    difference = say(
        "{difference} kWh between what was delivered and the true register, {compared} values of {healthy} healthy meters",
        difference=f"{numbers.difference.quantize(SHOWN):f}",
        compared=numbers.compared,
        healthy=numbers.healthy,
    )
    show_pairs(
        (
            (say("expected"), f"{numbers.expected}"),
            (say("collected"), f"{numbers.collected}"),
            (say("missing"), f"{numbers.expected - numbers.collected}{missing}"),
            (say("suspect"), f"{numbers.qualities['suspect']}{rules}"),
            (say("verified"), f"{numbers.qualities['verified']}"),
            (say("delivered"), f"{_rows(numbers)}, {_deliveries(numbers)}"),
            (say("difference"), difference),
        )
    )
    for delivery in numbers.deliveries:
        click.echo(f"{delivery.data_file}  sha256 {delivery.sha256}")


def _listed(counts: Mapping[str, int]) -> str:
    return f"  ({', '.join(f'{name} {count}' for name, count in sorted(counts.items()))})" if counts else ""
