"""What each meter owed of a day: by plans, installations and pauses; once written down, for ever."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collector.clock import DrivenClock
from collector.jobs.denominators import Denominators
from collector.jobs.rates import Rates
from collector.kpi.change import Change
from collector.kpi.rates import Metric
from storage.dues import MeterDay, Pause, Paused
from storage.ledger.port import Ledger
from storage.records import Basis, Batch, Missing, Owner, Plan, Reading, Slot, Source
from storage.registry import Registered
from tests.ledger.ledgers import KINDS, new_ledger
from tests.rooms.handing_over import MIDNIGHT, home, settle
from tests.rooms.vee_series import village_profile

SHANGHAI = ZoneInfo("Asia/Shanghai")
ENERGY = "1-0:1.8.0"
HOUR, A_DAY = timedelta(hours=1), timedelta(days=1)
DAY = date(2026, 3, 15)
"""MIDNIGHT is its 00:00 in Shanghai."""
HOURLY = Plan("hourly", (ENERGY,), every_s=3600)
DAILY = Plan("daily", (ENERGY,), Basis.FREEZE, at_minute=5)
PROFILE = village_profile(
    register=[
        {"id": "00010000", "quantity": ENERGY, "type": "XXXXXX.XX"},
        {"id": "050601nn", "quantity": ENERGY, "basis": "freeze", "type": "XXXXXX.XX", "time_id": "050600nn"},
    ]
)


@pytest.fixture(params=KINDS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await new_ledger(str(request.param), tmp_path)
    yield opened
    await opened.close()


async def district(ledger: Ledger, *homes: Registered, reading_day: int = 0) -> Denominators:
    await settle(ledger, *(homes or (home("m1"), home("m2"))))
    await ledger.keep_plans([HOURLY, DAILY], at=MIDNIGHT)
    return Denominators(ledger, SHANGHAI, {"village_meter": PROFILE}, {"": reading_day}, {"bus"})


def seen(rows: tuple[MeterDay, ...]) -> list[tuple[object, ...]]:
    return [(one.meter, one.total, one.freezes, one.points, one.automatic, one.reading_day) for one in rows]


LATER = MIDNIGHT + 3 * A_DAY


async def test_a_day_owes_its_hours_and_its_freeze(ledger: Ledger) -> None:
    due = await district(ledger)
    assert seen(await due.of(DAY, LATER)) == [("m1", True, 1, 24, True, False), ("m2", True, 1, 24, True, False)]
    last_instant = ("m1", True, 1, 0, True, False)  # the plan began with the freeze that closes the day before
    assert seen(await due.of(DAY - A_DAY, LATER))[0] == last_instant
    assert seen(await due.of(DAY - 2 * A_DAY, LATER))[0] == ("m1", False, 0, 0, False, False)


async def test_what_is_not_due_yet_is_not_in_it(ledger: Ledger) -> None:
    due = await district(ledger)
    assert seen(await due.of(DAY, MIDNIGHT + HOUR * 2))[0] == ("m1", False, 0, 3, True, False)
    assert seen(await due.of(DAY, MIDNIGHT + A_DAY))[0] == ("m1", False, 0, 24, True, False)
    assert seen(await due.of(DAY, MIDNIGHT + A_DAY + timedelta(minutes=5)))[0] == ("m1", True, 1, 24, True, False)


async def test_who_is_read_once_a_day_counts_as_read_all_day(ledger: Ledger) -> None:
    due = await district(ledger)
    await ledger.keep_plans([DAILY], at=MIDNIGHT + A_DAY)
    noon = MIDNIGHT + A_DAY + HOUR * 12
    assert seen(await due.of(DAY + A_DAY, noon))[0] == ("m1", False, 0, 0, True, False)


async def test_the_reading_day_is_that_of_the_freeze(ledger: Ledger) -> None:
    due = await district(ledger, reading_day=16)
    assert [one.reading_day for one in await due.of(DAY, LATER)] == [True, True]
    assert [one.reading_day for one in await due.of(DAY + A_DAY, LATER)] == [False, False]


async def test_a_channel_that_is_not_there_reads_nobody(ledger: Ledger) -> None:
    due = replace(await district(ledger), channels=())
    assert [one.automatic for one in await due.of(DAY, LATER)] == [False, False]


async def test_who_was_paused_and_for_how_much(ledger: Ledger) -> None:
    due = await district(ledger)
    await ledger.begin_pause(Pause(Paused.METER, "m1", MIDNIGHT + HOUR * 6, "anna", "empty house"))
    await ledger.end_pause(Paused.METER, "m1", at=MIDNIGHT + HOUR * 8, who="anna")
    await ledger.begin_pause(Pause(Paused.CHANNEL, "bus", MIDNIGHT + HOUR * 7, "bert", "works"))
    await ledger.end_pause(Paused.CHANNEL, "bus", at=MIDNIGHT + HOUR * 9, who="bert")
    await ledger.begin_pause(Pause(Paused.PLAN, "daily", MIDNIGHT + HOUR * 20, "bert", "works"))
    rows = await due.of(DAY, LATER)
    paused = [(one.meter, one.paused_total, one.paused_freezes, one.paused_points) for one in rows]
    assert paused == [("m1", True, 1, 3), ("m2", True, 1, 2)]
    assert [(one.freezes, one.points) for one in rows] == [(1, 24), (1, 24)]


async def test_a_day_that_is_over_stays_as_it_was(ledger: Ledger) -> None:
    due = await district(ledger)
    assert not await due.keep(DAY, MIDNIGHT + 2 * A_DAY - HOUR)
    assert await due.keep(DAY, MIDNIGHT + 2 * A_DAY)
    kept = await due.of(DAY, LATER)
    (one,) = (row for row in await ledger.registry() if row.meter.meter == "m1")
    moved = replace(one, point=replace(one.point, area="elsewhere"))
    await ledger.import_registry([moved], digest="", at=MIDNIGHT + 2 * A_DAY)
    assert await due.of(DAY, LATER) == kept
    assert [row.area for row in await due.of(DAY + A_DAY, LATER)] == ["elsewhere", kept[1].area]
    assert not await due.keep(DAY, LATER)


async def test_a_moved_meter_owes_once(ledger: Ledger) -> None:
    due = await district(ledger, home("m1"))
    (one,) = await ledger.registry()
    noon = MIDNIGHT + HOUR * 12
    there = replace(
        one,
        point=replace(one.point, point="P-new", area="new"),
        installation=replace(one.installation, point="P-new", start=noon),
    )
    await ledger.import_registry([there], digest="", at=noon)
    (row,) = await due.of(DAY, LATER)
    assert (row.area, row.points, row.freezes) == ("new", 24, 1)


# --- rates over it ------------------------------------------------------------------------------------------------------------


def freeze(meter: str, day: date, hours: float) -> Reading:
    """The freeze that closes a data day, come so many hours after midnight."""
    at = MIDNIGHT + (day - DAY + A_DAY)
    slot = Slot("daily", meter, ENERGY, Basis.FREEZE, at)
    received = at + timedelta(hours=hours)
    return Reading(meter, ENERGY, Basis.FREEZE, at, 7, 1, Source.POLL, received, slot=slot, data_day=day)


def silent(meter: str, day: date) -> Missing:
    slot = Slot("daily", meter, ENERGY, Basis.FREEZE, MIDNIGHT + (day - DAY + A_DAY))
    return Missing(slot, day, "no_answer", Owner.LINE, "no answer within 1 s", 3)


def over(due: Denominators, now: datetime) -> Rates:
    return Rates(due, DrivenClock(now), {"bus": "dlt645"}, {"village_meter": "any"})


async def test_as_of_a_cut_off(ledger: Ledger) -> None:
    due = await district(ledger)
    await ledger.append(Batch(missing=(silent("m2", DAY),)))
    await ledger.append(Batch(readings=(freeze("m1", DAY, 1), freeze("m2", DAY, 30))))
    report = over(due, MIDNIGHT + 20 * A_DAY)
    for cutoff, final in (("08:00", 1), ("24:00", 1), ("+3d", 2), ("now", 2)):
        (line,) = await report.of(DAY, DAY, by="day", metrics=(Metric.READ,), cutoff=cutoff)
        assert (line.expected, line.first_round, line.final) == (2, 1, final), cutoff
    assert {line.metric for line in await report.of(DAY, DAY, by="maker")} == {"read", "all_items", "curve", "coverage"}


async def test_why_and_for_how_long(ledger: Ledger) -> None:
    due = await district(ledger)
    days = [DAY + n * A_DAY for n in range(4)]
    came = [freeze("m1", days[0], 1), *(freeze("m2", day, 1) for day in days)]
    await ledger.append(Batch(readings=tuple(came), missing=tuple(silent("m1", day) for day in days[1:])))
    report = over(due, datetime(2026, 3, 20, tzinfo=UTC))
    explained = await report.why(days[1], Metric.READ)
    assert [(one.change, one.meter) for one in explained.moved] == [(Change.NEWLY_FAILED, "m1")]
    assert explained.before is not None
    assert explained.after is not None
    assert (explained.before.rate, explained.after.rate) == ("100.00", "50.00")
    (one,) = await report.failing(days[3])
    assert (one.due.meter, one.days, one.since, one.at_least) == ("m1", 3, days[1], False)
    assert one.last is not None
    assert one.last.reason == "no_answer"
    assert await report.failing(days[3], at_least=4) == ()
    assert await report.failing(days[0]) == ()
