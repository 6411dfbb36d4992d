"""The whole product on a gateway: `chaobiao run` as a process of its own, its configuration, registry and SQLite file on disk."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.acquisition.rtu_gateway import Account, Behaviour, gateway, shown
from storage.engine import open_ledger
from storage.values import MILLION

QUANTITIES = tuple(f"1-0:{measured}.8.{tariff}" for measured in (1, 2, 3, 4) for tariff in (0, 1, 2))
"""Each in a question of its own, and all answers are of one length: any could pass for any other of its unit."""
APART = 200

PROFILE = """format = 1
id = "far_apart"
protocol = "modbus"
maker = "none"
models = ["benchmark"]
phases = 3
sources = ["made up"]
[modbus]
function = 3
word_order = "ABCD"
max_registers = 125
"""
REGISTER = """[[register]]
id = "{id}"
quantity = "{quantity}"
type = "uint32"
resolution = "1"
"""


@dataclass(slots=True)
class Outcome:
    """What the ledger has afterwards, by unit; `due` are slots whose window closed within the time looked at."""

    account: Account = field(default_factory=Account)
    readings: int = 0
    wrong: int = 0
    due: Counter[int] = field(default_factory=Counter)
    filled: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)


def run(
    behaviour: Behaviour, *, units: int, quantities: int, every: str, seconds: float, timeout_s: float, settle_s: float
) -> Outcome:
    """So long on one gateway. What is due in the first `settle_s` is not looked at: connecting, learning, breakers."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder, gateway(behaviour, outcome.account) as port:
        config = _install(Path(folder), port, units, QUANTITIES[:quantities], every, timeout_s)
        command = [sys.executable, "-m", "collector", "run", "-c", str(config)]
        began = datetime.now(UTC)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
        assert process.returncode == 0, said
        look_from, look_to = began + timedelta(seconds=settle_s), began + timedelta(seconds=seconds)
        asyncio.run(_count(config.parent, outcome, look_from, look_to, quantities))
    return outcome


def _install(folder: Path, port: int, units: int, quantities: tuple[str, ...], every: str, timeout_s: float) -> Path:
    (folder / "profiles.d").mkdir()
    registers = "".join(REGISTER.format(id=n * APART, quantity=one) for n, one in enumerate(QUANTITIES))
    (folder / "profiles.d" / "far_apart.toml").write_text(PROFILE + registers, "utf-8")
    rows = "".join(f"M{unit},far_apart,gateway,{unit}\n" for unit in range(1, units + 1))
    (folder / "meters.csv").write_text("meter,profile,channel,address\n" + rows, "utf-8")
    config = folder / "collector.toml"
    config.write_text(
        f"""[site]
profiles_d = "profiles.d"
[storage]
url = "sqlite:///chaobiao.db"
[registry]
file = "meters.csv"
[[channel]]
name = "gateway"
link = "tcp://127.0.0.1:{port}"
protocol = "modbus-rtu"
timeout = "{timeout_s * 1000:.0f}ms"
[[plan]]
name = "often"
read = [{", ".join(f'"{one}"' for one in quantities)}]
every = "{every}"
""",
        "utf-8",
    )
    return config


async def _count(folder: Path, outcome: Outcome, start: datetime, end: datetime, quantities: int) -> None:
    ledger = await open_ledger(f"sqlite:///{folder / 'chaobiao.db'}", create=False)
    try:
        place = {quantity: n * APART for n, quantity in enumerate(QUANTITIES)}
        async for one in ledger.readings():
            reading = one.reading
            outcome.readings += 1
            outcome.wrong += reading.value != shown(int(reading.meter[1:]), place[reading.quantity]) * MILLION
        for slot in await ledger.filled(start, end):
            outcome.filled[int(slot.meter[1:])] += 1
        for missing in await ledger.closed(start, end):
            outcome.due[int(missing.slot.meter[1:])] += 1
    finally:
        await ledger.close()
    outcome.due.update(outcome.filled)
