"""`kill -9` of the receiving collector, again and again, while meters push: nothing lost, nothing twice (promise 8).

The same with automatic acknowledgement loses readings: were it not so, this test would prove nothing.
"""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from storage.engine import open_ledger
from storage.registry import Installation, Meter, Point, Registered
from tests.flow.publishing import METERS, START
from tests.links.broker import SOUND, Mosquitto, needs_mosquitto

pytestmark = [needs_mosquitto, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
KILLS = 50
SEED = 20260315


@contextmanager
def running(module: str, argument: str) -> Iterator[subprocess.Popen[str]]:
    """A program of ours; killed at the latest at the end."""
    command = [sys.executable, "-m", f"tests.flow.{module}", argument]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert process.stdout
    line = process.stdout.readline().strip()
    assert line, f"ended with {process.wait(10)} and said nothing"
    return line


def tell(process: subprocess.Popen[str]) -> str:
    """Send a line, get one."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()
    return said(process)


async def new_database(folder: Path) -> Path:
    """With the meters in its registry."""
    path = folder / "ledger.db"
    ledger = await open_ledger(f"sqlite:///{path}", create=True)
    meters = [(f"m{n}", str(n)) for n in range(METERS)]
    rows = [
        Registered(Meter(name, "json_meter", "broker", address), Point(name), Installation(name, name, START))
        for name, address in meters
    ]
    await ledger.import_registry(rows, digest="", at=START)
    await ledger.close()
    return path


def stored(database: Path) -> list[tuple[str, int]]:
    """Meter and number of every reading that is kept, with the eyes of SQLite and not our own."""
    query = "SELECT meter.meter, reading.value FROM reading JOIN meter ON meter.id = reading.meter_id"
    with closing(sqlite3.connect(database)) as connection:
        return [(meter, value // 1_000_000) for meter, value in connection.execute(query)]


def messages(database: Path) -> int:
    """How many messages were committed, those that came again too."""
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM raw_frame").fetchone()[0])


def kill_again_and_again(database: Path, broker: Mosquitto, *, kills: int, manual_ack: bool) -> int:
    """How many readings the broker had acknowledged to the meters, the last of them after the last kill."""
    dice = random.Random(SEED)
    given = json.dumps({"port": broker.port, "database": f"sqlite:///{database}", "manual_ack": manual_ack})
    with ExitStack() as programs:
        collector = programs.enter_context(running("receiving", given))
        tell(collector)  # the session must be there before the first reading
        meters = programs.enter_context(running("publishing", str(broker.port)))
        for _ in range(kills):
            following = programs.enter_context(running("receiving", given))  # loads while this one works
            time.sleep(dice.uniform(0.1, 0.6))  # the moment is what is being tried
            collector.kill()
            assert collector.wait(10) == -signal.SIGKILL
            collector = following
            tell(collector)
        tell(meters)
        published = int(tell(meters))  # the last comes after all that is still to come
        deadline = time.monotonic() + 30
        while (f"m{(published - 1) % METERS}", published - 1) not in stored(database):
            assert time.monotonic() < deadline, "the last reading did not come"
            time.sleep(0.1)
        collector.send_signal(signal.SIGTERM)
        assert collector.wait(10) == 0
    return published


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    mosquitto = Mosquitto(folder, *SOUND)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


async def test_nothing_lost_and_nothing_twice(tmp_path: Path, broker: Mosquitto) -> None:
    database = await new_database(tmp_path)
    published = kill_again_and_again(database, broker, kills=KILLS, manual_ack=True)
    assert published > 20 * KILLS, "hardly any load"
    assert sorted(number for _, number in stored(database)) == list(range(published))
    assert all(meter == f"m{number % METERS}" for meter, number in stored(database))
    assert messages(database) > published, "no kill fell between a commit and its acknowledgement"


async def test_automatic_acknowledgement_loses_readings(tmp_path: Path, broker: Mosquitto) -> None:
    database = await new_database(tmp_path)
    published = kill_again_and_again(database, broker, kills=8, manual_ack=False)
    lost = set(range(published)) - {number for _, number in stored(database)}
    assert len(lost) > 0
