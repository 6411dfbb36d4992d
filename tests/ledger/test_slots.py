"""Slots and day counters: every expected reading is collected or missing, once, with its reason (promise 3)."""

import dataclasses
from datetime import date, timedelta
from pathlib import Path

from storage.engine import open_ledger
from storage.ledger.port import Ledger
from storage.records import Batch, DayCount, Done, Missing, Owner, Receipt, Slot
from tests.ledger.ledgers import DAY, EXPORT, at, missing, new_ledger, read, reading, row, slot, standing

LONG = at(-1000), at(1000)


def count(reason: str, slots: int, first_round: int = 0, **dimensions: object) -> DayCount:
    """A counter of meters that the registry does not know, unless `dimensions` say so."""
    empty = {"channel": "", "terminal": "", "area": "", "station": "", "class_": "", "profile": ""}
    told = {"day": DAY, "plan": "hourly"} | empty | dimensions
    return DayCount(reason=reason, slots=slots, first_round=first_round, **told)  # type: ignore[arg-type]


async def counts(ledger: Ledger) -> tuple[DayCount, ...]:
    return await ledger.day_counts(DAY, DAY)


async def test_the_first_value_fills_a_slot(ledger: Ledger) -> None:
    receipt = await ledger.append(Batch(readings=(reading(1, 1, fills=slot(1)), reading(2, 1, fills=slot(1)))))
    assert receipt == Receipt(stored=2, duplicates=0, conflicts=0, slots_filled=1)
    assert await ledger.filled(*LONG) == {slot(1)}
    assert [one.reading.slot for one in await standing(ledger)] == [slot(1), None]
    assert [one.reading.data_day for one in await standing(ledger)] == [DAY, None]
    assert await counts(ledger) == (count("", 1, 1),)


async def test_a_duplicate_brings_its_slot_to_a_reading_without_one(ledger: Ledger) -> None:
    await read(ledger, reading(1, 1))
    receipt = await ledger.append(Batch(readings=(reading(1, 1, fills=slot(1)),)))
    assert receipt == Receipt(stored=0, duplicates=1, conflicts=0, slots_filled=1)
    (one,) = await standing(ledger)
    assert (one.reading.slot, one.reading.data_day) == (slot(1), DAY)
    assert await ledger.filled(*LONG) == {slot(1)}


async def test_one_reading_fills_the_slots_of_two_plans(ledger: Ledger) -> None:
    await read(ledger, reading(1, 1, fills=slot(1)))
    await read(ledger, reading(1, 1, fills=slot(1, plan="daily")))
    assert await ledger.filled(*LONG) == {slot(1), slot(1, plan="daily")}
    assert [one.reading.slot for one in await standing(ledger)] == [slot(1)]
    assert [one.plan for one in await counts(ledger)] == ["daily", "hourly"]


async def test_a_conflicting_value_fills_its_slot_too(ledger: Ledger) -> None:
    """Something was read: the slot is not missing, its value is suspect."""
    await read(ledger, reading(1, 1))
    await read(ledger, reading(1, 2, fills=slot(1)))
    assert await ledger.filled(*LONG) == {slot(1)}


async def test_a_missing_slot_has_its_reason(ledger: Ledger) -> None:
    why = Missing(slot(1), DAY, "bad_checksum", Owner.LINE, "FE 68", 2, at(1), at(500))
    await ledger.append(Batch(missing=(why,)))
    assert await ledger.closed(*LONG) == (why,)
    assert await ledger.filled(*LONG) == frozenset()
    assert await counts(ledger) == (count("bad_checksum", 1),)


async def test_a_newer_reason_replaces_the_older_and_adds_its_attempts(ledger: Ledger) -> None:
    first = dataclasses.replace(missing(slot(1), "no_answer", attempts=3), expires=at(500))
    second = dataclasses.replace(
        missing(slot(1), "bad_digits", attempts=2, detail="0x0A"), since=at(7), owner=Owner.METER
    )
    await ledger.append(Batch(missing=(first,)))
    await ledger.append(Batch(missing=(second,)))
    expected = dataclasses.replace(second, attempts=5, since=at(1), expires=at(500))
    assert await ledger.closed(*LONG) == (expected,)
    assert await counts(ledger) == (count("bad_digits", 1),)


async def test_a_value_ends_what_was_missing(ledger: Ledger) -> None:
    await ledger.append(Batch(missing=(missing(slot(1)), missing(slot(2)))))
    receipt = await ledger.append(Batch(readings=(reading(1, 1, fills=slot(1)),)))
    assert receipt.slots_filled == 1
    assert [one.slot for one in await ledger.closed(*LONG)] == [slot(2)]
    assert await counts(ledger) == (count("", 1, first_round=0), count("no_answer", 1))


async def test_what_has_a_value_is_never_missing(ledger: Ledger) -> None:
    await read(ledger, reading(1, 1, fills=slot(1)))
    await ledger.append(Batch(missing=(missing(slot(1)),)))
    await ledger.append(Batch(readings=(reading(2, 1, fills=slot(2)),), missing=(missing(slot(2)),)))
    assert await ledger.closed(*LONG) == ()
    assert await counts(ledger) == (count("", 2, 2),)


async def test_what_comes_after_the_cut_off_is_collected_and_not_of_the_first_round(ledger: Ledger) -> None:
    in_time, late = reading(1, 1, fills=slot(1)), reading(2, 2, fills=slot(2))
    await ledger.append(Batch(readings=(in_time, late), late=frozenset({slot(2)})))
    assert await ledger.filled(*LONG) == {slot(1), slot(2)}
    assert await counts(ledger) == (count("", 2, first_round=1),)


async def test_what_words_stand_for_is_done_without_a_reading(ledger: Ledger) -> None:
    clock, status, events = (slot(1, quantity=word) for word in ("clock", "status", "events"))
    await ledger.append(Batch(missing=(missing(clock), missing(events))))
    served = Batch(done=(Done(clock, DAY, at(2)), Done(status, DAY, at(2))))
    receipt = await ledger.append(served)
    assert receipt == Receipt(stored=0, duplicates=0, conflicts=0, slots_filled=2)
    assert (await ledger.append(served)).slots_filled == 0
    assert await ledger.filled(*LONG) == {clock, status}
    assert [one.slot for one in await ledger.closed(*LONG)] == [events]
    assert await counts(ledger) == (count("", 2, first_round=1), count("no_answer", 1))
    assert await standing(ledger) == []


async def test_redelivery_counts_nothing_twice(ledger: Ledger) -> None:
    batch = Batch(readings=(reading(1, 1, fills=slot(1)), reading(2, 2, fills=slot(2))))
    for _ in range(3):
        await ledger.append(batch)
    assert await counts(ledger) == (count("", 2, 2),)


async def test_what_was_asked_on_demand_is_listed_but_not_counted(ledger: Ledger) -> None:
    asked = missing(slot(1, plan=""))
    await ledger.append(Batch(missing=(asked,)))
    assert await ledger.closed(*LONG) == (asked,)
    assert await counts(ledger) == ()
    answered = dataclasses.replace(reading(1, 1, fills=slot(1, plan="")), data_day=None)
    await read(ledger, answered)
    assert await ledger.closed(*LONG) == ()
    assert await counts(ledger) == ()
    assert await ledger.filled(*LONG) == {slot(1, plan="")}


async def test_a_slot_is_counted_where_the_registry_had_its_meter(ledger: Ledger) -> None:
    known = row("m1", area="north", station="s1", class_="farm")
    await ledger.import_registry([known], digest="", at=at(0))
    await ledger.append(Batch(missing=(missing(slot(1)),)))
    await ledger.import_registry([row("m1", area="south", station="s1", class_="farm")], digest="", at=at(1))
    await ledger.append(Batch(readings=(reading(1, 1, fills=slot(1)), reading(2, 1, fills=slot(2)))))
    there = {"channel": "village-1", "station": "s1", "class_": "farm", "profile": "eastron_sdm630"}
    assert await counts(ledger) == (count("", 1, 0, area="north", **there), count("", 1, 1, area="south", **there))


async def test_counters_are_by_day(ledger: Ledger) -> None:
    tomorrow = DAY + timedelta(days=1)
    await read(
        ledger, reading(1, 1, fills=slot(1)), dataclasses.replace(reading(20, 1, fills=slot(20)), data_day=tomorrow)
    )
    assert [one.day for one in await ledger.day_counts(DAY, tomorrow)] == [DAY, tomorrow]
    assert [one.day for one in await ledger.day_counts(tomorrow, date.max)] == [tomorrow]
    assert await ledger.day_counts(date.min, DAY - timedelta(days=1)) == ()


async def test_slots_are_asked_for_by_their_time(ledger: Ledger) -> None:
    filled, gone = [slot(hour) for hour in (1, 2, 3)], [slot(hour, "m2") for hour in (1, 2, 3)]
    await ledger.append(
        Batch(
            readings=tuple(reading(n, 1, fills=one) for n, one in enumerate(filled)), missing=tuple(map(missing, gone))
        )
    )
    assert await ledger.filled(at(2), at(3)) == {slot(2)}
    assert [one.slot for one in await ledger.closed(at(2), at(3))] == [slot(2, "m2")]


async def test_missing_slots_come_by_meter_quantity_and_time(ledger: Ledger) -> None:
    slots = [
        Slot("p", meter, code, slot(1).basis, at(hour)) for hour in (2, 1) for code in ("b", "a") for meter in "zy"
    ]
    await ledger.append(Batch(missing=tuple(map(missing, slots))))
    found = [(one.slot.meter, one.slot.quantity, one.slot.at) for one in await ledger.closed(*LONG)]
    assert found == sorted(found)


async def test_of_these_slots_which_have_no_value_and_why(ledger: Ledger) -> None:
    """What backfill asks: a few slots, by name; names that nobody has heard of are unfilled too."""
    why = Missing(slot(2), DAY, "no_answer", Owner.LINE, attempts=3, since=at(2), expires=at(500))
    await ledger.append(Batch(readings=(reading(1, 1, fills=slot(1)),), missing=(why,)))
    asked = [slot(1), slot(2), slot(3), slot(1, meter="nobody"), slot(1, plan="new"), slot(1, quantity=EXPORT), slot(3)]
    assert dict(await ledger.unfilled(asked)) == {
        slot(2): why,
        slot(3): None,
        slot(1, meter="nobody"): None,
        slot(1, plan="new"): None,
        slot(1, quantity=EXPORT): None,
    }
    assert await ledger.unfilled([]) == {}


async def test_names_are_known_from_the_disk_not_only_from_what_this_process_wrote(tmp_path: Path) -> None:
    first = await new_ledger("sqlite", tmp_path)
    await first.append(Batch(readings=(reading(1, 1, fills=slot(1)),)))
    await first.close()
    again = await open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", create=False)
    assert dict(await again.unfilled([slot(1), slot(2)])) == {slot(2): None}
    await again.close()
