"""Storing readings: the same again, another value, another resolution."""

import dataclasses
from datetime import UTC, datetime, timedelta, timezone

import pytest

from storage.errors import ValueRefused
from storage.ledger.port import Ledger
from storage.records import Basis, Batch, Conflict, DeadLetter, Quality, Reading, Receipt, Source
from tests.ledger.ledgers import EXPORT, IMPORT, at, read, reading, row, slot, standing, verdict, verify


async def test_what_was_read_is_there(ledger: Ledger) -> None:
    stored = reading(1, 123, fills=slot(1), thousandths=456)
    receipt = await ledger.append(Batch(readings=(stored,)))
    assert receipt == Receipt(stored=1, duplicates=0, conflicts=0, slots_filled=1)
    (one,) = await standing(ledger)
    assert one.reading == stored
    assert (one.quality, one.revision, one.value, one.point) == (Quality.RAW, 0, 123_456_000, "")
    assert one.reading.time.tzinfo is UTC


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 0, -1])
async def test_values_are_exact_to_the_last_bit(ledger: Ledger, value: int) -> None:
    when = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
    stored = Reading("m1", IMPORT, Basis.CURVE, when, value, 1, Source.PUSH, at(0, 1))
    await read(ledger, stored)
    (one,) = await standing(ledger)
    assert one.reading == stored


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
async def test_what_does_not_fit_is_refused_with_all_of_its_batch(ledger: Ledger, value: int) -> None:
    with pytest.raises(ValueRefused, match="does not fit 64 bits"):
        await read(ledger, reading(1, 1), dataclasses.replace(reading(2, 1), value=value))
    assert await standing(ledger) == []


async def test_times_are_utc(ledger: Ledger) -> None:
    local = reading(1, 1).time.astimezone(timezone(timedelta(hours=8)))
    with pytest.raises(ValueError, match="is not in UTC"):
        await read(ledger, dataclasses.replace(reading(1, 1), time=local))
    with pytest.raises(ValueError, match="is not in UTC"):
        await read(ledger, dataclasses.replace(reading(1, 1), received_at=at(1).replace(tzinfo=None)))


async def test_a_reading_fills_its_own_slot_only(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="slot of another value"):
        await read(ledger, reading(1, 1, fills=slot(1, "m2")))
    with pytest.raises(ValueError, match="names no data day"):
        await read(ledger, dataclasses.replace(reading(1, 1, fills=slot(1)), data_day=None))


async def test_the_same_again_changes_nothing(ledger: Ledger) -> None:
    await read(ledger, reading(1, 10))
    again = dataclasses.replace(reading(1, 10), source=Source.BACKFILL, received_at=at(9))
    receipt = await ledger.append(Batch(readings=(again, again)))
    assert receipt == Receipt(stored=0, duplicates=2, conflicts=0, slots_filled=0)
    assert [one.reading for one in await standing(ledger)] == [reading(1, 10)]


async def test_the_same_twice_in_one_batch(ledger: Ledger) -> None:
    receipt = await ledger.append(Batch(readings=(reading(1, 10), reading(1, 10), reading(1, 11))))
    assert receipt == Receipt(stored=1, duplicates=1, conflicts=1, slots_filled=0)
    (one,) = await standing(ledger)
    assert (one.value, one.quality) == (10_000_000, Quality.SUSPECT)


async def test_another_value_is_a_conflict_and_the_first_stays(ledger: Ledger) -> None:
    await read(ledger, reading(1, 10))
    other = dataclasses.replace(reading(1, 11), source=Source.PUSH, received_at=at(2))
    receipt = await ledger.append(Batch(readings=(other, reading(2, 12))))
    assert receipt == Receipt(stored=1, duplicates=0, conflicts=1, slots_filled=0)
    expected = Conflict("m1", IMPORT, Basis.INSTANT, at(1), 10_000_000, 11_000_000, Source.PUSH, at(2))
    assert await ledger.conflicts() == (expected,)
    assert [(one.value, one.quality) for one in await standing(ledger)] == [
        (10_000_000, Quality.SUSPECT),
        (12_000_000, Quality.RAW),
    ]


async def test_a_conflict_comes_once(ledger: Ledger) -> None:
    await read(ledger, reading(1, 10))
    await read(ledger, reading(1, 11))
    receipt = await ledger.append(Batch(readings=(reading(1, 11), reading(1, 10))))
    assert receipt == Receipt(stored=0, duplicates=2, conflicts=0, slots_filled=0)
    await read(ledger, reading(1, 12))
    assert [(one.value, one.other) for one in await ledger.conflicts()] == [
        (10_000_000, 11_000_000),
        (10_000_000, 12_000_000),
    ]


async def test_a_conflict_makes_a_verified_value_suspect_and_wait_again(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1")], digest="", at=at(0))
    await read(ledger, reading(1, 10))
    await verify(ledger)
    assert await ledger.unjudged(limit=10) == ()
    await read(ledger, reading(1, 11))
    (one,) = await standing(ledger)
    assert (one.quality, one.revision, one.value) == (Quality.SUSPECT, 1, 10_000_000)
    (series,) = await ledger.unjudged(limit=10)
    assert (series.conflicted, series.revisions, series.judge_from) == ((True,), (1,), 0)


async def test_no_rule_can_verify_a_conflict_a_person_can_accept(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1")], digest="", at=at(0))
    await read(ledger, reading(1, 10), reading(1, 11))
    await ledger.judge([verdict(1, Quality.VERIFIED)])  # reached before the conflict was known
    assert [one.quality for one in await standing(ledger)] == [Quality.SUSPECT]
    assert len(await ledger.unjudged(limit=10)) == 1
    await ledger.judge([verdict(1, Quality.ACCEPTED, n=2)])
    assert [one.quality for one in await standing(ledger)] == [Quality.ACCEPTED]
    assert await ledger.unjudged(limit=10) == ()
    await read(ledger, reading(1, 11))  # known already
    assert [one.quality for one in await standing(ledger)] == [Quality.ACCEPTED]
    await read(ledger, reading(1, 12))
    assert [one.quality for one in await standing(ledger)] == [Quality.SUSPECT]


@pytest.mark.parametrize("coarse", [12_300_000, 12_400_000])  # cut off, or rounded
async def test_two_resolutions_of_one_reading_agree_and_the_finer_is_kept(ledger: Ledger, coarse: int) -> None:
    rough = dataclasses.replace(reading(1, 12), value=coarse, resolution=100_000, source=Source.TERMINAL)
    fine = reading(1, 12, thousandths=356)
    receipt = await ledger.append(Batch(readings=(rough,)))
    receipt = await ledger.append(Batch(readings=(fine,)))
    assert receipt == Receipt(stored=0, duplicates=1, conflicts=0, slots_filled=0)
    for again in (rough, fine, rough):
        (one,) = await standing(ledger)
        assert (one.reading, one.value, one.quality) == (fine, 12_356_000, Quality.RAW)
        await read(ledger, again)
    assert await ledger.conflicts() == ()


@pytest.mark.parametrize("coarse", [12_200_000, 12_500_000, -12_300_000])
async def test_two_resolutions_that_do_not_agree(ledger: Ledger, coarse: int) -> None:
    await read(ledger, reading(1, 12, thousandths=356))
    await read(ledger, dataclasses.replace(reading(1, 12), value=coarse, resolution=100_000))
    assert [one.other for one in await ledger.conflicts()] == [coarse]


async def test_at_one_resolution_only_the_same_is_the_same(ledger: Ledger) -> None:
    """Even where a value says more than its resolution."""
    await read(ledger, *(dataclasses.replace(reading(1, 1), value=value) for value in (12_345_400, 12_345_401)))
    assert [one.other for one in await ledger.conflicts()] == [12_345_401]


async def test_a_finer_value_after_the_verdict_waits_for_its_own(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1")], digest="", at=at(0))
    await read(ledger, dataclasses.replace(reading(1, 12), value=12_300_000, resolution=100_000))
    await verify(ledger)
    await read(ledger, dataclasses.replace(reading(1, 12), value=12_300_000))  # finer, but says the same
    assert [one.quality for one in await standing(ledger)] == [Quality.VERIFIED]
    await read(ledger, dataclasses.replace(reading(1, 12), value=12_300_400, resolution=100))
    (one,) = await standing(ledger)
    assert (one.quality, one.revision, one.value) == (Quality.RAW, 1, 12_300_400)
    await verify(ledger)
    (one,) = await standing(ledger)
    assert (one.quality, one.revision) == (Quality.VERIFIED, 2)


async def test_what_came_is_never_a_conflict_with_itself(ledger: Ledger) -> None:
    """12.4 agrees with 12.35, and that with 12.349, which alone would contradict 12.4."""
    chain = [(12_400_000, 100_000), (12_350_000, 10_000), (12_349_000, 1000)]
    readings = [dataclasses.replace(reading(1, 1), value=value, resolution=step) for value, step in chain]
    for one in (*readings, *readings, *reversed(readings)):
        await read(ledger, one)
    assert await ledger.conflicts() == ()
    assert [one.value for one in await standing(ledger)] == [12_349_000]


async def test_readings_by_meter_quantity_basis_and_time(ledger: Ledger) -> None:
    freeze = dataclasses.replace(reading(1, 1), basis=Basis.FREEZE)
    stored = [
        reading(hour, 1, meter, quantity=code)
        for meter in ("m2", "m1", "米")
        for code in (EXPORT, IMPORT)
        for hour in (3, 1)
    ]
    await read(ledger, *stored, freeze)
    found = [one.reading for one in await standing(ledger)]
    assert found == sorted([*stored, freeze], key=lambda one: (one.meter, one.quantity, one.basis, one.time))


async def test_readings_are_chosen(ledger: Ledger) -> None:
    freeze = dataclasses.replace(reading(2, 1), basis=Basis.FREEZE)
    await read(
        ledger, reading(1, 1), reading(2, 1), reading(3, 1), reading(2, 1, "m2"), reading(2, 1, quantity=EXPORT), freeze
    )
    assert len(await standing(ledger)) == 6
    assert len(await standing(ledger, meters=["m1"])) == 5
    assert len(await standing(ledger, meters=["nobody"])) == 0
    assert len(await standing(ledger, quantities={IMPORT})) == 5
    assert len(await standing(ledger, basis=Basis.FREEZE)) == 1
    assert [one.reading.time for one in await standing(ledger, meters=["m1"], start=at(2), end=at(3))] == [at(2)] * 3
    assert len(await standing(ledger, meters=["m1"], quantities=[IMPORT], basis=Basis.INSTANT, start=at(2))) == 2


async def test_dead_letters_are_kept(ledger: Ledger) -> None:
    letters = tuple(DeadLetter(at(hour), "meters/1/reading", "bad_json", "line 1", b"\xff{") for hour in (2, 1))
    await ledger.append(Batch(dead_letters=letters))
    assert await ledger.dead_letters() == letters
