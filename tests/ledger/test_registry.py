"""The registry: imports all or nothing, meters that move, and whose reading it was then."""

import dataclasses
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.errors import RegistryRefused
from storage.ledger.port import Ledger
from storage.records import Basis, Plan, PlanVersion
from storage.registry import Installation, Meter, Point, Ratio, Registered, RegistryChange
from tests.ledger.ledgers import IMPORT, NOON, at, new_ledger, read, reading, row, standing


async def test_what_was_imported_is_there(ledger: Ledger) -> None:
    meter = Meter("m1", "p", "ch", "7", "A7", "S7", "T1", "3p4w", 220_000_000, 60_000_000, 6)
    point = Point("P1", "acc", "export", "area", "fd", "st", "se", "bx", "A", "farm", "tar", "homes", 5, 6)
    there = Installation("m1", "P1", NOON, None, Ratio(100, 5), Ratio(10_000, 100), {IMPORT: 12_500_000})
    full = Registered(meter, point, there)
    assert await ledger.registry_digest() == ""
    assert await ledger.registry() == ()
    change = await ledger.import_registry([full, row("a")], digest="one", at=NOON)
    assert change == RegistryChange(added=2, changed=0, unchanged=0)
    assert await ledger.registry() == (row("a"), full)
    assert await ledger.registry_digest() == "one"


async def test_an_empty_import(ledger: Ledger) -> None:
    assert await ledger.import_registry([], digest="none", at=NOON) == RegistryChange(0, 0, 0)
    assert await ledger.registry_digest() == "none"


async def test_importing_again_changes_what_is_different(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1"), row("m2"), row("m3")], digest="one", at=NOON)
    again = [row("m1", start=at(5)), row("m2", start=at(5), area="north")]
    assert await ledger.import_registry(again, digest="two", at=at(5)) == RegistryChange(0, 1, 1)
    assert await ledger.registry() == (row("m1"), row("m2", area="north"), row("m3"))
    assert await ledger.registry_digest() == "two"


async def test_new_ratios_keep_the_installation(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1")], digest="", at=NOON)
    told = row("m1", start=at(5))
    ratio = dataclasses.replace(told, installation=dataclasses.replace(told.installation, ct=Ratio(100, 5)))
    assert await ledger.import_registry([ratio], digest="", at=at(5)) == RegistryChange(0, 1, 0)
    (one,) = await ledger.registry()
    assert (one.installation.ct, one.installation.start) == (Ratio(100, 5), NOON)


async def test_a_meter_at_another_point_ends_its_installation(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1", "P1", start=at(-5))], digest="", at=NOON)
    assert await ledger.import_registry([row("m1", "P2", start=at(-5))], digest="", at=at(5)) == RegistryChange(0, 1, 0)
    assert await ledger.registry() == (row("m1", "P2", start=at(5)),)
    await read(ledger, *(reading(hour, 1) for hour in (-6, -5, 4, 5, 6)))
    assert [one.point for one in await standing(ledger)] == ["", "P1", "P1", "P2", "P2"]


async def test_where_a_meter_stood_is_remembered(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1", "P1", start=at(-5)), row("m2", start=at(-5))], digest="", at=NOON)
    await ledger.import_registry([row("m1", "P2", start=at(-5))], digest="", at=at(5))

    async def stood(first: int, last: int) -> list[tuple[str, str]]:
        return [(one.meter.meter, one.point.point) for one in await ledger.installations(at(first), at(last))]

    assert await stood(0, 9) == [("m1", "P1"), ("m1", "P2"), ("m2", "P-m2")]
    assert await stood(0, 5) == [("m1", "P1"), ("m2", "P-m2")]
    assert await stood(5, 6) == [("m1", "P2"), ("m2", "P-m2")]
    assert await stood(-9, -5) == []
    old, new, _ = await ledger.installations(at(0), at(9))
    assert (old.installation.start, old.installation.end) == (at(-5), at(5))
    assert (new.installation.start, new.installation.end) == (at(5), None)


async def test_what_was_read_before_an_import_belongs_to_it_if_no_start_was_told(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1", start=at(5)), row("m2", start=at(4))], digest="", at=at(5))
    await read(ledger, reading(1, 1, "m1"), reading(1, 1, "m2"), reading(6, 1, "m2"))
    assert [one.point for one in await standing(ledger)] == ["P-m1", "", "P-m2"]


async def test_a_meter_that_was_read_before_anybody_registered_it(ledger: Ledger) -> None:
    await read(ledger, reading(1, 1), reading(1, 1, "m2"))
    assert [one.point for one in await standing(ledger)] == ["", ""]
    assert await ledger.registry() == ()
    await ledger.import_registry([row("m1", start=at(0))], digest="", at=at(2))
    assert [one.point for one in await standing(ledger)] == ["P-m1", ""]


async def test_swapped_addresses(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1", address="1"), row("m2", address="2")], digest="", at=NOON)
    await ledger.import_registry([row("m1", address="2"), row("m2", address="1")], digest="", at=at(1))
    assert [one.meter.address for one in await ledger.registry()] == ["2", "1"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row("m2"), row("m2", address="9")], "meter m2 is there twice"),
        ([row("m2", address="7"), row("m3", address="7")], "meter m3: address 7 on channel village-1 .* meter m2"),
        ([row("m2", address="m1")], r"meter m2: address m1 on channel village-1 .* meter m1 \(registered before\)"),
        ([row("m2", "P"), row("m3", "P", area="x")], "point P is described in two ways, with meters m2 and m3"),
        ([dataclasses.replace(row("m2"), installation=row("m3").installation)], "m2: its installation names another"),
    ],
)
async def test_contradictions_are_refused_with_all_of_the_file(
    ledger: Ledger, rows: list[Registered], says: str
) -> None:
    await ledger.import_registry([row("m1")], digest="one", at=NOON)
    with pytest.raises(RegistryRefused, match=says):
        await ledger.import_registry([row("m4"), *rows], digest="two", at=at(1))
    assert await ledger.registry() == (row("m1"),)
    assert await ledger.registry_digest() == "one"


# --- plans ------------------------------------------------------------------------------------------------------------

HOURLY = Plan("hourly", (IMPORT,), every_s=3600)
DAILY = Plan(
    "daily", (IMPORT, "events"), Basis.FREEZE, at_minute=5, channels=("a",), areas=("北",), profiles=("x", "y")
)


async def test_plans_are_kept_as_versions(ledger: Ledger) -> None:
    await ledger.keep_plans([HOURLY, DAILY], at=at(0))
    await ledger.keep_plans([HOURLY, DAILY], at=at(1))
    quarter = dataclasses.replace(HOURLY, every_s=900)
    await ledger.keep_plans([quarter, DAILY], at=at(2))
    await ledger.keep_plans([quarter], at=at(3))
    daily = PlanVersion(DAILY, at(0), at(3))
    first, second = PlanVersion(HOURLY, at(0), at(2)), PlanVersion(quarter, at(2))
    assert await ledger.plan_versions(at(-9), at(9)) == (daily, first, second)
    assert await ledger.plan_versions(at(-9), at(0)) == ()
    assert await ledger.plan_versions(at(1), at(2)) == (daily, first)
    assert await ledger.plan_versions(at(3), at(4)) == (second,)


async def test_a_plan_that_was_kept_before_its_fields_were_known_keeps_its_version(tmp_path: Path) -> None:
    """As it lay in the database before plans had windows, jitter, cut-offs, stations and days."""
    ledger = await new_ledger("sqlite", tmp_path)
    await ledger.keep_plans([HOURLY], at=at(0))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        (told,) = connection.execute("SELECT definition FROM plan_version").fetchone()
        new = {"stations", "days", "jitter_s", "window_s", "cutoff_minute"}
        old = {name: value for name, value in json.loads(told).items() if name not in new}
        assert len(old) == len(json.loads(told)) - len(new)
        connection.execute("UPDATE plan_version SET definition = ?", (json.dumps(old),))
        connection.commit()
    await ledger.keep_plans([HOURLY], at=at(1))
    assert await ledger.plan_versions(at(-9), at(9)) == (PlanVersion(HOURLY, at(0)),)
    later = dataclasses.replace(HOURLY, cutoff_minute=480)
    await ledger.keep_plans([later], at=at(2))
    assert await ledger.plan_versions(at(-9), at(9)) == (PlanVersion(HOURLY, at(0), at(2)), PlanVersion(later, at(2)))
    await ledger.close()


async def test_a_plan_may_come_back(ledger: Ledger) -> None:
    await ledger.keep_plans([HOURLY], at=at(0))
    await ledger.keep_plans([], at=at(1))
    await ledger.keep_plans([HOURLY], at=at(2))
    assert await ledger.plan_versions(at(0), at(9)) == (PlanVersion(HOURLY, at(0), at(1)), PlanVersion(HOURLY, at(2)))
    assert await ledger.plan_versions(at(1), at(2)) == ()


async def test_a_plan_that_was_never_valid_leaves_nothing(ledger: Ledger) -> None:
    quarter = dataclasses.replace(HOURLY, every_s=900)
    await ledger.keep_plans([HOURLY], at=at(0))
    await ledger.keep_plans([quarter], at=at(0))
    assert await ledger.plan_versions(at(-9), at(9)) == (PlanVersion(quarter, at(0)),)


async def test_two_plans_of_one_name_are_refused(ledger: Ledger) -> None:
    with pytest.raises(RegistryRefused, match="two plans have the same name"):
        await ledger.keep_plans([HOURLY, dataclasses.replace(HOURLY, every_s=60)], at=at(0))


async def test_where_meters_stood_before_they_were_moved(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1"), row("m2")], digest="a", at=at(0))
    await ledger.import_registry([row("m1", "P-other")], digest="b", at=at(10))
    (left,) = await ledger.left_places(at(5))
    assert (left.meter.meter, left.point.point, left.installation.end) == ("m1", "P-m1", at(10))
    assert await ledger.left_places(at(10)) == ()
