"""`kill -9` of the daemon, again and again, while meters push: nothing lost, nothing twice (promise 8).

The same with automatic acknowledgement loses readings: were it not so, this test would prove nothing. Here the moment of a kill
is drawn; those between two steps have a test of their own, test_commit_and_acknowledgement.py.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.flow.killing import DAEMON, METERS_THAT_PUSH, configured, expected, running, stored, tell
from tests.links.broker import SOUND, Mosquitto, needs_mosquitto

pytestmark = [needs_mosquitto, pytest.mark.slow]

KILLS = 50
SEED = 20260315

CARELESS = "import sys; from tests.flow.careless import main; sys.stdin.readline(); main()"


def subscribed(process: subprocess.Popen[str]) -> None:
    """Let it begin, wait until its log says so."""
    tell(process)
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if "subscribed" in line:
            return
    raise AssertionError(f"ended with {process.wait(10)}: {said}")


def published_so_far(meters: subprocess.Popen[str]) -> int:
    tell(meters)
    assert meters.stdout
    return int(meters.stdout.readline())


def kill_again_and_again(code: str, config: Path, broker: Mosquitto, kills: int) -> int:
    """How many readings the broker had acknowledged to the meters, the last of them after the last kill."""
    dice = random.Random(SEED)
    with ExitStack() as programs:
        collector = programs.enter_context(running(code, "run", "-c", config))
        subscribed(collector)  # the session must be there before the first reading
        meters = programs.enter_context(running(METERS_THAT_PUSH, broker.port))
        for _ in range(kills):
            following = programs.enter_context(running(code, "run", "-c", config))
            time.sleep(dice.uniform(0.1, 0.6))  # the moment is what is being tried
            collector.kill()
            assert collector.wait(10) == -signal.SIGKILL
            collector = following
            subscribed(collector)
        published_so_far(meters)
        published = published_so_far(meters)  # with one more, which comes after all that is still to come
        deadline = time.monotonic() + 30
        while expected(published)[-1] not in stored(config.with_name("ledger.db")):
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


@pytest.fixture
def config(tmp_path: Path, broker: Mosquitto) -> Path:
    return configured(tmp_path, broker)


def test_nothing_lost_and_nothing_twice(config: Path, broker: Mosquitto) -> None:
    database = config.with_name("ledger.db")
    published = kill_again_and_again(DAEMON, config, broker, KILLS)
    assert stored(database) == expected(published)
    assert published > 20 * KILLS, "hardly any load"


def test_automatic_acknowledgement_loses_readings(config: Path, broker: Mosquitto) -> None:
    published = kill_again_and_again(CARELESS, config, broker, 8)
    lost = set(expected(published)) - set(stored(config.with_name("ledger.db")))
    assert len(lost) > 0
