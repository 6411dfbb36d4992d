"""The job between the ledger and the lines: what it looks at, what it prepares and in which order, and in how small slices."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.plan import gives_by
from collector.acquisition.planner import Planner
from collector.acquisition.tasks import Task
from collector.acquisition.urgency import Urgency
from collector.clock import DrivenClock
from collector.jobs.backfill import SLICE, Backfill
from protocols.profile import builtin_profiles
from storage.days import data_day
from storage.dues import Paused
from storage.memory import MemoryLedger
from storage.records import Basis, Batch, Missing, Owner, Plan, Reading, Slot, Source
from storage.registry import Installation, Meter, Point, Registered

SHANGHAI = ZoneInfo("Asia/Shanghai")
PROFILES = builtin_profiles()
DAY = timedelta(days=1)
START = datetime(2026, 3, 9, 16, tzinfo=UTC)
"""00:00 of 10 March."""
NOW = START + 9 * DAY + timedelta(hours=8)
IMPORT = "1-0:1.8.0"
DAILY = Plan("daily", (IMPORT,), Basis.FREEZE, at_minute=5)
CURVE = Plan("curve", (IMPORT,), Basis.CURVE, every_s=900)


class Watched(MemoryLedger):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def unfilled(self, slots: Sequence[Slot]) -> Mapping[Slot, Missing | None]:
        self.asked.append(len(slots))
        return await super().unfilled(slots)


def row(meter: str, channel: str = "line", *, group: str = "") -> Registered:
    return Registered(
        Meter(meter, "dlt645_2007_3p", channel, meter),
        Point(f"P-{meter}", billing_group=group),
        Installation(meter, f"P-{meter}", START - 30 * DAY),
    )


class Place:
    """A ledger with meters and plans since `START`, a planner, and the job."""

    def __init__(self, *rows: Registered) -> None:
        self.rows = rows
        self.ledger = Watched()
        self.clock = DrivenClock(NOW)
        self.planner = Planner(SHANGHAI, gives_by(PROFILES), frozenset({"line", "other"}))
        self.planner.reading_days = {"homes": 13}
        self.job = Backfill(self.planner, PROFILES, self.ledger, self.clock)

    async def begin(self, *plans: Plan) -> None:
        await self.ledger.import_registry(self.rows, digest="", at=START - 30 * DAY)
        await self.ledger.keep_plans(plans, at=START)
        self.planner.load((), self.rows, NOW)

    async def fill(self, *slots: Slot) -> None:
        readings = [
            Reading(
                *(slot.meter, slot.quantity, slot.basis, slot.at, 1_000_000, 10_000, Source.POLL, NOW, True, slot),
                data_day(slot.at, slot.basis, SHANGHAI),
            )
            for slot in slots
        ]
        await self.ledger.append(Batch(readings=tuple(readings)))

    async def tasks(self, channel: str = "line") -> list[Task]:
        """What waits for a line after a look."""
        await self.job.look()
        await self.job.prepare()
        found = []
        while waiting := self.job.leads.waiting(channel, NOW):
            task = self.job.leads.take(channel, min(waiting), NOW)
            assert task is not None
            found.append(task)
        return found


def freeze(days: int, meter: str = "m1") -> Slot:
    """00:00, so many days after the 10th."""
    return Slot("daily", meter, IMPORT, Basis.FREEZE, START + days * DAY)


async def test_reading_day_then_yesterday_then_what_is_lost_first() -> None:
    place = Place(row("m1", group="homes"))
    await place.begin(DAILY)
    first, second = (await place.tasks())[0], (await place.tasks())[0:]
    assert (first.urgency, first.slots, first.source) == (Urgency.READING_DAY, (freeze(3),), Source.BACKFILL)
    assert second == []  # one visit of a meter at a time
    place.job.leads.released(first)
    place.job.leads.forget_ready()
    await place.fill(freeze(3))
    (then,) = await place.tasks()
    assert then.urgency is Urgency.BACKFILL
    # 12 questions: four stamps with a value each; the window of today's freeze is open, yesterday's is the first
    assert then.slots == (freeze(0), freeze(1), freeze(2), freeze(8))
    assert then.cutoffs == {slot: slot.at for slot in then.slots}


async def test_nothing_is_looked_at_twice_and_whole_days_not_at_all() -> None:
    place = Place(row("m1"), row("m2"))
    await place.begin(DAILY)
    await place.fill(
        *(freeze(days, meter) for days in range(9) for meter in ("m1", "m2") if (days, meter) != (4, "m2"))
    )
    await place.job.look()
    assert place.ledger.asked == [2]  # the one day that is not whole
    assert len(place.job.leads) == 1
    place.clock.advance(NOW + timedelta(hours=1))
    await place.job.look()
    assert place.ledger.asked == [2]
    place.clock.advance(NOW + DAY)
    await place.job.look()
    assert place.ledger.asked == [2, 2]  # what has closed since


async def test_slices_are_small_whatever_is_missing() -> None:
    place = Place(*(row(f"m{n}") for n in range(100)))
    await place.begin(DAILY, CURVE)
    await place.job.look()
    assert max(place.ledger.asked) <= SLICE
    assert sum(place.ledger.asked) > 50_000
    assert len(place.job.leads) == 100


async def test_what_is_left_out_on_purpose_is_not_asked_for() -> None:
    place = Place(row("m1"), row("m2"))
    await place.begin(DAILY)
    place.planner.leave_out(frozenset({(Paused.METER, "m1")}), NOW)
    assert [task.registered.meter.meter for task in await place.tasks()] == ["m2"]
    place.planner.leave_out(frozenset(), NOW)
    assert place.job.leads.next_alarm(NOW + timedelta(hours=1)) is None
    assert [task.registered.meter.meter for task in await place.tasks()] == ["m1"]


async def test_each_line_has_its_own() -> None:
    place = Place(row("m1"), row("m2", "other"))
    await place.begin(DAILY)
    assert [task.registered.meter.meter for task in await place.tasks()] == ["m1"]
    assert [task.registered.meter.meter for task in await place.tasks("other")] == ["m2"]


async def test_what_the_meter_has_no_more_is_closed_with_the_owner_of_what_kept_it_from_being_read() -> None:
    place = Place(row("m1"))
    await place.begin(DAILY)
    silent = Missing(freeze(1), data_day(freeze(1).at, Basis.FREEZE, SHANGHAI), "no_answer", Owner.LINE, "silent", 3)
    await place.ledger.append(Batch(missing=(silent,)))
    place.clock.advance(START + 63 * DAY + timedelta(hours=1))
    await place.job.look()
    closed = {one.slot: one for one in await place.ledger.closed(START, START + 70 * DAY)}
    assert {slot: (one.reason, one.owner) for slot, one in closed.items()} == {
        freeze(0): ("overwritten", Owner.OURS),
        freeze(1): ("overwritten", Owner.LINE),
    }
    assert closed[freeze(1)].attempts == 3
    assert "silent" in closed[freeze(1)].detail
    assert closed[freeze(1)].expires == START + 63 * DAY
