"""F03: SIGTERM at many moments of work: polling two meters and taking in what twenty push, at once.

Each time the process ends with 0 within ten seconds; what it has committed it has acknowledged, and nothing that it gave a
receipt for is lost. (In the middle of a question, twice, with the database held: tests/flow/test_daemon_process.py.)
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from collector.clock import SystemClock
from simulators.fleet import Fleet, load_scenario
from storage.engine import open_ledger
from storage.records import Reading, Source
from storage.values import MILLION
from tests.flow.daemons import PATIENT_S
from tests.flow.faults.conftest import Tell
from tests.flow.faults.oracle import Shown
from tests.flow.faults.street import PROFILES, SEED
from tests.flow.killing import CONFIGURATION, METERS_THAT_PUSH, registry, running
from tests.flow.killing import tell as begin
from tests.links.broker import SOUND, TALKATIVE, Mosquitto, needs_mosquitto

pytestmark = [needs_mosquitto, pytest.mark.slow]

MOMENTS = int(os.environ.get("CHAOBIAO_KILLS", "8"))
"""The fault matrix has 50."""
PROGRAM = "from tests.flow.faults.dying import main; main()"
ACKNOWLEDGED = "Received PUBACK from chaobiao-broker"
GONE = "Client chaobiao-broker "
PLANS = """\
[[plan]]
name = "often"
read = ["1-0:1.8.0"]
every = "1s"
channels = ["workshop", "village"]
[[plan]]
name = "pushed"
read = ["1-0:1.8.0"]
every = "15m"
channels = ["broker"]
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    mosquitto = Mosquitto(folder, *SOUND, *TALKATIVE)
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture
async def fleet(broker: Mosquitto) -> AsyncIterator[Fleet]:
    scenario, now = load_scenario("one-of-each", PROFILES), SystemClock().now
    url = f"mqtt://127.0.0.1:{broker.port}"
    async with Fleet(scenario, now=now, profiles=PROFILES, start=now(), broker=url) as one:
        yield one


class Place:
    """Meters that live on, and collectors that are told to end."""

    def __init__(self, folder: Path, fleet: Fleet, broker: Mosquitto) -> None:
        self.config, self.broker = folder / "collector.toml", broker
        rows = registry()
        text = CONFIGURATION.format(port=broker.port) + PLANS
        for member in fleet.members:
            if member.line.protocol == "mqtt-json":
                continue
            (found,) = (one for one in fleet.listening if one.meter == member.name)
            text += f'[[channel]]\nname = "{found.line}"\nlink = "{found.url}"\nprotocol = "{found.protocol}"\n'
            rows.append(f"{found.meter},{member.entry.profile},{found.line},{found.address}")
        self.config.write_text(text, "utf-8")
        (folder / "meters.csv").write_text("\n".join(rows) + "\n", "utf-8")
        self.receipts: set[tuple[str, str, str]] = set()
        self.longest_s = 0.0

    async def works(self, process: subprocess.Popen[str]) -> None:
        """Return once it polls and takes in what is pushed."""

        def wait() -> None:
            assert process.stdout
            kinds = set()
            for line in process.stdout:
                kinds.add(self._take(line).startswith("m"))
                if len(kinds) == 2:
                    return
            raise AssertionError(f"it ended with {process.wait(10)} before it worked")

        async with asyncio.timeout(60):
            await asyncio.to_thread(wait)

    async def end(self, process: subprocess.Popen[str]) -> None:
        """SIGTERM, now."""
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.stdout
        assert process.stderr
        async with asyncio.timeout(60):  # not `communicate`: it does not see what a read of lines has in its buffer
            out = await asyncio.to_thread(process.stdout.read)
            err = await asyncio.to_thread(process.stderr.read)
            await asyncio.to_thread(process.wait)
        self.longest_s = max(self.longest_s, time.monotonic() - begun)
        for line in out.splitlines():
            self._take(line)
        assert process.returncode == 0, err
        assert "Traceback" not in err, err

    def _take(self, line: str) -> str:
        word, *key = line.split()
        assert word == "receipt"  # whole lines: nobody is killed
        meter, quantity, at = key
        self.receipts.add((meter, quantity, at))
        return meter

    async def stored(self) -> list[Reading]:
        ledger = await open_ledger(f"sqlite:///{self.config.parent / 'ledger.db'}", create=False)
        try:
            return [one.reading async for one in ledger.readings()]
        finally:
            await ledger.close()


def judge(place: Place, stored: list[Reading]) -> None:
    """I1, I2."""
    keys = [(one.meter, one.quantity, one.time.isoformat()) for one in stored]
    lost = place.receipts - set(keys)
    assert not lost, f"seed {SEED}: I1: {len(lost)} receipted readings are not there"
    assert len(keys) == len(set(keys)), f"seed {SEED}: I2"


async def test_told_to_end_in_the_middle_of_work(tmp_path: Path, fleet: Fleet, broker: Mosquitto, tell: Tell) -> None:
    dice, place = random.Random(SEED), Place(tmp_path, fleet, broker)
    with ExitStack() as programs:
        following = programs.enter_context(running(PROGRAM, place.config, "never", 0))
        meters: subprocess.Popen[str] | None = None
        for n in range(MOMENTS):
            collector, following = following, programs.enter_context(running(PROGRAM, place.config, "never", 0))
            begin(collector)
            if meters is None:
                await broker.logs("Sending SUBACK to chaobiao-broker")  # it is known before the first reading
                meters = programs.enter_context(running(METERS_THAT_PUSH, broker.port))
            await place.works(collector)
            await asyncio.sleep(dice.uniform(0.0, 0.6))  # the moment is what is being tried
            await place.end(collector)
            await broker.logs(GONE, n + 1)
            pushed = sum(one.source is Source.PUSH for one in await place.stored())
            assert len(broker.logged(ACKNOWLEDGED)) == pushed, "committed and acknowledged are not the same"
        assert meters
        assert meters.stdout
        begin(meters)  # enough
        published = int(await asyncio.to_thread(meters.stdout.readline))
        begin(following)
        await broker.logs(ACKNOWLEDGED, published)
        await place.end(following)
    stored = await place.stored()
    judge(place, stored)
    numbers = sorted(one.value // MILLION for one in stored if one.source is Source.PUSH)
    assert numbers == list(range(published)), "of what was pushed each is there once"
    shown, polled, second = (
        Shown(fleet.truth),
        [one for one in stored if one.source is Source.POLL],
        timedelta(seconds=3),
    )
    for one in polled:
        assert Decimal(one.value) / MILLION in shown.between(one, one.time - second, one.time), f"I3: {one}"
    assert place.longest_s < PATIENT_S
    told = f"{MOMENTS} moments: ended with 0 in {place.longest_s:.1f} s at most"
    tell("F03", f"{told}; {len(polled)} polled and {published} pushed values, each there once and acknowledged")


async def test_who_commits_later_loses_what_it_had_in_hand(tmp_path: Path, fleet: Fleet, broker: Mosquitto) -> None:
    place = Place(tmp_path, fleet, broker)
    with ExitStack() as programs:
        collector = programs.enter_context(running(PROGRAM, place.config, "forgetful", 0))
        programs.enter_context(running(METERS_THAT_PUSH, broker.port))
        begin(collector)
        await place.works(collector)
        await place.end(collector)
    with pytest.raises(AssertionError, match="I1: "):
        judge(place, await place.stored())
