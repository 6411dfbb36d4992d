"""Whatever happens in whatever order: billing gets released values alone, each once, and in the end all of them (I5)."""

import asyncio
import tempfile
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collector.clock import DrivenClock
from collector.jobs.deliver import Deliverer
from collector.jobs.validate import validate
from collector.outlets.files import DeliveryDirectory, Step, unseen
from collector.vee.judge import Ruleset
from storage.days import utc_text
from storage.memory import MemoryLedger
from storage.records import RELEASED, Basis, Judged, Quality, Revision
from storage.values import MILLION, to_text
from tests.ledger.ledgers import standing
from tests.rooms.handing_over import NOW, ToyBilling, freeze, home, read, settle

T = TypeVar("T")
METERS = st.sampled_from(["m1", "m2"])
DAYS = st.integers(0, 6)
DECISIONS = st.sampled_from([Quality.EDITED, Quality.ESTIMATED, Quality.SUSPECT])
KWH = st.one_of(st.integers(0, 1000), st.sampled_from([99_999, 500_000]))


class Crash(Exception):
    """The process dies here."""


def crash_after(number: int) -> Step:
    left = iter(range(number))

    def crash(step: str) -> None:
        if next(left, None) is None:
            raise Crash(step)

    return crash


class Utility(RuleBasedStateMachine):
    """Readings come, are judged, edited, contradicted and handed over, and the process dies now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.ledger = MemoryLedger()
        self.clock = DrivenClock(NOW)
        self._place = tempfile.TemporaryDirectory()
        self.folder = Path(self._place.name) / "deliveries"
        self.folder.mkdir()
        self.billing = ToyBilling(self.folder)
        self.run(settle(self.ledger, home("m1", ct=20), home("m2")))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(work)

    def job(self, most_rows: int, step: Step = unseen) -> Deliverer:
        directory = DeliveryDirectory(self.folder, step=step)
        return Deliverer(self.ledger, directory, self.clock, ZoneInfo("Asia/Shanghai"), {}, (), most_rows, step)

    def standing(self) -> dict[tuple[str, str, str, str], Judged]:
        return {
            (one.reading.meter, one.reading.quantity, str(one.reading.basis), utc_text(one.reading.time)): one
            for one in self.run(standing(self.ledger))
        }

    @rule(meter=METERS, day=DAYS, kwh=KWH, billable=st.sampled_from([True, True, True, False]))
    def a_reading_comes(self, meter: str, day: int, kwh: int, billable: bool) -> None:
        """A second one for the same midnight is a redelivery, or a conflict."""
        self.run(read(self.ledger, freeze(day, kwh, meter=meter, billable=billable)))

    @rule(meter=METERS, first=st.integers(0, 100))
    def a_good_week_comes(self, meter: str, first: int) -> None:
        self.run(read(self.ledger, *(freeze(day, first + 10 * day, meter=meter) for day in range(7))))

    @rule(portion=st.sampled_from([1, 3, 100]))
    def values_are_judged(self, portion: int) -> None:
        self.run(validate(self.ledger, Ruleset(), self.clock, portion=portion))

    @rule(
        meter=METERS,
        day=DAYS,
        kwh=st.integers(0, 1000),
        quality=st.sampled_from([Quality.EDITED, Quality.ESTIMATED, Quality.SUSPECT]),
    )
    def a_person_decides(self, meter: str, day: int, kwh: int, quality: Quality) -> None:
        there = self.standing().get((meter, "1-0:1.8.0", "freeze", utc_text(freeze(day, 0).time)))
        if there is None:
            return
        value = None if quality is Quality.SUSPECT else kwh * MILLION
        time = there.reading.time
        self.run(
            self.ledger.judge(
                [Revision(there.point, meter, "1-0:1.8.0", Basis.FREEZE, time, there.revision + 1, quality, NOW, value)]
            )
        )

    @rule(most_rows=st.sampled_from([1, 2, 100]))
    def values_are_handed_over(self, most_rows: int) -> None:
        self.run(self.job(most_rows).run())
        self.clock.advance(self.clock.now() + timedelta(minutes=1))

    @rule(most_rows=st.sampled_from([1, 2, 100]), steps=st.integers(0, 30))
    def the_process_dies_while_handing_over(self, most_rows: int, steps: int) -> None:
        try:
            self.run(self.job(most_rows, crash_after(steps)).run())
        except Crash:
            self.clock.advance(self.clock.now() + timedelta(minutes=1))

    @invariant()
    def billing_has_only_what_was_released(self) -> None:
        """Numbers, checksums, doubles and corrections are the toy's own business; here: what it got then was right."""
        had = len(self.billing.rows)
        standing = self.standing()
        # A delivery may be written after a crash, when the ledger has moved on; what was promised then stays true.
        for row in self.billing.load().rows[had:]:
            one = standing[row["meter"], row["quantity"], row["basis"], row["time"]]
            assert one.reading.billable
            if one.revision == row["revision"] and str(one.quality) == row["quality"]:
                assert one.quality in RELEASED
                assert to_text(one.value, one.reading.resolution) == row["value"]
            else:
                assert one.revision >= row["revision"]

    def teardown(self) -> None:
        """In the end, billing has every released value, and nothing else but what was released once."""
        try:
            self.run(validate(self.ledger, Ruleset(), self.clock))
            self.run(self.job(100).run())
            self.billing_has_only_what_was_released()
            standing = self.standing()
            released = {
                key: to_text(one.value, one.reading.resolution)
                for key, one in standing.items()
                if one.quality in RELEASED and one.reading.billable
            }
            kept = {key: value for key, value in self.billing.values.items() if key in released}
            assert kept == released
            assert all(standing[key].revision > 1 for key in self.billing.values.keys() - released.keys())
            assert self.run(self.job(100).run()).nothing
        finally:
            self.loop.close()
            self._place.cleanup()


TestUtility = Utility.TestCase
TestUtility.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)


def test_the_toy_sees_what_it_must_see() -> None:
    """The checks of this file can fail: a gap, a changed byte, a broken chain."""
    machine = Utility()
    try:
        machine.a_good_week_comes("m1", 1)
        machine.values_are_judged(100)
        machine.values_are_handed_over(3)
        assert len(ToyBilling(machine.folder).load().rows) == 7
        data = machine.folder / "batch-00000002.jsonl"
        manifest = machine.folder / "batch-00000002.manifest.json"
        whole, told = data.read_bytes(), manifest.read_bytes()
        data.write_bytes(whole.replace(b"verified", b"suspect!"))
        with pytest.raises(AssertionError, match="the data is not what the manifest says"):
            ToyBilling(machine.folder).load()
        data.write_bytes(whole)
        manifest.write_bytes(told.replace(b'"rows":3', b'"rows":3 '))
        with pytest.raises(AssertionError, match="the chain is broken"):
            ToyBilling(machine.folder).load()
        data.unlink()
        with pytest.raises(AssertionError, match="a manifest without its data"):
            ToyBilling(machine.folder).load()
        manifest.unlink()
        with pytest.raises(AssertionError, match="a delivery is missing"):
            ToyBilling(machine.folder).load()
    finally:
        machine.loop.close()
        machine._place.cleanup()
