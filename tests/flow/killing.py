"""A collector that is killed while meters push: its configuration, its processes, and what is in its database afterwards."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.flow.commands import start
from tests.flow.publishing import METERS
from tests.links.broker import Mosquitto

ROOT = Path(__file__).parents[2]

# It begins when its stdin has a line: a daemon loads for longer than it lives here, so it does that beforehand.
DAEMON = "import sys, collector.cli.run; from collector.cli.main import main; sys.stdin.readline(); main()"

CONFIGURATION = """\
[storage]
url = "sqlite:///ledger.db"
[registry]
file = "meters.csv"
[[channel]]
name = "broker"
link = "mqtt://127.0.0.1:{port}"
protocol = "mqtt-json"
topics = ["meters/+/reading"]
"""
"""One channel, by which meters push; plans are the caller's."""
QUARTER = """\
[[plan]]
name = "quarter"
read = ["1-0:1.8.0"]
every = "15m"
"""
METERS_THAT_PUSH = (
    "import asyncio, sys; from tests.flow.publishing import publish; asyncio.run(publish(int(sys.argv[1])))"
)


def configured(folder: Path, broker: Mosquitto) -> Path:
    """The path of a configuration, with the registry beside it."""
    path = folder / "collector.toml"
    path.write_text(CONFIGURATION.format(port=broker.port) + QUARTER, "utf-8")
    path.with_name("meters.csv").write_text("\n".join(registry()) + "\n", "utf-8")
    return path


def registry() -> list[str]:
    """The lines of a registry with all meters that push."""
    return ["meter,profile,channel,address", *(f"m{n},json_meter,broker,{n}" for n in range(METERS))]


@contextmanager
def running(code: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """A program of ours; killed at the latest at the end."""
    with start(*args, code=code, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def tell(process: subprocess.Popen[str]) -> None:
    """Its stdin has a line."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def asked(database: Path, query: str) -> list[tuple[object, ...]]:
    """With the eyes of SQLite, not our own."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def stored(database: Path) -> list[tuple[object, ...]]:
    """Meter and number of every reading that is kept, in the order of numbers."""
    return asked(
        database,
        "SELECT meter.meter, reading.value / 1000000 FROM reading JOIN meter ON meter.id = reading.meter_id ORDER BY 2",
    )


def expected(published: int) -> list[tuple[object, ...]]:
    """What `stored` gives when each of so many readings is there once."""
    return [(f"m{n % METERS}", n) for n in range(published)]
