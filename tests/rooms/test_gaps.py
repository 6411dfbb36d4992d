"""Gaps: what was owed and did not come, of what the meter keeps by itself, with the day on which it will be overwritten."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from collector.acquisition.gaps import Gap, Memory, gaps, given_up, rank, remembered_by
from collector.acquisition.plan import Owed
from collector.acquisition.urgency import Urgency
from protocols.profile import builtin_profiles
from storage.records import Basis, Missing, Owner, Slot

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 3, 14, 16, tzinfo=UTC)
"""00:00 of 15 March."""
NOW = MIDNIGHT + timedelta(hours=9)
FREEZES = Memory(Basis.FREEZE, 62)


def slot(days_ago: int = 0, basis: Basis = Basis.FREEZE) -> Slot:
    return Slot("daily", "m1", "1-0:1.8.0", basis, MIDNIGHT - days_ago * DAY)


def owed(days_ago: int) -> Owed:
    at = slot(days_ago).at
    return Owed(at + timedelta(minutes=5), at + DAY + timedelta(minutes=5), slot(days_ago))


def missing(days_ago: int, reason: str, expires: datetime | None) -> Missing:
    return Missing(slot(days_ago), slot(days_ago).at.date(), reason, Owner.METER, expires=expires)


def found(unfilled: dict[Slot, Missing | None], *days: int) -> list[Slot]:
    return [gap.slot for gap in gaps(map(owed, days), unfilled, lambda _: FREEZES, zone=SHANGHAI, now=NOW)]


def test_a_gap_is_owed_closed_and_not_filled() -> None:
    assert found({slot(1): None, slot(3): missing(3, "no_answer", None)}, 1, 2, 3) == [slot(1), slot(3)]


def test_what_is_still_open_is_the_planners() -> None:
    assert found({slot(0): None}, 0) == []


def test_what_no_meter_keeps_is_no_gap() -> None:
    assert list(gaps([owed(1)], {slot(1): None}, lambda _: None, zone=SHANGHAI, now=NOW)) == []


def test_what_was_looked_for_in_vain_is_looked_for_no_more() -> None:
    never_kept = missing(3, "no_freeze", slot(3).at)
    overwritten = missing(70, "overwritten", NOW - DAY)
    assert found({slot(3): never_kept, slot(70): overwritten}, 3, 70) == []


def test_a_freeze_that_may_still_come_stays_a_gap() -> None:
    assert found({slot(3): missing(3, "no_freeze", NOW + DAY)}, 3) == [slot(3)]


def test_silence_is_no_reason_to_give_up_but_its_time_may_pass() -> None:
    silent = missing(70, "no_answer", NOW - DAY)
    assert not given_up(silent, NOW)
    (gap,) = gaps([owed(70)], {slot(70): silent}, lambda _: FREEZES, zone=SHANGHAI, now=NOW)
    assert gap.expires < NOW


@pytest.mark.parametrize(
    ("memory", "until"),
    [
        (Memory(Basis.FREEZE, 62), "2026-05-16T00:00"),
        (Memory(Basis.SETTLEMENT, 12), "2027-03-15T00:00"),
        (Memory(Basis.CURVE, 960, 900), "2026-03-25T00:00"),
    ],
)
def test_a_value_is_overwritten_when_the_last_of_the_memory_follows_it(memory: Memory, until: str) -> None:
    assert memory.keeps_until(MIDNIGHT, SHANGHAI) == datetime.fromisoformat(until).replace(tzinfo=SHANGHAI)


def test_reading_day_then_yesterday_then_what_is_soonest_lost() -> None:
    def its(days_ago: int, *, reading_day: bool = False) -> tuple[object, ...]:
        gap = Gap(slot(days_ago), FREEZES.keeps_until(slot(days_ago).at, SHANGHAI))
        return (rank(gap, reading_day=reading_day, zone=SHANGHAI, now=NOW), days_ago)

    ordered = sorted([its(2), its(1), its(60), its(30), its(14, reading_day=True)])
    assert [entry[-1] for entry in ordered] == [14, 1, 60, 30, 2]
    assert its(14, reading_day=True)[0].urgency is Urgency.READING_DAY  # type: ignore[attr-defined]


def test_profiles_say_what_is_kept() -> None:
    remembers = remembered_by(builtin_profiles())
    assert remembers("dlt645_2007_3p", "1-0:1.8.0", Basis.FREEZE) == FREEZES
    assert remembers("dlt645_2007_3p", "1-0:1.8.0", Basis.INSTANT) is None
    assert remembers("eastron_sdm630", "1-0:1.8.0", Basis.FREEZE) is None
    assert remembers("json_meter", "1-0:1.8.0", Basis.FREEZE) is None  # it pushes; nobody can ask it again
    assert remembers("dlt645_2007_1p", "1-0:1.8.0", Basis.SETTLEMENT) == Memory(Basis.SETTLEMENT, 12)
    assert remembers("dlt645_2007_1p", "1-0:1.8.0", Basis.CURVE) == Memory(Basis.CURVE, 3840, 900)
    assert remembers("nobody's", "1-0:1.8.0", Basis.FREEZE) is None
