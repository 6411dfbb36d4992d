"""A freeze is known by its own stamp alone: what a meter with a slow or a fast clock has never fills the wrong day's slot."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collector.acquisition.line import Line
from collector.acquisition.tasks import Collected, Task
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from collector.jobs.collect import Collect, Route
from protocols.dialects import DIALECTS
from protocols.dlt645.frame import Frame, Framer, encode
from protocols.profile import builtin_profiles
from storage.ledger.port import Ledger
from storage.records import Basis, Slot
from storage.registry import Installation, Meter, Point, Registered
from tests.ledger.ledgers import KINDS, new_ledger
from tests.links.memory_link import MemoryLink

SHANGHAI = ZoneInfo("Asia/Shanghai")
ENERGY, ADDRESS = "1-0:1.8.0", "000000000161"
MIDNIGHT = datetime(2026, 3, 14, 16, tzinfo=UTC)
"""00:00 of 15 March: the freeze that is owed."""
DAY = timedelta(days=1)
METER = Registered(
    Meter("m1", "dlt645_2007_1p", "bus", ADDRESS), Point("p1"), Installation("m1", "p1", MIDNIGHT - 30 * DAY)
)


def bcd(digits: str) -> bytes:
    return bytes.fromhex(digits)[::-1]


class Keeper:
    """A meter with the freezes that it kept, newest first: stamp by its own clock, and hundredths of a kWh."""

    def __init__(self, *freezes: tuple[datetime, int]) -> None:
        self.freezes = list(freezes)

    def __call__(self, data: bytes) -> Iterator[tuple[float, bytes]]:
        framer = Framer()
        framer.receive(data)
        asked = framer.next()
        assert isinstance(asked, Frame)
        kind, copy = asked.data[:0:-1].hex()[:4], asked.data[0]
        if not 1 <= copy <= len(self.freezes):
            yield 0.0, encode(ADDRESS, 0xD1, b"\x02")
            return
        stamp, value = self.freezes[copy - 1]
        told = {"0506": {0: bcd(stamp.astimezone(SHANGHAI).strftime("%y%m%d%H%M")), 1: bcd(f"{value:08d}") * 5}}
        yield 0.0, encode(ADDRESS, 0x91, asked.data + told[kind][asked.data[1]])


@pytest.fixture(params=KINDS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await new_ledger(str(request.param), tmp_path)
    await opened.import_registry([METER], digest="of this test", at=MIDNIGHT - 30 * DAY)
    yield opened
    await opened.close()


def slot(plan: str = "daily", at: datetime = MIDNIGHT) -> Slot:
    return Slot(plan, "m1", ENERGY, Basis.FREEZE, at)


async def collect(ledger: Ledger, meter: Keeper, *slots: Slot, now: datetime) -> Collected:
    clock = DrivenClock(now)
    line = Line(MemoryLink(meter), clock)
    route = Route("bus", line, DIALECTS["dlt645"], Timing(timeout_s=0.2, retries=0, gap_s=0.01))
    done = await Collect(ledger, clock, SHANGHAI, {"bus": route}, builtin_profiles()).task(Task(METER, slots))
    await line.close()
    return done


async def stored(ledger: Ledger) -> dict[datetime, tuple[int, bool]]:
    """By stamp: millionths, and whether it fills a slot."""
    return {one.reading.time: (one.value, one.reading.slot is not None) async for one in ledger.readings(meters=["m1"])}


async def test_a_slow_clock_fills_the_slot_only_when_its_own_midnight_has_come(ledger: Ledger) -> None:
    meter = Keeper((MIDNIGHT - DAY, 100))
    early = await collect(ledger, meter, slot(), now=MIDNIGHT + timedelta(minutes=5))
    assert early.filled == ()
    (missing,) = early.batch.missing
    assert (missing.reason, missing.slot, str(missing.data_day)) == ("no_freeze", slot(), "2026-03-14")
    assert "2026-03-14 00:00" in missing.detail
    assert await stored(ledger) == {MIDNIGHT - DAY: (1_000_000, False)}
    meter.freezes.insert(0, (MIDNIGHT, 250))
    later = await collect(ledger, meter, slot(), now=MIDNIGHT + timedelta(minutes=12))
    assert later.filled == (slot(),)
    assert await stored(ledger) == {MIDNIGHT - DAY: (1_000_000, False), MIDNIGHT: (2_500_000, True)}
    assert await ledger.closed(MIDNIGHT - DAY, MIDNIGHT + DAY) == ()


async def test_a_fast_clock_or_an_extra_freeze_is_looked_behind(ledger: Ledger) -> None:
    """Its newest copy is already tomorrow's: the one before it has the stamp that is owed."""
    meter = Keeper((MIDNIGHT + DAY, 400), (MIDNIGHT, 250), (MIDNIGHT - DAY, 100))
    done = await collect(ledger, meter, slot(), now=MIDNIGHT + timedelta(hours=23, minutes=58))
    assert done.filled == (slot(),)
    assert await stored(ledger) == {MIDNIGHT: (2_500_000, True), MIDNIGHT + DAY: (4_000_000, False)}


async def test_a_clock_that_keeps_other_hours_fills_nothing(ledger: Ledger) -> None:
    meter = Keeper((MIDNIGHT + timedelta(minutes=3), 250))
    done = await collect(ledger, meter, slot(), now=MIDNIGHT + timedelta(minutes=5))
    assert done.filled == ()
    assert [missing.reason for missing in done.batch.missing] in (["no_freeze"], ["refused"])


async def test_two_plans_that_owe_the_same_value_are_both_served_by_one_reading(ledger: Ledger) -> None:
    both = slot("daily"), slot("monthly")
    done = await collect(ledger, Keeper((MIDNIGHT, 250)), *both, now=MIDNIGHT + timedelta(minutes=5))
    assert done.filled == both
    assert len(await stored(ledger)) == 1
    counts = await ledger.day_counts(MIDNIGHT.date(), MIDNIGHT.date())
    assert {(one.plan, one.reason, one.slots, one.first_round) for one in counts} == {
        ("daily", "", 1, 1),
        ("monthly", "", 1, 1),
    }
    assert await ledger.conflicts() == ()
