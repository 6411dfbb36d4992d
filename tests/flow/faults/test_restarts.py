"""F01, F02, F04: polling meters and killed: at exact steps, at any moment, and again while it starts.

(The same for meters that push: tests/flow/test_kill_nine.py; for the ledger alone: tests/ledger/test_kill.py; for deliveries at
every step: tests/rooms/test_billing_deliver.py.)
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from collector.clock import DrivenClock, SystemClock
from collector.jobs.report import Reporter
from simulators.fleet import Fleet, load_scenario
from storage.engine import open_ledger
from storage.ledger.port import Ledger
from storage.values import MILLION
from tests.flow.commands import start
from tests.flow.faults.conftest import Tell
from tests.flow.faults.dying import DIED
from tests.flow.faults.oracle import Shown
from tests.flow.faults.street import PROFILES, SEED, SHANGHAI

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("CHAOBIAO_KILLS", "16"))
"""The fault matrix has 200."""
PROGRAM = "from tests.flow.faults.dying import main; main()"
ROOT = Path(__file__).parents[3]
PLAN = '\n[[plan]]\nname = "often"\nread = ["1-0:1.8.0"]\nevery = "1s"\n'


class Installation:
    """Simulated meters that live on, and a collector that does not."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        config, registry = fleet.write_config(folder)
        rows = registry.read_text("utf-8").splitlines()
        registry.write_text("\n".join(row for row in rows if "json_meter" not in row) + "\n", "utf-8")
        text = config.read_text("utf-8")
        config.write_text(text.split("[[plan]]")[0].split("[billing]")[0] + PLAN, "utf-8")
        self.config, self.folder, self.fleet = config, folder, fleet
        self.receipts: set[tuple[str, str, str]] = set()

    def prepare(self, step: str = "never", n: int = 0) -> subprocess.Popen[str]:
        """Loaded, and waiting for its line."""
        return start(self.config, step, n, code=PROGRAM, cwd=ROOT)

    def ended(self, process: subprocess.Popen[str]) -> int:
        """Take in what it was given receipts for; how it ended."""
        out, err = process.communicate(timeout=30)
        for line in out.splitlines():
            self._take(line)
        assert "Traceback" not in err, err
        return process.returncode

    def receipted(self, process: subprocess.Popen[str]) -> None:
        """Return once it was given a receipt: it has started, and it collects."""
        assert process.stdout
        for line in process.stdout:
            if self._take(line):
                return
        raise AssertionError(f"it ended with {process.wait(10)} before it had collected anything")

    def _take(self, line: str) -> bool:
        words = line.split()
        if len(words) != 4 or words[0] != "receipt":  # the last line may be cut
            return False
        self.receipts.add((words[1], words[2], words[3]))
        return True


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


async def live(place: Installation, process: subprocess.Popen[str], seconds: float, number: int) -> int:
    """Let it begin, and send it a signal after so long."""
    go(process)
    await asyncio.sleep(seconds)  # the moment is what is being tried
    process.send_signal(number)
    return await asyncio.to_thread(place.ended, process)


async def live_well(place: Installation, process: subprocess.Popen[str]) -> int:
    """Let it collect something, and end it."""
    go(process)
    async with asyncio.timeout(30):
        await asyncio.to_thread(place.receipted, process)
    process.send_signal(signal.SIGTERM)
    return await asyncio.to_thread(place.ended, process)


async def judged(place: Installation) -> str:
    """I1 to I4 over what is there: nothing receipted is lost, nothing false, every slot collected or missing."""
    ledger = await open_ledger(f"sqlite:///{place.folder / 'chaobiao.db'}", create=False)
    try:
        return await _judged(place, ledger)
    finally:
        await ledger.close()


async def _judged(place: Installation, ledger: Ledger) -> str:
    where = f"seed {SEED}: "
    stored = [one.reading async for one in ledger.readings()]
    keys = [(one.meter, one.quantity, one.time.isoformat()) for one in stored]
    lost = place.receipts - set(keys)
    assert not lost, f"{where}I1: {len(lost)} receipted readings are not there"
    assert len(keys) == len(set(keys)), f"{where}I2"
    shown, second = Shown(place.fleet.truth), timedelta(seconds=3)
    for one in stored:
        assert Decimal(one.value) / MILLION in shown.between(one, one.time - second, one.time), f"{where}I3: {one}"
    clock = DrivenClock(SystemClock().now() + timedelta(seconds=2))
    reporter = Reporter(ledger, clock, SHANGHAI, PROFILES, {"workshop": "modbus-tcp", "village": "dlt645"})
    day = reporter.today()
    success = await reporter.success(day - timedelta(days=1), day, by="day")
    missing = [one for one in await reporter.missing(day - timedelta(days=1), day) if one.slot.plan]
    expected, collected = sum(one.expected for one in success), sum(one.final for one in success)
    assert expected == collected + len(missing), f"{where}I4: {expected} = {collected} + {len(missing)}?"
    return f"{len(place.receipts)} receipted, {len(stored)} there, {expected} = {collected} + {len(missing)} slots"


@pytest.fixture
async def place(tmp_path: Path) -> Installation:  # type: ignore[misc]
    scenario, now = load_scenario("one-of-each", PROFILES), SystemClock().now
    async with Fleet(scenario, now=now, profiles=PROFILES, start=now()) as fleet:
        yield Installation(fleet, tmp_path)


async def test_killed_between_two_steps(place: Installation, tell: Tell) -> None:
    """F02: before a commit and after one, at the first batch and later ones."""
    steps = [(step, n) for n in (0, 1, 4) for step in ("before commit", "after commit")]
    for process in [place.prepare(step, n) for step, n in steps]:
        go(process)
        assert await asyncio.to_thread(place.ended, process) == DIED
    assert await live_well(place, place.prepare()) == 0
    assert place.receipts
    tell("F02", f"{len(steps)} deaths at a step: {await judged(place)}")


async def test_killed_at_any_moment_and_again_while_it_starts(place: Installation, tell: Tell) -> None:
    """F01, F04: the first kills fall into its start, where the registry is imported and the planner restored."""
    dice, kills = random.Random(SEED), KILLS
    process = place.prepare()
    for n in range(kills):
        following = place.prepare()  # loads meanwhile
        seconds = dice.uniform(0.0, 0.3) if n % 2 else dice.uniform(0.5, 2.0)
        assert await live(place, process, seconds, signal.SIGKILL) == -signal.SIGKILL
        process = following
    assert await live_well(place, process) == 0
    assert place.receipts
    tell("F01", f"{kills} kills: {await judged(place)}")


async def test_a_receipt_before_the_commit_loses_readings(place: Installation) -> None:
    """Without the order "commit, then receipt" the same test fails."""
    process = place.prepare("forgetful")
    go(process)
    async with asyncio.timeout(30):
        await asyncio.to_thread(place.receipted, process)
    await asyncio.sleep(1.5)  # it owes four batches by then
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(place.ended, process)
    with pytest.raises(AssertionError, match="I1: "):
        await judged(place)


async def test_stopped_and_continued(place: Installation, tell: Tell) -> None:
    """F05 with real signals: SIGSTOP in the middle of polling, SIGCONT three seconds later, twice."""
    process = place.prepare()
    go(process)
    async with asyncio.timeout(30):
        await asyncio.to_thread(place.receipted, process)
    for _ in range(2):
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(3)
        process.send_signal(signal.SIGCONT)
        await asyncio.sleep(1.2)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(place.ended, process) == 0
    assert place.receipts
    tell("F05", f"twice SIGSTOP for 3 s: {await judged(place)}")
