"""Settlement copies of a meter that we did not write (PyPI dlt645 3.2.0, over TCP): found by the days and clock that it tells.

It serves copies one by one and no block of them, as some meters do: a site's own profile names them so. It has neither daily
freezes nor load records.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from collector.acquisition.line import Line
from collector.acquisition.links import make_link
from collector.acquisition.tasks import Collected, Task
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from collector.jobs.collect import Collect, Route
from protocols.dialects import DIALECTS
from protocols.profile import Profile, builtin_profiles
from storage.memory import MemoryLedger
from storage.records import Basis, Slot
from storage.registry import Installation, Meter, Point, Registered
from tests.links.peers import dlt645_meter

SHANGHAI = ZoneInfo("Asia/Shanghai")
ADDRESS = "000020240817"
NOW = datetime(2026, 3, 14, 13, 7, 5, tzinfo=UTC)
CLOCK = {"04000101": "26031406", "04000102": "210705"}
"""What its clock stands at, for it never moves: 2026-03-14, a Saturday, 21:07:05."""
ENERGY = {f"000100{copy:02X}": 1000 - copy for copy in range(1, 13)}
METER = Registered(
    Meter("m1", "by_one", "peer", ADDRESS), Point("p1"), Installation("m1", "p1", NOW - timedelta(days=700))
)


def profile() -> Profile:
    """The built-in one, with the total of a settlement read by itself."""
    one = builtin_profiles()["dlt645_2007_1p"]
    registers = tuple(
        register.model_copy(update={"id": "000100nn"})
        if (register.quantity, register.basis) == ("1-0:1.8.0", "settlement")
        else register
        for register in one.registers
    )
    return one.model_copy(update={"id": "by_one", "register_": registers})


def slot(year: int, month: int, day: int = 1) -> Slot:
    at = datetime(year, month, day, tzinfo=SHANGHAI).astimezone(UTC)
    return Slot("month", "m1", "1-0:1.8.0", Basis.SETTLEMENT, at)


async def collected(port: int, *slots: Slot) -> Collected:
    clock, ledger = DrivenClock(NOW), MemoryLedger()
    await ledger.import_registry([METER], digest="", at=NOW - timedelta(days=700))
    line = Line(make_link(f"tcp://127.0.0.1:{port}"), clock)
    route = Route("peer", line, DIALECTS["dlt645"], Timing(timeout_s=5.0, worst_reply_s=5.0, gap_s=0.05))
    try:
        return await Collect(ledger, clock, SHANGHAI, {"peer": route}, {"by_one": profile()}).task(Task(METER, slots))
    finally:
        await line.close()


@pytest.fixture(scope="module")
def monthly() -> Iterator[int]:
    days = {"04000B01": "0100", "04000B02": "9999", "04000B03": "9999"}
    with dlt645_meter(ADDRESS, energy=ENERGY, parameter=CLOCK | days) as port:
        yield port


async def test_each_month_has_the_copy_of_its_own_settlement(monthly: int) -> None:
    wanted = (slot(2025, 4), slot(2025, 12), slot(2026, 1), slot(2026, 2), slot(2026, 3))
    done = await collected(monthly, *wanted)
    assert done.filled == wanted
    assert {reading.slot: reading.value // 1_000_000 for reading in done.batch.readings} == {
        slot(2025, 4): 988,
        slot(2025, 12): 996,
        slot(2026, 1): 997,
        slot(2026, 2): 998,
        slot(2026, 3): 999,
    }
    assert not any(reading.billable for reading in done.batch.readings)


async def test_what_no_copy_was_made_at_is_named(monthly: int) -> None:
    done = await collected(monthly, slot(2026, 2, 11), slot(2025, 3))
    assert {missing.slot: missing.reason for missing in done.batch.missing} == {
        slot(2025, 3): "overwritten",
        slot(2026, 2, 11): "no_settlement",
    }


async def test_two_settlements_a_month_are_told_apart() -> None:
    days = {"04000B01": "0100", "04000B02": "1100", "04000B03": "9999"}
    with dlt645_meter(ADDRESS, energy=ENERGY, parameter=CLOCK | days) as port:
        done = await collected(port, slot(2026, 2), slot(2026, 3), slot(2026, 3, 11))
    assert {reading.slot: reading.value // 1_000_000 for reading in done.batch.readings if reading.slot} == {
        slot(2026, 3, 11): 999,
        slot(2026, 3): 998,
        slot(2026, 2): 996,
    }


async def test_days_that_are_all_unused_leave_it_open() -> None:
    days = {"04000B01": "9999", "04000B02": "9999", "04000B03": "9999"}
    with dlt645_meter(ADDRESS, energy=ENERGY, parameter=CLOCK | days) as port:
        done = await collected(port, slot(2026, 3))
    assert [missing.reason for missing in done.batch.missing] == ["ambiguous_settlement"]
    assert done.batch.readings == ()
