"""What only a database on disk can show: other processes, cancelled tasks, a full disk, readers beside a writer."""

import asyncio
import errno
import os
import resource
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, closing, contextmanager
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.columns import to_microseconds
from storage.engine import open_ledger
from storage.errors import DatabaseBusy, DatabaseUnusable, VerdictRefused
from storage.ledger.sessions import KEPT, Sessions
from storage.ledger.sql import SqlLedger
from storage.records import Attempt, Batch, Judged, Owner, Quality, RawFrame, Receipt
from tests.ledger.ledgers import DAY, at, missing, read, reading, row, slot, standing, template, verdict, verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    copy(template(), tmp_path / "ledger.db")
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[SqlLedger]:
    opened = SqlLedger(Sessions(str(path), busy_s=0.05))
    yield opened
    await opened.close()


def sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        whole = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return whole and not connection.execute("PRAGMA foreign_key_check").fetchall()


async def test_every_connection_is_set_to_lose_nothing(ledger: SqlLedger) -> None:
    async with ledger._sessions.reading() as connection:
        for pragma, value in (("synchronous", 2), ("foreign_keys", 1), ("journal_mode", "wal")):
            assert (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar() == value


async def test_attempts_and_frames_are_kept_byte_by_byte(ledger: SqlLedger, path: Path) -> None:
    tried = Attempt("m1", "village-1", "hourly", at(1), 1_500, "no_answer", Owner.LINE, "nothing", b"\x68\x00", b"", 7)
    good = Attempt("m1", "village-1", "", at(2), 2**40, "ok", received=b"\xff")
    await ledger.append(Batch(attempts=(tried, good), frames=(RawFrame(at(1), "topic", "", "mqtt-json", b"{\x00}"),)))
    with closing(sqlite3.connect(path)) as connection:
        attempts = connection.execute(
            "SELECT meter, attempt.channel, name, started_at, duration_us, outcome, owner, detail, sent, received, drained"
            " FROM attempt JOIN meter ON meter.id = meter_id JOIN plan ON plan.id = plan_id ORDER BY attempt.id"
        ).fetchall()
        frames = connection.execute(
            "SELECT received_at, origin, meter, protocol, data FROM raw_frame JOIN meter ON meter.id = meter_id"
        )
        assert frames.fetchall() == [(to_microseconds(at(1)), "topic", "", "mqtt-json", b"{\x00}")]
    assert attempts == [
        ("m1", "village-1", "hourly", to_microseconds(at(1)), 1_500, "no_answer", 4, "nothing", b"\x68\x00", b"", 7),
        ("m1", "village-1", "", to_microseconds(at(2)), 2**40, "ok", None, "", b"", b"\xff", 0),
    ]


async def test_another_process_that_holds_it_for_too_long(ledger: SqlLedger, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy, match=r"ledger\.db: another process has held the database for too long"):
            await read(ledger, reading(1, 1))
        assert await standing(ledger) == []  # readers are not held up
        other.execute("ROLLBACK")
    await read(ledger, reading(1, 1))
    assert len(await standing(ledger)) == 1


async def test_another_process_that_lets_go_in_time(path: Path) -> None:
    ledger = await open_ledger(f"sqlite:///{path}", create=False)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO quantity (code) VALUES ('x')")
        storing = asyncio.create_task(read(ledger, reading(1, 1)))
        done, _ = await asyncio.wait([storing], timeout=0.2)
        assert not done
        other.execute("COMMIT")
        await storing
    assert len(await standing(ledger)) == 1
    await ledger.close()


async def test_who_writes_holds_it_from_the_first_look_on(ledger: SqlLedger, path: Path) -> None:
    """What a writer decides by what it has looked up can't be overtaken by another process."""

    async def look(connection: AsyncConnection) -> None:
        await connection.execute(select(tables.reading))
        with (
            closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="database is locked"),
        ):
            other.execute("INSERT INTO quantity (code) VALUES ('x')")

    await ledger._sessions.write(look)


async def test_two_ledgers_on_one_file(ledger: SqlLedger, path: Path) -> None:
    """The daemon appends while `validate` judges and `meters import` imports, each with its own memory of names."""
    other = SqlLedger(Sessions(str(path)))
    await other.import_registry([row("m1"), row("m2")], digest="", at=at(0))

    async def collect() -> None:
        for hour in range(20):
            await read(
                ledger, reading(hour, hour, fills=slot(hour)), reading(hour, hour, "m2", quantity=f"1-0:{hour}.8.0")
            )

    async def judge() -> None:
        for _ in range(20):
            await verify(other)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(collect())
        tasks.create_task(judge())
    await verify(other)
    assert [one.quality for one in await standing(ledger)] == [Quality.VERIFIED] * 40
    assert await standing(ledger) == await standing(other)
    await other.close()
    assert sound(path)


async def test_appends_at_once_wait_for_each_other(ledger: SqlLedger) -> None:
    batches = [Batch(readings=(reading(hour % 10, hour % 10, fills=slot(hour % 10)),)) for hour in range(40)]
    receipts = await asyncio.gather(*(ledger.append(batch) for batch in batches))
    assert sum(receipt.stored for receipt in receipts) == 10
    assert sum(receipt.duplicates for receipt in receipts) == 30


async def test_a_reader_sees_one_instant(ledger: SqlLedger) -> None:
    await read(ledger, *(reading(hour, 1, meter) for meter in ("m1", "m3") for hour in range(3)))
    before = await standing(ledger)
    async with aclosing(await started(ledger)) as found:
        first = await anext(found)
        await read(ledger, reading(9, 1), reading(0, 1, "m2"))
        assert [first, *[one async for one in found]] == before
    assert len(await standing(ledger)) == len(before) + 2


async def started(ledger: SqlLedger) -> AsyncGenerator[Judged]:
    found = ledger.readings()
    assert isinstance(found, AsyncGenerator)
    return found


async def test_leaving_a_reading_early_leaves_nothing_behind(ledger: SqlLedger, path: Path) -> None:
    await read(ledger, *(reading(hour, 1, meter) for meter in ("m1", "m2") for hour in range(5)))
    for _ in range(30):  # more than there are connections
        async with aclosing(await started(ledger)) as found:
            await anext(found)
    await read(ledger, reading(9, 1))
    await ledger.close()
    assert not path.with_name("ledger.db-wal").exists()


async def test_more_readings_than_one_chunk(ledger: SqlLedger) -> None:
    for meter in ("m1", "m2"):
        await read(ledger, *(reading(hour, hour, meter) for hour in range(2500)))
    assert [one.value for one in await standing(ledger)] == [hour * 1_000_000 for hour in range(2500)] * 2


async def test_a_cancelled_append_is_whole_or_not_there(ledger: SqlLedger, path: Path) -> None:
    """Cancelled at any step; who comes next does not even have to wait."""
    cancelled = 0
    for steps in range(100):
        meter = f"m{steps}"
        batch = Batch(
            readings=tuple(reading(hour, 1, meter, fills=slot(hour, meter)) for hour in range(3)),
            missing=(missing(slot(7, meter)),),
        )
        task = asyncio.create_task(ledger.append(batch))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        cancelled += task.cancelled()
        found = len(await standing(ledger, meters=[meter]))
        assert found in (0, 3)
        assert await ledger.append(batch) == Receipt(3 - found, found, 0, 3 - found)
    assert cancelled > 20
    days = await ledger.day_counts(DAY, DAY)
    assert [(one.reason, one.slots) for one in days] == [("", 300), ("no_answer", 100)]
    await ledger.close()
    assert sound(path)


async def test_cancelled_while_another_process_holds_it(path: Path) -> None:
    ledger = SqlLedger(Sessions(str(path), busy_s=0.3))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        storing, queued = (asyncio.create_task(read(ledger, reading(hour, 1))) for hour in (1, 2))
        await asyncio.wait([storing], timeout=0.1)
        for task in (storing, queued, storing):
            task.cancel()
        async with asyncio.timeout(0.7):  # not the three times that it would have waited
            await asyncio.wait([storing, queued])
        assert storing.cancelled()
        assert queued.cancelled()
        other.execute("COMMIT")
    assert await standing(ledger) == []
    await ledger.close()


def nearly_full(connection: Any, _record: object) -> None:
    connection.cursor().execute("PRAGMA max_page_count = 120")


async def append_until_full(ledger: SqlLedger, receipts: list[Receipt]) -> None:
    while True:
        hour = len(receipts)
        batch = Batch(readings=tuple(reading(hour, hour, f"m{meter}") for meter in range(100)))
        receipts.append(await ledger.append(batch))


async def test_a_full_disk_loses_nothing_that_had_a_receipt(path: Path) -> None:
    sessions = Sessions(str(path))
    event.listen(sessions._engine.sync_engine, "connect", nearly_full)
    ledger, receipts = SqlLedger(sessions), list[Receipt]()
    with pytest.raises(DatabaseUnusable, match=r"ledger\.db: database or disk is full"):
        await append_until_full(ledger, receipts)
    assert len(await standing(ledger)) == sum(receipt.stored for receipt in receipts) > 0
    await ledger.close()
    assert sound(path)


def damage(path: Path) -> None:
    """All but the first page is noise."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\x55" * (len(content) - 4096))


async def test_a_damaged_file_is_said(path: Path) -> None:
    ledger = SqlLedger(Sessions(str(path)))
    damage(path)
    with pytest.raises(DatabaseUnusable, match=r"ledger\.db: database disk image is malformed"):
        await read(ledger, reading(1, 1))
    await ledger.close()


async def test_what_was_refused_leaves_no_name_behind(ledger: SqlLedger) -> None:
    """A name that was rolled back is written down anew the next time."""
    with pytest.raises(VerdictRefused, match="was never read"):
        await ledger.judge([verdict(1, meter="new")])
    await read(ledger, reading(1, 1, "new"))
    assert [one.reading.meter for one in await standing(ledger)] == ["new"]


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Whatever needs another one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(int(one.name) for one in Path("/proc/self/fd").iterdir()) + 1
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        try:
            while len(taken) < most:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            assert error.errno == errno.EMFILE  # noqa: PT017 - what it is for
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def read_at_once(sessions: Sessions, many: int) -> None:
    """So many transactions that are open together."""
    async with AsyncExitStack() as stack:
        for _ in range(many):
            connection = await stack.enter_async_context(sessions.reading())
            await connection.execute(select(tables.meter.c.id))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_files_that_are_held_are_there_when_none_is_left(path: Path) -> None:
    for held in (True, False):
        sessions = Sessions(str(path))
        try:
            await read_at_once(sessions, 1)
            if held:
                await sessions.hold()
            with no_descriptor_left():
                if held:
                    await read_at_once(sessions, KEPT)
                else:
                    with pytest.raises(DatabaseUnusable):
                        await read_at_once(sessions, KEPT)
        finally:
            await sessions.close()
