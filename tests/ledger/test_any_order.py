"""Whatever comes in whatever order: both ledgers say what the simplest model says, and every slot is accounted for."""

import asyncio
import itertools
import shutil
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from storage.ledger.port import Ledger
from storage.records import Batch, Done, Missing, Owner, Plan, Quality, Reading, Revision, Source
from tests.ledger.ledgers import DAY, IMPORT, KINDS, at, deliver, new_ledger, row, slot, standing
from tests.ledger.model import Key, Model

METERS, HOURS, PLANS = ("m1", "m2", "stranger"), range(4), ("a", "b", "")
ALL = at(-1000), at(1000)
slots = st.builds(slot, st.sampled_from(HOURS), st.sampled_from(METERS), plan=st.sampled_from(PLANS))


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Few meters, hours and values: they meet often."""
    which = draw(slots)
    given = draw(st.booleans())
    late = draw(st.sampled_from([0, 0, 1]))  # read later than the slot's own time: another key, the same slot
    resolution = draw(st.sampled_from([1_000, 10_000]))
    value = draw(st.sampled_from([12_345_000, 12_355_000, 20_000_000, -5_000_000])) // resolution * resolution
    return Reading(
        meter=which.meter,
        quantity=IMPORT,
        basis=which.basis,
        time=which.at + timedelta(minutes=late),
        value=value,
        resolution=resolution,
        source=Source.POLL,
        received_at=at(50),
        billable=draw(st.sampled_from([True, True, False])),
        slot=which if given else None,
        data_day=DAY + timedelta(days=(which.at - at(0)) // timedelta(hours=2)) if given else None,
    )


@st.composite
def missings(draw: st.DrawFn) -> Missing:
    which = draw(slots)
    day = DAY + timedelta(days=(which.at - at(0)) // timedelta(hours=2))
    reason = draw(st.sampled_from(["no_answer", "bad_checksum"]))
    return Missing(which, day, reason, Owner.LINE, "", draw(st.integers(0, 2)), which.at)


@st.composite
def dones(draw: st.DrawFn) -> Done:
    which = replace(draw(slots), quantity="clock")
    return Done(which, DAY, at(50))


batches = st.builds(
    Batch,
    done=st.lists(dones(), max_size=2).map(tuple),
    late=st.frozensets(slots | dones().map(lambda done: done.slot), max_size=4),
    readings=st.lists(readings(), max_size=5).map(tuple),
    missing=st.lists(missings(), max_size=4).map(tuple),
)
plans = st.lists(
    st.builds(Plan, name=st.sampled_from(PLANS[:2]), read=st.just((IMPORT,)), every_s=st.sampled_from([900, 3600])),
    unique_by=lambda plan: plan.name,
    max_size=2,
)


class AnyOrder(RuleBasedStateMachine):
    """Each step is done to the model and to both ledgers; then they are compared."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        self.runner = asyncio.Runner()
        self.ledgers = [self.runner.run(new_ledger(kind, self.folder)) for kind in KINDS]
        self.model = Model()
        self.sent: list[Batch] = []
        self.clock = itertools.count(1)
        self.steps = itertools.count(1)

    def teardown(self) -> None:
        for ledger in self.ledgers:
            self.runner.run(self.compare(ledger))
            self.runner.run(ledger.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(batch=batches)
    def append(self, batch: Batch) -> None:
        expected = self.model.append(batch)
        for ledger in self.ledgers:
            assert self.runner.run(ledger.append(batch)) == expected
        self.sent.append(batch)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        """Readings that come again change nothing at all."""
        batch = replace(data.draw(st.sampled_from(self.sent)), missing=())
        for ledger in self.ledgers:
            before = self.runner.run(everything(ledger))
            receipt = self.runner.run(ledger.append(batch))
            assert (receipt.stored, receipt.conflicts, receipt.slots_filled) == (0, 0, 0)
            assert self.runner.run(everything(ledger)) == before

    @rule(areas=st.tuples(st.sampled_from(["north", "south"]), st.sampled_from(["north", "south"])))
    def move_to_area(self, areas: tuple[str, str]) -> None:
        now = at(next(self.clock))
        rows = [row(meter, start=now, area=area) for meter, area in zip(METERS, areas, strict=False)]
        for ledger in self.ledgers:
            self.runner.run(ledger.import_registry(rows, digest="", at=now))
        self.model.registry = {one.meter.meter: one for one in rows}

    @rule(chosen=plans)
    def keep_plans(self, chosen: list[Plan]) -> None:
        now = at(next(self.clock))
        self.model.keep_plans(chosen, now)
        for ledger in self.ledgers:
            self.runner.run(ledger.keep_plans(chosen, at=now))

    @rule(
        qualities=st.lists(
            st.sampled_from([Quality.VERIFIED, Quality.ACCEPTED, Quality.SUSPECT]), min_size=24, max_size=24
        )
    )
    def judge(self, qualities: list[Quality]) -> None:
        chosen: dict[Key, Quality] = dict(zip(self.model.waiting(), qualities, strict=False))
        for ledger in self.ledgers:
            self.runner.run(judge(ledger, chosen))
        self.model.judge(chosen.__getitem__)

    @rule()
    def deliver(self) -> None:
        due = self.model.due()
        for ledger in self.ledgers:
            rows = self.runner.run(deliver(ledger))
            assert sorted((one.meter, one.quantity, one.basis, one.time) for one in rows) == due
            assert [one.seq for one in rows] == list(
                range(self.model.delivered + 1, self.model.delivered + 1 + len(due))
            )
        self.model.delivered += len(due)
        for key in due:
            kept = self.model.kept[key]
            kept.delivered = kept.best.value, kept.quality

    @invariant()
    def both_say_what_the_model_says(self) -> None:
        """The one in memory after every step, the slower one after some, and at the end."""
        memory, sqlite = self.ledgers
        self.runner.run(self.compare(memory))
        if next(self.steps) % 5 == 0:
            self.runner.run(self.compare(sqlite))

    async def compare(self, ledger: Ledger) -> None:
        model = self.model
        found = await standing(ledger)
        keys = [(one.reading.meter, one.reading.quantity, one.reading.basis, one.reading.time) for one in found]
        assert keys == sorted(model.kept)
        for key, one in zip(keys, found, strict=True):
            kept = model.kept[key]
            best = kept.best
            assert (one.value, one.reading.resolution, one.reading.billable) == (
                best.value,
                best.resolution,
                best.billable,
            )
            assert (one.quality, one.revision, one.reading.slot) == (kept.quality, len(kept.verdicts), kept.slot)
        assert [(one.time, one.other) for one in await ledger.conflicts()] == [
            (key[3], other) for key, other in model.conflicts
        ]
        waiting = [
            (one.registered.meter.meter, one.quantity, one.basis, time)
            for one in await ledger.unjudged(limit=1000)
            for time in one.times[one.judge_from :]
        ]
        assert sorted(waiting) == model.waiting()
        versions = [(one.plan, one.valid_from, one.valid_to) for one in await ledger.plan_versions(*ALL)]
        assert versions == sorted(model.plans, key=lambda one: (one[0].name, one[1]))
        await self.compare_slots(ledger)

    async def compare_slots(self, ledger: Ledger) -> None:
        model = self.model
        assert await ledger.filled(*ALL) == {which for which, state in model.slots.items() if not state.missing}
        closed = {one.slot: one for one in await ledger.closed(*ALL)}
        assert closed == {which: state.missing for which, state in model.slots.items() if state.missing}
        counters = await ledger.day_counts(DAY, DAY + timedelta(days=9))
        slots_seen: Counter[tuple[object, ...]] = Counter()
        first: Counter[tuple[object, ...]] = Counter()
        for one in counters:
            group = (one.channel, one.terminal, one.area, one.station, one.class_, one.profile)
            slots_seen[one.day, one.plan, group, one.reason] = one.slots
            first[one.day, one.plan, group, one.reason] = one.first_round
        assert slots_seen == model.counts()
        assert +first == model.first_rounds()
        per_day = Counter[tuple[object, str]]()
        for one in counters:
            per_day[one.day, one.plan] += one.slots
        distinct = Counter((state.day, which.plan) for which, state in model.slots.items() if which.plan)
        assert per_day == distinct


async def judge(ledger: Ledger, chosen: dict[Key, Quality]) -> None:
    """Give what waits the verdicts chosen for it."""
    revisions = []
    for series in await ledger.unjudged(limit=1000):
        for place in range(series.judge_from, len(series.times)):
            key = (series.registered.meter.meter, series.quantity, series.basis, series.times[place])
            n = series.revisions[place] + 1
            revisions.append(Revision(series.registered.point.point, *key, n, chosen[key], at(99)))
    await ledger.judge(revisions)


async def everything(ledger: Ledger) -> object:
    """All that a ledger can tell."""
    return (
        await standing(ledger),
        await ledger.conflicts(),
        await ledger.filled(*ALL),
        await ledger.closed(*ALL),
        await ledger.day_counts(DAY, DAY + timedelta(days=9)),
        await ledger.unjudged(limit=1000),
        await ledger.undelivered(limit=1000),
    )


def test_any_order() -> None:
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=60,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
