"""What a meter is asked for its memory, and what follows from its answers: values by their own stamps, or a reason."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from collector.acquisition.recall import Lost, Recall, recalls
from protocols.dialect import Wanted
from protocols.profile import builtin_profiles
from protocols.telegram import Item
from storage.records import Basis, Slot

SHANGHAI = ZoneInfo("Asia/Shanghai")
PROFILE = builtin_profiles()["dlt645_2007_3p"]
IMPORT, EXPORT = "1-0:1.8.0", "1-0:2.8.0"
DAY, QUARTER = timedelta(days=1), timedelta(minutes=15)
MIDNIGHT = datetime(2026, 3, 14, 16, tzinfo=UTC)
"""00:00 of 15 March."""
NOW = MIDNIGHT + timedelta(hours=9)


def local(at: datetime) -> datetime:
    return at.astimezone(SHANGHAI).replace(tzinfo=None)


def freeze(days_ago: int, quantity: str = IMPORT) -> Slot:
    return Slot("daily", "m1", quantity, Basis.FREEZE, MIDNIGHT - days_ago * DAY)


def point(quarters: int, quantity: str = IMPORT) -> Slot:
    """Of a load curve, so many quarters of an hour after midnight."""
    return Slot("curve", "m1", quantity, Basis.CURVE, MIDNIGHT + quarters * QUARTER)


class Memory:
    """A meter's freezes (newest first) and its curve; it counts what it is asked."""

    def __init__(self, freezes: Sequence[datetime] = (), curve: Sequence[datetime] = ()) -> None:
        self.freezes = freezes
        self.curve = sorted(curve)
        self.asked: list[tuple[Wanted, ...]] = []
        self.silent = False

    def questions(self, recall: Recall) -> None:
        """Ask until nothing is asked any more."""
        for _ in range(20):
            wanted = tuple(recall.ask())
            if not wanted:
                return
            self.asked.append(wanted)
            items = [item for want in wanted for item in self._answers(want)]
            got = {want for want in wanted if any(True for _ in self._answers(want))}
            why = "no_answer" if self.silent else "refused"
            failed = {self._id(want): why for want in wanted if self.silent or want not in got}
            recall.told(items, failed.get)
        raise AssertionError("it never ends")

    def _answers(self, want: Wanted) -> list[Item]:
        if self.silent:
            return []
        id_ = self._id(want)
        if want.basis == "curve":
            assert want.since is not None
            kept = [at for at in self.curve if local(at) >= want.since][: want.count]
            return [_item(id_, want, at) for at in kept]
        if want.back > len(self.freezes):
            return []
        return [_item(id_, want, self.freezes[want.back - 1], copy=want.back)]

    @staticmethod
    def _id(want: Wanted) -> str:
        register = PROFILE.find(want.quantity, want.basis)
        assert register is not None
        return register.id


def _item(id_: str, want: Wanted, at: datetime, copy: int | None = None) -> Item:
    value = Decimal(int(at.timestamp()))
    return Item(id_, value=value, quantity=want.quantity, basis=want.basis, time=local(at), copy=copy)


def recalled(memory: Memory, *slots: Slot) -> Mapping[Slot, Lost | None]:
    by_slot = recalls(slots, PROFILE, zone=SHANGHAI, now=NOW)
    for recall in dict.fromkeys(by_slot.values()):
        memory.questions(recall)
    return {slot: recall.lost(slot) for slot, recall in by_slot.items()}


EVERY = [MIDNIGHT - back * DAY for back in range(80)]
CURVE = [MIDNIGHT + quarter * QUARTER for quarter in range(-200, 30)]


def test_values_as_they_run_are_asked_once() -> None:
    memory = Memory()
    slots = [Slot("hourly", "m1", quantity, Basis.INSTANT, MIDNIGHT) for quantity in (IMPORT, EXPORT)]
    recalled(memory, *slots)
    assert memory.asked == [(Wanted(IMPORT), Wanted(EXPORT))]


def test_three_days_are_asked_at_once_and_each_value_once() -> None:
    memory = Memory(EVERY)
    lost = recalled(memory, *(freeze(back, quantity) for back in (1, 2, 3) for quantity in (IMPORT, EXPORT)))
    assert set(lost.values()) == {None}
    (asked,) = memory.asked
    assert sorted((want.back, want.quantity) for want in asked) == [
        (copy, quantity) for copy in (2, 3, 4) for quantity in (IMPORT, EXPORT)
    ]


def test_numbers_that_have_shifted_cost_one_more_round() -> None:
    memory = Memory(EVERY[1:])
    lost = recalled(memory, *(freeze(back) for back in (1, 2, 3)))
    assert set(lost.values()) == {None}
    assert [[want.back for want in asked] for asked in memory.asked] == [[2, 3, 4], [1]]


def test_a_midnight_that_was_never_frozen_is_final_and_says_its_neighbours() -> None:
    memory = Memory([stamp for stamp in EVERY if stamp != MIDNIGHT - 2 * DAY])
    lost = recalled(memory, freeze(1), freeze(2), freeze(3))
    assert [why and (why.reason, why.final) for why in lost.values()] == [None, ("no_freeze", True), None]
    why = lost[freeze(2)]
    assert why is not None
    assert "2026-03-12 00:00 and 2026-03-14 00:00" in why.detail


def test_a_freeze_that_may_still_come_is_not_final() -> None:
    lost = recalled(Memory(EVERY[1:]), freeze(0))
    assert [why and (why.reason, why.final) for why in lost.values()] == [("no_freeze", False)]


def test_what_a_full_memory_has_no_more_was_overwritten() -> None:
    lost = recalled(Memory(EVERY), freeze(62), freeze(61))
    assert [why and (why.reason, why.final) for why in lost.values()] == [("overwritten", True), None]


def test_a_meter_that_does_not_answer_is_asked_no_more_and_proves_nothing() -> None:
    memory = Memory(EVERY, CURVE)
    memory.silent = True
    lost = recalled(memory, freeze(1), freeze(2), point(-40))
    assert set(lost.values()) == {None}
    assert len(memory.asked) == 2


def test_a_meter_without_freezes_refuses_and_that_is_the_reason() -> None:
    assert recalled(Memory(), freeze(1)) == {freeze(1): None}


def test_a_curve_is_asked_in_rows_of_five_records() -> None:
    memory = Memory(curve=CURVE)
    lost = recalled(memory, *(point(n, quantity) for n in (*range(-20, -10), 5) for quantity in (IMPORT, EXPORT)))
    assert set(lost.values()) == {None}
    (asked,) = memory.asked
    assert [(want.count, want.quantity) for want in asked] == [
        *((5, IMPORT), (5, EXPORT)),
        *((5, IMPORT), (5, EXPORT)),
        *((1, IMPORT), (1, EXPORT)),
    ]
    assert asked[0].since == local(MIDNIGHT - 20 * QUARTER)


def test_records_that_were_never_made_are_proven_by_later_ones() -> None:
    dark = set(range(-50, -20))
    memory = Memory(curve=[at for at in CURVE if (at - MIDNIGHT) // QUARTER not in dark])
    lost = recalled(memory, *(point(n) for n in range(-60, -10)))
    found = {slot: why and (why.reason, why.final) for slot, why in lost.items()}
    assert found == {point(n): ("no_record", True) if n in dark else None for n in range(-60, -10)}


def test_a_record_that_may_still_come_is_not_final() -> None:
    lost = recalled(Memory(curve=[at for at in CURVE if at < MIDNIGHT]), point(0), point(-1))
    assert [why and (why.reason, why.final) for why in lost.values()] == [("no_record", False), None]


def test_a_meter_that_notes_a_finer_grid_gives_the_same_points() -> None:
    fine = [MIDNIGHT + minute * timedelta(minutes=5) for minute in range(-300, 60)]
    memory = Memory(curve=fine)
    lost = recalled(memory, *(point(n) for n in range(-12, 0)))
    assert set(lost.values()) == {None}
    assert len(memory.asked) > 1


def test_a_meter_that_notes_a_coarser_grid_lacks_the_points_between() -> None:
    hourly = [MIDNIGHT + hour * timedelta(hours=1) for hour in range(-30, 8)]
    lost = recalled(Memory(curve=hourly), *(point(n) for n in range(-8, 0)))
    assert [why is None for why in lost.values()] == [n % 4 == 0 for n in range(-8, 0)]


def test_settlements_are_found_by_their_time_whatever_their_number() -> None:
    def settlement(month: int) -> Slot:
        at = datetime(2026, month, 1, tzinfo=SHANGHAI).astimezone(UTC)
        return Slot("month", "m1", IMPORT, Basis.SETTLEMENT, at)

    made = [datetime(2026, month, day, tzinfo=SHANGHAI) for month in (3, 2, 1) for day in (11, 1)]
    memory = Memory([at.astimezone(UTC) for at in made])
    lost = recalled(memory, settlement(3), settlement(2), settlement(1))
    assert set(lost.values()) == {None}
    assert {want.back for asked in memory.asked for want in asked} >= {2, 4, 6}
    missed = Memory([at.astimezone(UTC) for at in made if (at.month, at.day) != (2, 1)])
    found = recalled(missed, settlement(2))[settlement(2)]
    assert found is not None
    assert (found.reason, found.final) == ("no_settlement", True)
