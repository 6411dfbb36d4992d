"""Handing over: once in effect, whatever happens in between."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collector.billing.groups import ReadingDay
from collector.clock import DrivenClock
from collector.errors import WorkFailed
from collector.jobs import deliver
from collector.jobs.deliver import Deliverer
from collector.jobs.validate import validate
from collector.outlets.files import DeliveryDirectory, Step, unseen
from collector.vee.judge import Ruleset
from storage.errors import DeliveryRefused
from storage.ledger.port import Ledger
from storage.memory import MemoryLedger
from storage.records import Quality, Reading, Revision, Slot
from tests.ledger.ledgers import KINDS, new_ledger
from tests.rooms.handing_over import (
    MIDNIGHT,
    NOW,
    ToyBilling,
    files,
    freeze,
    home,
    read,
    running,
    settle,
    times,
    whole_or_not_there,
)
from tests.rooms.vee_series import village_profile

SHANGHAI = ZoneInfo("Asia/Shanghai")
PROFILES = {"village_meter": village_profile()}
CLOCK = DrivenClock(NOW)


def job(ledger: Ledger, folder: Path, *groups: ReadingDay, step: Step = unseen, most_rows: int = 100) -> Deliverer:
    directory = DeliveryDirectory(folder, step=step)
    return Deliverer(ledger, directory, CLOCK, SHANGHAI, PROFILES, groups, most_rows, step)


@pytest.fixture(params=KINDS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await new_ledger(str(request.param), tmp_path)
    yield opened
    await opened.close()


async def verify(ledger: Ledger, *readings: Reading) -> None:
    """Two meters, their readings, and a verdict on each."""
    await settle(ledger, home("m1", ct=20), home("m2"))
    await read(ledger, *readings)
    await validate(ledger, Ruleset(), CLOCK)


async def verified(*readings: Reading) -> MemoryLedger:
    """The same in a ledger of its own."""
    ledger = MemoryLedger()
    await verify(ledger, *readings)
    return ledger


async def test_verified_values_go_out_once(ledger: Ledger, tmp_path: Path) -> None:
    await verify(ledger, freeze(0, "100.25"), freeze(1, 110), freeze(2, 90), freeze(0, 7, meter="m2"))
    done = await job(ledger, tmp_path / "d").run()
    assert [(one.batch_seq, one.rows) for one in done.new] == [(1, 3)]
    billing = ToyBilling(tmp_path / "d").load()
    assert [(row["meter"], row["value"], row["multiplier"]) for row in billing.rows] == [
        ("m1", "100.25", "20"),
        ("m1", "110.00", "20"),
        ("m2", "7.00", "1"),
    ]
    assert billing.rows[0]["account"] == "account of m1"
    assert all(one.written for one in await ledger.deliveries())


async def test_handing_over_again_writes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    await verify(ledger, freeze(0, 100))
    await job(ledger, tmp_path / "d").run()
    before = files(tmp_path / "d")
    assert (await job(ledger, tmp_path / "d").run()).nothing
    assert files(tmp_path / "d") == before


async def test_raw_suspect_and_unbillable_values_stay(ledger: Ledger, tmp_path: Path) -> None:
    await verify(ledger, freeze(0, 100), freeze(1, 90), freeze(0, 5, meter="m2", billable=False))
    await read(ledger, freeze(3, 130))
    await job(ledger, tmp_path / "d").run()
    assert [row["value"] for row in ToyBilling(tmp_path / "d").load().rows] == ["100.00"]


async def test_a_delivery_is_bounded(ledger: Ledger, tmp_path: Path) -> None:
    await verify(ledger, *(freeze(day, 100 + day) for day in range(7)))
    done = await job(ledger, tmp_path / "d", most_rows=3).run()
    assert [one.rows for one in done.new] == [3, 3, 1]
    assert ToyBilling(tmp_path / "d").load().deliveries == 3


async def test_an_edit_goes_out_as_a_correction(ledger: Ledger, tmp_path: Path) -> None:
    await verify(ledger, freeze(0, 100), freeze(1, 110))
    await job(ledger, tmp_path / "d").run()
    one = freeze(1, 110)
    edited = Revision(
        "point of m1",
        "m1",
        one.quantity,
        one.basis,
        one.time,
        2,
        Quality.EDITED,
        NOW,
        111_000_000,
        maker="clerk",
        reason="misread",
    )
    await ledger.judge([edited])
    await job(ledger, tmp_path / "d").run()
    billing = ToyBilling(tmp_path / "d").load()
    last = billing.rows[-1]
    assert (last["type"], last["seq"], last["replaces"], last["old_value"], last["value"]) == (
        "CORRECTION",
        3,
        2,
        "110.00",
        "111.00",
    )
    assert (last["quality"], last["source"], last["revision"]) == ("edited", "edit", 2)


async def test_a_group_gets_its_reading_day_from_its_release_on(ledger: Ledger, tmp_path: Path) -> None:
    """MIDNIGHT is 00:00 of 15 March in Shanghai, NOW the same of 14 April; the 1st of April is day 17."""
    await settle(ledger, home("m1", group="homes"), home("m2", group="unheard of"))
    await read(ledger, *(freeze(day, 100 + day, meter=meter) for meter in ("m1", "m2") for day in (16, 17, 18)))
    await validate(ledger, Ruleset(), CLOCK)
    late = ReadingDay("homes", 1, timedelta(days=14))
    await job(ledger, tmp_path / "d", late).run()
    billing = ToyBilling(tmp_path / "d").load()
    assert {row["meter"] for row in billing.rows} == {"m2"}
    await job(ledger, tmp_path / "d", ReadingDay("homes", 1, timedelta(days=4))).run()
    rows = [row for row in billing.load().rows if row["meter"] == "m1"]
    assert times(rows) == ["2026-03-31T16:00:00Z"]
    assert rows[0]["value"] == "117.00"


async def test_a_running_register_belongs_to_the_reading_day_by_its_slot(ledger: Ledger, tmp_path: Path) -> None:
    await settle(ledger, home("m1", group="homes"))
    first = timedelta(days=17)
    answered = running(first + timedelta(seconds=8), 120)
    slot = Slot("hourly", "m1", answered.quantity, answered.basis, MIDNIGHT + first)
    day = (MIDNIGHT + first + timedelta(hours=8)).date()
    await read(
        ledger, running(first + timedelta(seconds=8), 120, slot=slot, day=day), running(first + timedelta(hours=1), 121)
    )
    await validate(ledger, Ruleset(), CLOCK)
    await job(ledger, tmp_path / "d", ReadingDay("homes", 1, timedelta(days=4))).run()
    assert times(ToyBilling(tmp_path / "d").load().rows) == ["2026-03-31T16:00:08Z"]


async def test_what_a_group_never_bills_does_not_use_up_the_limit(ledger: Ledger, tmp_path: Path) -> None:
    await settle(ledger, home("m1", group="homes"), home("m2"))
    await read(ledger, *(freeze(day, 100 + day) for day in range(10)), freeze(0, 1, meter="m2"))
    await validate(ledger, Ruleset(), CLOCK)
    done = await job(ledger, tmp_path / "d", ReadingDay("homes", 1, timedelta(0)), most_rows=2).run()
    assert [one.rows for one in done.new] == [1]


async def test_a_new_ledger_does_not_number_over_old_deliveries(tmp_path: Path) -> None:
    await job(await verified(freeze(0, 100)), tmp_path / "d").run()
    before = files(tmp_path / "d")
    other = await verified(freeze(0, 200))
    with pytest.raises(DeliveryRefused, match=r"batch-00000001\.jsonl exists, but this ledger has not handed over"):
        await job(other, tmp_path / "d").run()
    assert files(tmp_path / "d") == before
    assert await other.deliveries() == ()


async def test_another_process_is_waited_for_and_then_named(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "HELD_BY_ANOTHER_S", 0.15)
    await verify(ledger, freeze(0, 100))
    lock = DeliveryDirectory(tmp_path / "d").try_hold()
    assert lock is not None
    with lock, pytest.raises(WorkFailed, match="another process is handing over there"):
        await job(ledger, tmp_path / "d").run()
    assert len((await job(ledger, tmp_path / "d").run()).new) == 1


async def test_two_at_once_hand_over_once(ledger: Ledger, tmp_path: Path) -> None:
    await verify(ledger, *(freeze(day, 100 + day) for day in range(6)))
    jobs = [job(ledger, tmp_path / "d", most_rows=2) for _ in range(4)]
    done = await asyncio.gather(*(one.run() for one in jobs))
    assert sum(len(one.new) for one in done) == 3
    assert len(ToyBilling(tmp_path / "d").load().rows) == 6


class Crash(Exception):
    """The process dies here."""


async def steps(tmp_path: Path) -> list[str]:
    passed: list[str] = []
    await job(await verified(freeze(0, 100), freeze(1, 110)), tmp_path / "all", most_rows=1, step=passed.append).run()
    return passed


async def test_a_crash_between_any_two_steps_is_made_good(tmp_path: Path) -> None:
    passed = await steps(tmp_path)
    assert len(passed) == 2 * (2 + 8 + 2)
    for number in range(len(passed)):
        folder = tmp_path / str(number)
        ledger = await verified(freeze(0, 100), freeze(1, 110))

        with pytest.raises(Crash):
            await job(ledger, folder / "d", most_rows=1, step=crash_after(number)).run()
        whole_or_not_there(folder / "d")
        promised = await ledger.deliveries()
        done = await job(ledger, folder / "d", most_rows=1).run()
        assert [one.batch_seq for one in done.again] == [one.batch_seq for one in promised if not one.written]
        assert [one.manifest_sha256 for one in promised] == [
            one.manifest_sha256 for one in (await ledger.deliveries())[: len(promised)]
        ]
        assert len(ToyBilling(folder / "d").load().rows) == 2
        assert all(one.written for one in await ledger.deliveries())


def crash_after(number: int) -> Step:
    """Die at the step that comes after so many others."""
    left = iter(range(number))

    def crash(step: str) -> None:
        if next(left, None) is None:
            raise Crash(step)

    return crash


async def test_what_was_promised_is_written_byte_for_byte_an_hour_later(tmp_path: Path) -> None:
    ledger = await verified(freeze(0, 100))
    clock = DrivenClock(NOW)

    def crash(step: str) -> None:
        if step == "promised":
            raise Crash

    with pytest.raises(Crash):
        await replace(job(ledger, tmp_path / "d", step=crash), clock=clock).run()
    (promised,) = await ledger.deliveries()
    clock.advance(NOW + timedelta(hours=1))
    await replace(job(ledger, tmp_path / "d"), clock=clock).run()
    written = files(tmp_path / "d")
    assert hashlib.sha256(written["batch-00000001.manifest.json"]).hexdigest() == promised.manifest_sha256
    assert hashlib.sha256(written["batch-00000001.jsonl"]).hexdigest() == promised.sha256
    assert b"2026-04-13T16:00:00Z" in written["batch-00000001.manifest.json"]


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run to its end what waits for nothing, as the ledger in memory does."""
    with pytest.raises(StopIteration):
        work.send(None)


async def test_a_value_that_changes_between_reading_and_promising_is_looked_at_again(tmp_path: Path) -> None:
    ledger = await verified(freeze(0, 100), freeze(1, 110))
    came = False

    def conflict(step: str) -> None:
        nonlocal came
        if step == "before promise" and not came:
            came = True
            at_once(read(ledger, freeze(1, 111)))

    await job(ledger, tmp_path / "d", step=conflict).run()
    assert came
    assert [row["value"] for row in ToyBilling(tmp_path / "d").load().rows] == ["100.00"]


async def test_a_promise_that_is_never_taken_is_said(tmp_path: Path) -> None:
    ledger = await verified(freeze(0, 100))
    other = 101

    def edit(step: str) -> None:
        nonlocal other
        if step == "before promise":
            other += 1
            one = freeze(0, 100)
            edited = Revision(
                "point of m1",
                "m1",
                one.quantity,
                one.basis,
                one.time,
                other - 100,
                Quality.EDITED,
                NOW,
                other * 1_000_000,
            )
            at_once(ledger.judge([edited]))

    with pytest.raises(DeliveryRefused, match="has changed meanwhile"):
        await job(ledger, tmp_path / "d", step=edit).run()
    assert other == 101 + deliver.TRIES
    assert files(tmp_path / "d") == {}
