"""The reports over a ledger: what was due, what came, and why the rest did not."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collector.clock import DrivenClock
from collector.jobs.report import NOT_TRIED, NOT_YET, Reporter
from protocols.profile import builtin_profiles
from storage.ledger.port import Ledger
from storage.records import Basis, Batch, Missing, Owner, Plan, Reading, Slot, Source
from storage.registry import Installation, Meter, Point, Registered
from tests.ledger.ledgers import KINDS, new_ledger
from tests.rooms.handing_over import MIDNIGHT, home, settle
from tests.rooms.vee_series import village_profile

SHANGHAI = ZoneInfo("Asia/Shanghai")
ENERGY = "1-0:1.8.0"
HOUR = timedelta(hours=1)
HOURLY = Plan("hourly", (ENERGY, "1-0:32.7.0"), every_s=3600)
DAY = date(2026, 3, 15)
"""MIDNIGHT is its 00:00 in Shanghai."""


def slot(hour: int, meter: str = "m1", plan: str = "hourly") -> Slot:
    return Slot(plan, meter, ENERGY, Basis.INSTANT, MIDNIGHT + HOUR * hour)


def came(hour: int, meter: str = "m1") -> Reading:
    at = MIDNIGHT + HOUR * hour + timedelta(seconds=2)
    return Reading(
        meter, ENERGY, Basis.INSTANT, at, 1_000, 1_000, Source.POLL, at, slot=slot(hour, meter), data_day=DAY
    )


def gave_nothing(hour: int, meter: str = "m1", plan: str = "hourly") -> Missing:
    at = MIDNIGHT + HOUR * hour
    return Missing(slot(hour, meter, plan), DAY, "no_answer", Owner.METER, "silent for 1 s", 3, since=at)


@pytest.fixture(params=KINDS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await new_ledger(str(request.param), tmp_path)
    yield opened
    await opened.close()


async def district(
    ledger: Ledger,
    now: datetime,
    readings: Sequence[Reading] = (),
    missing: Sequence[Missing] = (),
    plan: Plan = HOURLY,
) -> Reporter:
    """Two meters whose model has the energy, but no voltage."""
    await settle(ledger, home("m1"), home("m2"))
    await ledger.keep_plans([plan], at=MIDNIGHT)
    await ledger.append(Batch(readings=tuple(readings), missing=tuple(missing)))
    return Reporter(ledger, DrivenClock(now), SHANGHAI, {"village_meter": village_profile()}, {"bus": "dlt645"})


async def test_expected_is_what_plans_owe(ledger: Ledger) -> None:
    """Three hours were due from two meters; one answered twice, the other once and once not."""
    report = await district(
        ledger, MIDNIGHT + HOUR * 2 + timedelta(minutes=30), [came(0), came(1), came(0, "m2")], [gave_nothing(1, "m2")]
    )
    (line,) = await report.success(DAY, DAY, by="protocol")
    assert (line.group, line.expected, line.first_round, line.final, line.missing) == ("dlt645", 6, 3, 3, 3)
    assert line.rate == "50.00"


async def test_each_missing_one_has_its_reason(ledger: Ledger) -> None:
    now = MIDNIGHT + HOUR * 2 + timedelta(minutes=30)
    report = await district(ledger, now, [came(0)], [gave_nothing(1)])
    found = {
        (one.slot.meter, (one.slot.at - MIDNIGHT) // HOUR): (one.reason, one.owner)
        for one in await report.missing(DAY, DAY)
    }
    assert found == {
        ("m1", 1): ("no_answer", Owner.METER),
        ("m1", 2): (NOT_YET, Owner.OURS),
        ("m2", 0): (NOT_TRIED, Owner.OURS),
        ("m2", 1): (NOT_TRIED, Owner.OURS),
        ("m2", 2): (NOT_YET, Owner.OURS),
    }


@pytest.mark.parametrize("hours", range(5, 48, 6))
async def test_both_reports_agree(ledger: Ledger, hours: int) -> None:
    report = await district(
        ledger, MIDNIGHT + HOUR * hours, [came(0), came(3), came(4, "m2")], [gave_nothing(1), gave_nothing(2, "m2")]
    )
    lines = await report.success(DAY, DAY + timedelta(days=1), by="day")
    missing = await report.missing(DAY, DAY + timedelta(days=1))
    assert sum(line.missing for line in lines) == len(missing)
    assert sum(line.expected for line in lines) == len(missing) + sum(line.final for line in lines)


async def test_on_demand_is_listed_and_kept_out_of_the_rates(ledger: Ledger) -> None:
    report = await district(
        ledger, MIDNIGHT + HOUR, [came(0), came(0, "m2"), came(1), came(1, "m2")], [gave_nothing(0, plan="")]
    )
    (line,) = await report.success(DAY, DAY, by="day")
    assert (line.expected, line.missing, line.rate) == (4, 0, "100.00")
    assert [(one.slot.plan, one.reason) for one in await report.missing(DAY, DAY)] == [("", "no_answer")]


async def test_a_freeze_counts_in_the_day_that_it_closes(ledger: Ledger) -> None:
    daily = Plan("daily", (ENERGY,), Basis.FREEZE, at_minute=5)
    profile = village_profile(
        register=[{"id": "050601nn", "quantity": ENERGY, "basis": "freeze", "type": "XXXXXX.XX", "time_id": "050600nn"}]
    )
    await settle(ledger, home("m1"))
    await ledger.keep_plans([daily], at=MIDNIGHT)
    midnight = MIDNIGHT + HOUR * 24
    report = Reporter(ledger, DrivenClock(midnight + HOUR), SHANGHAI, {"village_meter": profile}, {})
    assert [(line.day, line.expected) for line in await report.success(DAY, DAY, by="day")] == [(DAY, 1)]
    (one,) = await report.missing(DAY, DAY)
    assert (one.slot.at, one.data_day, one.reason) == (midnight, DAY, NOT_YET)
    assert await report.missing(DAY + timedelta(days=1), DAY + timedelta(days=1)) == ()


async def test_nothing_is_due_before_its_time(ledger: Ledger) -> None:
    report = await district(ledger, MIDNIGHT - HOUR)
    assert await report.success(DAY, DAY, by="area") == ()
    assert await report.missing(DAY, DAY) == ()


async def test_the_grid_point_of_this_very_moment_is_due(ledger: Ledger) -> None:
    report = await district(ledger, MIDNIGHT)
    (line,) = await report.success(DAY, DAY, by="area")
    assert (line.group, line.expected, line.rate) == ("north", 2, "0.00")


async def test_today_is_the_utilitys_day(ledger: Ledger) -> None:
    report = await district(ledger, datetime(2026, 3, 14, 17, tzinfo=UTC))
    assert report.today() == DAY


async def test_conflicts_are_listed(ledger: Ledger) -> None:
    report = await district(ledger, MIDNIGHT + HOUR, [came(0)])
    await report.ledger.append(Batch(readings=(replace(came(0), value=9_000),)))
    (one,) = await report.conflicts()
    assert (one.value, one.other, (await report.points())[one.meter]) == (1_000, 9_000, "point of m1")


async def test_a_meter_that_was_moved_still_owes_what_was_due_before(ledger: Ledger) -> None:
    """Nobody asked m2 in the first two hours; then it went to another point. Those two stay in the rate, and in the list."""
    report = await district(ledger, MIDNIGHT + HOUR * 3 + timedelta(minutes=30), [came(hour) for hour in range(4)])
    moved = replace(home("m2"), point=replace(home("m2").point, point="elsewhere", area="south"))
    moved = replace(moved, installation=replace(moved.installation, point="elsewhere"))
    await ledger.import_registry([home("m1"), moved], digest="moved", at=MIDNIGHT + HOUR + timedelta(minutes=30))
    north, south = await report.success(DAY, DAY, by="area")
    assert (north.group, north.expected, north.final) == ("north", 6, 4)
    assert (south.group, south.expected, south.final) == ("south", 2, 0)
    assert len(await report.missing(DAY, DAY)) == north.missing + south.missing == 4


@pytest.mark.parametrize("by", ["area", "channel", "profile", "plan", "class"])
async def test_groups_of_what_was_due_and_what_came_are_the_same(ledger: Ledger, by: str) -> None:
    report = await district(ledger, MIDNIGHT + HOUR, [came(0), came(1)], [gave_nothing(1, "m2")])
    (line,) = await report.success(DAY, DAY, by=by)
    assert (line.expected, line.final) == (4, 2)


async def test_what_a_meter_keeps_says_until_when_and_what_it_does_not_says_nothing(ledger: Ledger) -> None:
    midnight = MIDNIGHT + timedelta(days=1)
    meter = Meter("m1", "dlt645_2007_1p", "bus", "1")
    row = Registered(meter, Point("p1"), Installation("m1", "p1", MIDNIGHT - timedelta(days=9)))
    await ledger.import_registry([row], digest="", at=MIDNIGHT)
    plans = [Plan("daily", ("1-0:1.8.0",), Basis.FREEZE, at_minute=5), Plan("noon", ("1-0:1.8.0",), at_minute=720)]
    await ledger.keep_plans(plans, at=MIDNIGHT + HOUR)
    report = Reporter(ledger, DrivenClock(midnight + HOUR), SHANGHAI, builtin_profiles(), {"bus": "dlt645"})
    assert {one.slot.plan: one.expires for one in await report.missing(DAY, DAY)} == {
        "daily": midnight + timedelta(days=62),
        "noon": None,
    }
