"""Pauses, what had its value when, and denominators that stay."""

import dataclasses
from datetime import datetime, timedelta

from storage.dues import Counted, MeterDay, Pause, Paused, Tried
from storage.ledger.port import Ledger
from storage.records import Attempt, Basis, Batch
from tests.ledger.ledgers import DAY, EXPORT, IMPORT, at, missing, read, reading, row, slot

LONG = at(-1000), at(1000)
HOLIDAY = Pause(Paused.METER, "m1", at(1), "anna", "the house is empty")


async def test_a_pause_lasts_until_somebody_ends_it(ledger: Ledger) -> None:
    assert await ledger.begin_pause(HOLIDAY)
    assert await ledger.pauses(*LONG) == (HOLIDAY,)
    assert await ledger.end_pause(Paused.METER, "m1", at=at(5), who="bert")
    ended = dataclasses.replace(HOLIDAY, until=at(5), ended_by="bert")
    assert await ledger.pauses(*LONG) == (ended,)
    assert not await ledger.end_pause(Paused.METER, "m1", at=at(6), who="bert")
    assert await ledger.pauses(*LONG) == (ended,)


async def test_what_is_paused_is_not_paused_again(ledger: Ledger) -> None:
    assert await ledger.begin_pause(HOLIDAY)
    assert not await ledger.begin_pause(dataclasses.replace(HOLIDAY, since=at(2), who="bert"))
    assert await ledger.begin_pause(dataclasses.replace(HOLIDAY, kind=Paused.CHANNEL))
    assert await ledger.begin_pause(dataclasses.replace(HOLIDAY, name="m2"))
    assert [(one.kind, one.name, one.who) for one in await ledger.pauses(*LONG)] == [
        (Paused.CHANNEL, "m1", "anna"),
        (Paused.METER, "m1", "anna"),
        (Paused.METER, "m2", "anna"),
    ]


async def test_a_pause_may_come_again_and_the_first_is_not_forgotten(ledger: Ledger) -> None:
    again = dataclasses.replace(HOLIDAY, since=at(7))
    await ledger.begin_pause(HOLIDAY)
    await ledger.end_pause(Paused.METER, "m1", at=at(5), who="bert")
    assert await ledger.begin_pause(again)
    assert [one.since for one in await ledger.pauses(*LONG)] == [at(1), at(7)]
    assert await ledger.pauses(at(5), at(7)) == ()
    assert [one.since for one in await ledger.pauses(at(4), at(5))] == [at(1)]
    assert await ledger.pauses(at(7), at(8)) == (again,)


async def test_what_had_its_value_at_an_instant(ledger: Ledger) -> None:
    await ledger.append(Batch(missing=(missing(slot(2)),)))
    await read(ledger, reading(1, 1, fills=slot(1)), reading(2, 2, fills=slot(2)), reading(1, 1, "m2"))
    await read(ledger, reading(4, 4, fills=slot(4)), reading(5, 5, fills=slot(5)))
    await read(ledger, dataclasses.replace(reading(1, 1, fills=slot(1)), received_at=at(9)))
    await read(ledger, dataclasses.replace(reading(3, 1, fills=slot(3, plan="")), data_day=None))

    async def at_instant(as_of: datetime, start: int = -1, end: int = 9, **told: object) -> tuple[Counted, ...]:
        asked = {"basis": Basis.INSTANT, "quantities": {IMPORT}} | told
        return await ledger.counted(at(start), at(end), as_of=as_of, **asked)  # type: ignore[arg-type]

    assert await at_instant(at(1, 4)) == ()
    assert await at_instant(at(1, 5)) == (Counted("m1", 1, 1),)
    assert await at_instant(at(2, 5)) == (Counted("m1", 2, 1),)
    assert await at_instant(at(99)) == (Counted("m1", 4, 3),)
    assert await at_instant(at(99), 2, 3) == (Counted("m1", 1, 0),)
    assert await at_instant(at(99), 1, 2) == (Counted("m1", 1, 1),)
    assert await at_instant(at(99), basis=Basis.FREEZE) == await at_instant(at(99), quantities={EXPORT}) == ()


async def test_tries_and_answers(ledger: Ledger) -> None:
    def attempt(hour: int, outcome: str, meter: str = "m1", channel: str = "bus") -> Attempt:
        return Attempt(meter, channel, "", at(hour), 5, outcome)

    tries = (attempt(1, "ok"), attempt(2, "no_answer"), attempt(2, "ok", "m2"), attempt(2, "ok", "m2", "radio"))
    await ledger.append(Batch(attempts=tries))
    await ledger.append(Batch(attempts=(attempt(3, "ok"), attempt(4, "ok"))))
    assert await ledger.tried(at(1), at(4)) == (
        Tried("m1", "bus", 3, 2),
        Tried("m2", "bus", 1, 1),
        Tried("m2", "radio", 1, 1),
    )


def of_day(meter: str, **told: object) -> MeterDay:
    return MeterDay(DAY, meter, f"P-{meter}", channel="village-1", profile="eastron_sdm630", **told)  # type: ignore[arg-type]


async def test_a_days_denominators_are_written_once(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1"), row("m2")], digest="", at=at(0))
    first = of_day("m1", area="north", total=True, freezes=5, points=96, automatic=True, reading_day=True)
    second = of_day("m2", area="south", total=True, paused_total=True, freezes=5, paused_freezes=5, paused_points=3)
    assert not await ledger.keep_meter_days(DAY, ())
    assert await ledger.keep_meter_days(DAY, (second, first))
    assert await ledger.meter_days(DAY, DAY) == (first, second)
    assert not await ledger.keep_meter_days(DAY, (of_day("m1"),))
    await ledger.import_registry([row("m1", area="west")], digest="", at=at(1))
    assert await ledger.meter_days(DAY, DAY) == (first, second)


async def test_denominators_come_by_day(ledger: Ledger) -> None:
    await ledger.import_registry([row("m1")], digest="", at=at(0))
    one = of_day("m1")
    days = [DAY + timedelta(days=n) for n in range(3)]
    for day in reversed(days):
        await ledger.keep_meter_days(day, (dataclasses.replace(one, day=day),))
    assert [one.day for one in await ledger.meter_days(days[0], days[1])] == days[:2]
