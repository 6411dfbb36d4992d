"""F08: a collector that may not open as many connections as it has channels: what is open goes on, the rest is ours and waits."""

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from collector.clock import SystemClock
from simulators.fleet import Fleet, Scenario, load_scenario
from tests.flow.commands import start
from tests.flow.daemons import missing
from tests.flow.faults.conftest import Tell
from tests.flow.faults.street import PROFILES
from tests.flow.killing import asked

pytestmark = pytest.mark.slow

CHANNELS, FILES, ENOUGH = 24, 32, 1024
"""The daemon itself needs some twenty, those of its ledger among them: a few are left for channels."""
PROMISED_S = 30.0
PROGRAM = (
    f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {ENOUGH}));"
    " from collector.cli.main import main; main()"
)
BLIND = (
    "import collector.acquisition.tcp_link as link; link.is_short = lambda _: False; link.none_left = lambda: False; "
    + PROGRAM
)
"""Built without the protection: a connection that could not be made is the network's affair, whatever the cause."""
PLAN = '\n[[plan]]\nname = "often"\nread = ["1-0:1.8.0"]\nevery = "1s"\n'


def gateways(many: int) -> Scenario:
    """So many Modbus TCP gateways with one meter each."""
    one = load_scenario("one-of-each", PROFILES)
    line, meter = one.line[0], one.meter[0]
    return one.model_copy(
        update={
            "line": tuple(line.model_copy(update={"name": f"g{n}"}) for n in range(many)),
            "meter": tuple(meter.model_copy(update={"meter": f"m{n}", "line": f"g{n}"}) for n in range(many)),
        }
    )


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    now = SystemClock().now
    async with Fleet(gateways(CHANNELS), now=now, profiles=PROFILES, start=now()) as fleet:
        path, _ = fleet.write_config(tmp_path)
        path.write_text(path.read_text("utf-8").split("[[plan]]")[0].split("[billing]")[0] + PLAN, "utf-8")
        yield path


class Collector:
    """The daemon as a process, with few files."""

    def __init__(self, config: Path, code: str) -> None:
        self.database = config.parent / "chaobiao.db"
        self._log = config.parent / "log"
        with self._log.open("w", encoding="utf-8") as err:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": err}
            self.process: subprocess.Popen[str] = start("run", "-c", config, code=code, **pipes)

    def said(self, words: str) -> int:
        """How many lines of the log have these words."""
        return sum(words in line for line in self.log().splitlines())

    def log(self) -> str:
        return self._log.read_text("utf-8")

    async def until(self, there: Callable[[], bool]) -> None:
        """Wait for a state. The machine may be slow."""
        async with asyncio.timeout(60):
            while not there():
                assert self.process.poll() is None, self.log()
                await asyncio.sleep(0.1)

    def outcomes(self) -> list[tuple[str, str]]:
        """Meter and outcome of every try, in the order of tries."""
        if not self.said("collecting"):
            return []
        query = "SELECT meter.meter, outcome FROM attempt JOIN meter ON meter.id = meter_id ORDER BY attempt.id"
        return [(str(meter), str(outcome)) for meter, outcome in asked(self.database, query)]

    def failures(self) -> int:
        return sum(outcome != "ok" for _, outcome in self.outcomes())

    async def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(self.process.wait, 30) == 0, self.log()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def judge(config: Path, collector: Collector) -> None:
    """Nobody but ourselves is called the cause."""
    others = {outcome for _, outcome in collector.outcomes()} - {"ok", "too_many_files"}
    assert not others, f"called {others}"
    blamed = {(reason, owner) for _, reason, owner, _ in missing(config)} - {("not_tried", "ours"), ("not_yet", "ours")}
    assert blamed == {("too_many_files", "ours")}


async def test_fewer_files_than_channels(config: Path, tell: Tell) -> None:
    collector = Collector(config, PROGRAM)
    try:
        await collector.until(lambda: collector.failures() >= 4 * CHANNELS)
        under = collector.outcomes()
        assert collector.said(f"too many open files: this process may have {FILES} at once") == 1
        resource.prlimit(collector.process.pid, resource.RLIMIT_NOFILE, (ENOUGH, ENOUGH))
        raised, before = time.monotonic(), len(collector.outcomes())

        def all_answer() -> bool:
            return len({meter for meter, outcome in collector.outcomes()[before:] if outcome == "ok"}) == CHANNELS

        await collector.until(all_answer)
        took_s = time.monotonic() - raised
        await collector.until(lambda: collector.said("there are enough open files again") == 1)
        await collector.end()
        assert took_s <= PROMISED_S
        assert "Traceback" not in collector.log()
        assert len(collector.log().splitlines()) <= 8, "the cause is said once, not at each poll"
        judge(config, collector)
    finally:
        collector.close()
    kept = {meter for meter, outcome in under if outcome == "ok"}
    assert kept, "nothing was collected meanwhile"
    for meter in kept:  # what was open stayed open
        outcomes = [outcome for one, outcome in collector.outcomes() if one == meter]
        assert set(outcomes[outcomes.index("ok") :]) == {"ok"}
    many = sum(outcome != "ok" for _, outcome in under)
    tell("F08", f"{CHANNELS} channels, {FILES} files: {len(kept)} go on, {many} tries ours, back {took_s:.1f} s after")


async def test_without_it_the_network_is_blamed(config: Path) -> None:
    collector = Collector(config, BLIND)
    try:
        await collector.until(lambda: collector.failures() >= 4)
        await collector.end()
        with pytest.raises(AssertionError, match="unreachable"):
            judge(config, collector)
    finally:
        collector.close()
