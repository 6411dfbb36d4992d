"""Three days' outage, and then: all that the meters still know is there bit for bit, and nothing that was owed since suffered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from collector.clock import Clock
from protocols.dialect import Exchange
from protocols.dlt645.dialect import Dlt645Dialect
from protocols.profile import Profile
from protocols.telegram import Item
from simulators.load import Load
from simulators.meter import Meter
from simulators.timepiece import Timepiece
from storage.memory import MemoryLedger
from storage.records import Basis, Slot, Source
from tests.flow.backfilling import CURVE, DAILY, DAY, HOUR, MOUNTED, SHANGHAI, START, Village, decimal
from tests.links.driven_loop import run_driven

DOWN, BACK = START + DAY + 10 * HOUR, START + 4 * DAY + 10 * HOUR
END = START + 6 * DAY + HOUR


async def assert_true(village: Village, slots: Iterable[Slot]) -> None:
    """Each of these slots has its value, and it is the meter's, to the last digit."""
    stored = await village.stored()
    for slot in slots:
        reading = stored.get((slot.meter, slot.quantity, slot.basis, slot.at))
        assert reading is not None, slot
        assert decimal(reading) == village.truth(slot), slot
    assert await village.ledger.conflicts() == ()


async def assert_undisturbed(village: Village, start: datetime, end: datetime) -> None:
    """What came due from start to end was read live: every value as it runs in its window, what meters keep by no backfill."""
    filled = await village.ledger.filled(start, end)
    live = await village.owed(start, end - HOUR, plans=("running",))
    assert 1000 * len([slot for slot in live if slot not in filled]) <= len(live)
    brought = {slot for done in village.collected if done.task.source is Source.POLL for slot in done.filled}
    kept = await village.owed(start, end - 30 * timedelta(minutes=1))
    assert [slot for slot in kept if slot not in brought] == []


def backfilled(village: Village) -> set[Slot]:
    return {slot for done in village.collected if done.task.source is Source.BACKFILL for slot in done.filled}


async def first_rounds(village: Village, plan: str) -> tuple[int, int]:
    """Collected, and in the first round, of all days."""
    counts = await village.ledger.day_counts(START.date() - DAY, END.date() + DAY)
    collected = [one for one in counts if one.plan == plan and not one.reason]
    return sum(one.slots for one in collected), sum(one.first_round for one in collected)


def test_after_three_days_without_the_daemon_everything_is_there() -> None:
    async def story() -> None:
        village = Village(MemoryLedger())
        await village.begin()
        await village.run(DOWN)
        await village.down(BACK)
        await village.run(END)
        slots = await village.owed(START, END - 30 * timedelta(minutes=1))
        await assert_true(village, slots)
        await assert_undisturbed(village, BACK, END)
        lost = {slot for slot in slots if DOWN < slot.at < BACK and slot.at != START + 4 * DAY}
        lost -= {slot for slot in lost if slot.basis is Basis.CURVE and slot.at > BACK - timedelta(hours=6)}
        assert lost <= backfilled(village)
        collected, first = await first_rounds(village, "daily")
        assert collected - first == len([slot for slot in backfilled(village) if slot.basis is Basis.FREEZE])
        assert collected == len([slot for slot in slots if slot.basis is Basis.FREEZE])

    run_driven(story())


def test_after_three_days_without_the_line_everything_is_there_and_each_day_said_why_meanwhile() -> None:
    async def story() -> None:
        village = Village(MemoryLedger(), dead=((DOWN, BACK),))
        await village.begin()
        await village.run(BACK - HOUR)
        closed = await village.closed()
        gaps = [slot for slot in closed if slot.plan in ("daily", "curve")]
        assert {closed[slot].reason for slot in gaps} == {"no_answer"}
        for slot in gaps:  # the day on which the meter will overwrite it
            until = closed[slot].expires
            assert until == slot.at + (62 * DAY if slot.basis is Basis.FREEZE else 40 * DAY)
        await village.run(END)
        slots = await village.owed(START, END - 30 * timedelta(minutes=1))
        await assert_true(village, slots)
        await assert_undisturbed(village, BACK + HOUR, END)
        assert [slot for slot in await village.closed() if slot.plan != "running"] == []
        assert backfilled(village)

    run_driven(story())


def test_the_curve_of_days_is_asked_in_few_questions() -> None:
    async def story() -> None:
        village = Village(MemoryLedger(), meters=1, plans=(replace(CURVE, every_s=900),))
        await village.begin()
        await village.down(START + 2 * DAY)
        await village.run(START + 2 * DAY + HOUR)
        slots = await village.owed(START, START + 2 * DAY - timedelta(hours=6))
        await assert_true(village, slots)
        tasks = [done for done in village.collected if done.task.source is Source.BACKFILL]
        asked = [attempt for done in tasks for attempt in done.batch.attempts]
        assert len(asked) < len(slots) / 4

    run_driven(story())


def test_what_was_overwritten_is_named_and_the_rest_is_filled() -> None:
    async def story() -> None:
        village = Village(MemoryLedger(), meters=1, plans=(DAILY,))
        await village.begin()
        await village.run(START + 2 * DAY)
        await village.down(START + 70 * DAY)
        await village.run(START + 70 * DAY + 4 * HOUR)
        slots = await village.owed(START, START + 70 * DAY)
        old = [slot for slot in slots if START + 2 * DAY <= slot.at <= START + 8 * DAY]
        assert old
        await assert_true(village, [slot for slot in slots if slot not in old])
        closed = await village.closed()
        assert {slot: (why.reason, why.owner) for slot, why in closed.items()} == dict.fromkeys(
            old, ("overwritten", "ours")
        )
        for slot in old:
            assert closed[slot].expires == slot.at + 62 * DAY

    run_driven(story())


def special(**facts: object) -> Callable[[str, Load], Meter]:
    """Meters as everywhere here, but for these facts."""

    def make(name: str, load: Load) -> Meter:
        return Meter(name, load, mounted=MOUNTED, zone=SHANGHAI, phases=3, start_kwh=815_000_000, **facts)  # type: ignore[arg-type]

    return make


NIGHT = START + 3 * DAY
"""A midnight of the outage at which the meters have no power."""
DARK = special(dark=[(NIGHT - 2 * HOUR, NIGHT + 3 * HOUR)])


def test_a_midnight_without_power_shifts_all_numbers_and_no_value() -> None:
    async def story() -> None:
        village = Village(MemoryLedger(), meters=2, plans=(DAILY, CURVE), make=DARK)
        await village.begin()
        await village.run(DOWN)
        await village.down(BACK)
        await village.run(END)
        slots = await village.owed(START, END - 30 * timedelta(minutes=1))
        never = [
            slot
            for slot in slots
            if slot.at == NIGHT or (slot.basis is Basis.CURVE and NIGHT - 2 * HOUR <= slot.at < NIGHT + 3 * HOUR)
        ]
        await assert_true(village, [slot for slot in slots if slot not in never])
        closed = await village.closed()
        assert set(closed) == set(never)
        for slot in never:  # closed for good: nothing is asked for it any more
            assert closed[slot].reason == ("no_freeze" if slot.basis is Basis.FREEZE else "no_record")
            assert closed[slot].expires == slot.at
        before = len(village.collected)
        await village.run(END + 3 * HOUR)
        tasks = [done for done in village.collected[before:] if done.task.source is Source.BACKFILL]
        assert tasks == []

    run_driven(story())


def test_a_slow_clock_makes_its_copies_late_and_each_is_still_its_own_day() -> None:
    """Twenty minutes behind: at 00:05 its newest copy is yesterday's. Its freeze is what it showed at its own 00:00."""

    async def story() -> None:
        slow = timedelta(minutes=20)
        make = special(timepiece=Timepiece(SHANGHAI, MOUNTED, off=-slow))
        village = Village(MemoryLedger(), meters=2, plans=(DAILY,), make=make)
        await village.begin()
        await village.run(DOWN)
        await village.down(START + 4 * DAY + timedelta(minutes=10))
        await village.run(START + 5 * DAY)
        slots = await village.owed(START, START + 5 * DAY)
        stored = await village.stored()
        for slot in slots:
            reading = stored[slot.meter, slot.quantity, slot.basis, slot.at]
            assert decimal(reading) == village.truth(slot, slot.at + slow), slot
        assert await village.ledger.conflicts() == ()

    run_driven(story())


class Trusting(Dlt645Dialect):
    """Takes the number of a copy for its day, as if every midnight had been frozen: what must not be done."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def items(self, profile: Profile | None, exchanges: Sequence[Exchange]) -> tuple[Item, ...]:
        today = self._clock.now().astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return tuple(
            replace(item, time=today - (item.copy - 1) * DAY) if item.copy and item.basis == "freeze" else item
            for item in super().items(profile, exchanges)
        )


def test_who_trusts_numbers_stores_false_values() -> None:
    """The negative control of the night without power."""

    async def story() -> None:
        village = Village(MemoryLedger(), meters=2, plans=(DAILY,), make=DARK)
        village.dialect = Trusting(village.clock)
        await village.begin()
        await village.run(DOWN)
        await village.down(BACK)
        await village.run(END)
        stored = await village.stored()
        slots = await village.owed(START, END - 30 * timedelta(minutes=1))
        kept = [stored.get((slot.meter, slot.quantity, slot.basis, slot.at)) for slot in slots]
        false = [
            slot
            for slot, reading in zip(slots, kept, strict=True)
            if reading and decimal(reading) != village.truth(slot)
        ]
        assert false
        assert all(START < slot.at <= NIGHT for slot in false)

    run_driven(story())
