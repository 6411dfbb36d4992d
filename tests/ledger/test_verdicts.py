"""What waits for a verdict, as series; verdicts beside readings, and their findings."""

import dataclasses

import pytest

from storage.errors import VerdictRefused
from storage.ledger.port import Ledger
from storage.records import Basis, Finding, Quality, Revision, Series
from tests.ledger.ledgers import EXPORT, IMPORT, at, read, reading, row, standing, verdict, verify


async def only(ledger: Ledger, limit: int = 1000) -> Series:
    (series,) = await ledger.unjudged(limit=limit)
    return series


@pytest.fixture
async def known(ledger: Ledger) -> Ledger:
    await ledger.import_registry([row("m1", start=at(0)), row("m2", start=at(0))], digest="", at=at(0))
    return ledger


async def test_what_was_read_waits_for_a_verdict(known: Ledger) -> None:
    await read(known, reading(2, 12), reading(1, 11, resolution=100), reading(3, 13))
    assert await only(known) == Series(
        registered=row("m1"),
        quantity=IMPORT,
        basis=Basis.INSTANT,
        times=(at(1), at(2), at(3)),
        values=(11_000_000, 12_000_000, 13_000_000),
        resolutions=(100, 1000, 1000),
        conflicted=(False, False, False),
        revisions=(0, 0, 0),
        judge_from=0,
    )


async def test_each_meter_quantity_and_basis_is_a_series(known: Ledger) -> None:
    freeze = dataclasses.replace(reading(1, 1), basis=Basis.FREEZE)
    await read(known, reading(1, 1), reading(1, 1, "m2"), reading(1, 1, quantity=EXPORT), freeze)
    found = {(one.registered.meter.meter, one.quantity, one.basis) for one in await known.unjudged(limit=9)}
    instant = Basis.INSTANT
    assert found == {
        ("m1", IMPORT, instant),
        ("m2", IMPORT, instant),
        ("m1", EXPORT, instant),
        ("m1", IMPORT, Basis.FREEZE),
    }


async def test_a_meter_that_nobody_registered_waits_for_ever(known: Ledger) -> None:
    await read(known, reading(1, 1, "stranger"), reading(1, 1))
    assert (await only(known, limit=1)).registered.meter.meter == "m1"


async def test_a_verdict_stands_beside_the_reading(known: Ledger) -> None:
    await read(known, reading(1, 11))
    await known.judge([verdict(1)])
    assert await known.unjudged(limit=10) == ()
    (one,) = await standing(known)
    assert (one.reading, one.quality, one.revision, one.value) == (reading(1, 11), Quality.VERIFIED, 1, 11_000_000)


async def test_the_last_released_value_leads(known: Ledger) -> None:
    await read(known, reading(1, 11), reading(2, 12), reading(3, 99), reading(4, 14, resolution=100))
    await known.judge([verdict(1), verdict(2), verdict(3, Quality.SUSPECT)])
    await known.judge([verdict(2, Quality.EDITED, n=2, value=12_500_000, maker="wang", reason="photo")])
    series = await only(known)
    assert (series.times, series.values, series.judge_from) == ((at(2), at(4)), (12_500_000, 14_000_000), 1)
    assert (series.revisions, series.resolutions) == ((2, 0), (1000, 100))


async def test_a_late_value_between_judged_ones_is_a_series_of_its_own(known: Ledger) -> None:
    await read(known, reading(1, 11), reading(3, 13))
    await verify(known)
    await read(known, reading(2, 12), reading(4, 14), reading(5, 15))
    first, second = await known.unjudged(limit=10)
    assert (first.times, first.judge_from) == ((at(1), at(2)), 1)
    assert (second.times, second.judge_from) == ((at(3), at(4), at(5)), 1)


async def test_a_suspect_value_does_not_part_a_series(known: Ledger) -> None:
    await read(known, reading(2, 99))
    await verify(known, Quality.SUSPECT)
    await read(known, reading(1, 11), reading(3, 13))
    assert (await only(known)).times == (at(1), at(3))


async def test_a_value_that_waits_leads_nothing(ledger: Ledger) -> None:
    """One from before its meter's installation: verified by hand once, contradicted since, and asked for by nobody."""
    await ledger.import_registry([row("m1", start=at(0))], digest="", at=at(5))
    await read(ledger, reading(-2, 8), reading(-1, 9))
    await ledger.judge([verdict(-2), verdict(-1)])
    await read(ledger, reading(-1, 10), reading(1, 11))
    assert (await only(ledger)).times == (at(-2), at(1))


async def test_only_so_many_and_the_oldest_first(known: Ledger) -> None:
    await read(known, *(reading(hour, hour) for hour in (5, 4, 3, 2, 1)))
    seen = []
    while found := await known.unjudged(limit=2):
        (series,) = found
        seen.append(series.times)
        await known.judge([verdict((time - at(0)).seconds // 3600) for time in series.times[series.judge_from :]])
    assert seen == [(at(1), at(2)), (at(2), at(3), at(4)), (at(4), at(5))]


async def test_another_installation_is_another_series(known: Ledger) -> None:
    await known.import_registry([row("m1", "elsewhere", start=at(5))], digest="", at=at(5))
    await read(known, reading(4, 11), reading(5, 12))
    first, second = await known.unjudged(limit=10)
    assert (first.times, first.registered.point.point) == ((at(4),), "P-m1")
    assert (first.registered.installation.end, second.registered.installation.start) == (at(5), at(5))
    assert (second.times, second.registered.point.point) == ((at(5),), "elsewhere")


async def test_verdicts_are_numbered_without_a_gap(known: Ledger) -> None:
    await read(known, reading(1, 11))
    with pytest.raises(VerdictRefused, match="revision 2 does not follow revision 0"):
        await known.judge([verdict(1, n=2)])
    with pytest.raises(VerdictRefused, match="revision 0 does not follow"):
        await known.judge([verdict(1, n=0)])
    await known.judge([verdict(1), verdict(1, Quality.SUSPECT, n=2)])
    with pytest.raises(VerdictRefused, match="revision 1 does not follow revision 2"):
        await known.judge([verdict(1, Quality.SUSPECT)])
    with pytest.raises(VerdictRefused, match="revision 4 does not follow revision 2"):
        await known.judge([verdict(1, n=4)])
    assert [(one.quality, one.revision) for one in await standing(known)] == [(Quality.SUSPECT, 2)]


async def test_the_same_verdict_again_has_no_effect(known: Ledger) -> None:
    evidence = Finding("register_decreased", "m1", IMPORT, Basis.INSTANT, at(1), {"before": "12.5", "上次": "x"})
    told = verdict(1, Quality.SUSPECT, findings=(evidence,), ruleset="3", maker="rules", reason="r")
    await read(known, reading(1, 11))
    for _ in range(2):
        await known.judge([told, dataclasses.replace(told, made_at=at(50))])
    assert [(one.quality, one.revision) for one in await standing(known)] == [(Quality.SUSPECT, 1)]
    with pytest.raises(VerdictRefused):
        await known.judge([dataclasses.replace(told, ruleset="4")])
    with pytest.raises(VerdictRefused):
        await known.judge([dataclasses.replace(told, findings=())])


async def test_a_verdict_on_nothing_is_refused_with_all_beside_it(known: Ledger) -> None:
    await read(known, reading(1, 11))
    with pytest.raises(VerdictRefused, match=r"m1 1-0:1.8.0 instant .* was never read"):
        await known.judge([verdict(1), verdict(2)])
    assert [one.revision for one in await standing(known)] == [0]


async def test_findings_are_those_of_the_latest_verdicts(known: Ledger) -> None:
    def spoke(hour: int, rule: str) -> Finding:
        return Finding(rule, "m1", IMPORT, Basis.INSTANT, at(hour), {"limit": "1"})

    def suspect(hour: int, n: int, *rules: str) -> Revision:
        return verdict(hour, Quality.SUSPECT, n=n, findings=tuple(spoke(hour, rule) for rule in rules))

    await read(known, *(reading(hour, hour) for hour in (1, 2, 3)))
    await known.judge([suspect(3, 1, "b", "a"), suspect(2, 1, "a"), suspect(1, 1, "c")])
    await known.judge([suspect(2, 2, "d")])
    await known.judge([verdict(1, Quality.ACCEPTED, n=2)])
    assert await known.findings() == (spoke(2, "d"), spoke(3, "a"), spoke(3, "b"))
    assert await known.findings(start=at(3)) == (spoke(3, "a"), spoke(3, "b"))


async def test_no_verdicts_at_all(known: Ledger) -> None:
    await known.judge([])
    assert await known.unjudged(limit=10) == ()
    assert await known.findings() == ()
