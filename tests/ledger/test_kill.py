"""kill -9 at any instant, then start: nothing that had a receipt is lost, nothing is there in part (promise 8)."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from storage.engine import open_ledger
from storage.ledger.port import Ledger
from storage.records import Batch
from tests.ledger.appender import METERS, batch
from tests.ledger.ledgers import DAY, at, deliver, slot, standing, verify

ROOT = Path(__file__).resolve().parents[2]
KILLS = 10
SEED = int(os.environ.get("CHAOBIAO_SEED", "20260314"))


def run_and_kill(path: Path, first: int, after_s: float) -> dict[str, int]:
    """The last number of each receipt that a process gave before it was killed, some time after its first one."""
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("appender.py")), str(path), str(first)]
    receipts: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not receipts:
                threading.Timer(after_s, os.kill, (process.pid, signal.SIGKILL)).start()
            what, number = line.split()
            receipts[what] = int(number)
    assert process.returncode == -signal.SIGKILL
    return receipts


async def check(ledger: Ledger, path: Path, receipts: dict[str, int]) -> int:
    """What must hold after a kill; the number of batches that are there."""
    found = await standing(ledger)
    there = [
        max((int(one.value // 1_000_000) for one in found if one.reading.meter == meter), default=0) for meter in METERS
    ]
    stored = there[0]
    assert stored in (receipts["stored"], receipts["stored"] + 1)  # killed between the commit and its receipt
    assert there == [stored] * (len(METERS) - 1) + [stored - 1]  # a batch is whole
    assert len(found) == stored * len(METERS)
    assert [one.slot for one in await ledger.closed(at(-1), at(10**6))] == [slot(stored, METERS[-1])]
    (missing, collected) = sorted(await ledger.day_counts(DAY, DAY), key=lambda one: one.slots)
    assert (missing.reason, missing.slots) == ("no_answer", 1)
    assert (collected.reason, collected.slots) == ("", stored * len(METERS))
    deliveries = await ledger.deliveries()
    rows = [row for one in deliveries for row in await ledger.delivery_rows(one.batch_seq)]
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert len({(row.meter, row.time) for row in rows}) == len(rows)
    assert len(rows) >= receipts.get("promised", 0)
    assert all(one.written for one in deliveries if one.batch_seq <= receipts.get("written", 0))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    return stored


async def test_kill_at_any_instant(tmp_path: Path) -> None:
    dice, path, stored = random.Random(SEED), tmp_path / "ledger.db", 0
    receipts: dict[str, int] = {}
    for _ in range(KILLS):
        receipts |= run_and_kill(path, stored + 1, dice.uniform(0.0, 0.15))
        ledger = await open_ledger(f"sqlite:///{path}", create=False)
        stored = await check(ledger, path, receipts)
        again = await ledger.append(Batch(readings=batch(stored).readings))
        assert (again.stored, again.duplicates, again.slots_filled) == (0, len(METERS), 0)
        await ledger.close()
    assert stored > KILLS
    ledger = await open_ledger(f"sqlite:///{path}", create=False)
    await verify(ledger)
    await deliver(ledger)
    rows = [row for one in await ledger.deliveries() for row in await ledger.delivery_rows(one.batch_seq)]
    assert len(rows) == stored * len(METERS)  # each once
    await ledger.close()


def make_and_kill(path: Path, after_s: float) -> None:
    """Start making a database; kill that some time after it has begun (it may be done by then)."""
    program = "import sys; from storage.engine import upgrade; print('go', flush=True); upgrade(sys.argv[1])"
    command = [sys.executable, "-c", program, f"sqlite:///{path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.mark.parametrize("number", range(4))
async def test_killed_while_it_is_made(tmp_path: Path, number: int) -> None:
    """A database is there whole, or not at all; whatever is left of an attempt is not taken for one."""
    path = tmp_path / "ledger.db"
    make_and_kill(path, random.Random(SEED + number).uniform(0.0, 0.4))
    ledger = await open_ledger(f"sqlite:///{path}", create=True)
    assert await ledger.registry() == ()
    await ledger.close()


async def test_the_check_sees_a_lost_batch_and_a_torn_one(tmp_path: Path) -> None:
    """The oracle itself, seen red: a receipt for a batch that is not there, and half a batch."""
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(f"sqlite:///{path}", create=True)
    for number in (1, 2):
        await ledger.append(batch(number))
    assert await check(ledger, path, {"stored": 2}) == 2
    with pytest.raises(AssertionError):
        await check(ledger, path, {"stored": 3})
    await ledger.append(Batch(readings=batch(3).readings[:2]))
    with pytest.raises(AssertionError):
        await check(ledger, path, {"stored": 2})
    await ledger.close()
