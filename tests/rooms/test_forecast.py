"""A line's queue, played through: urgency, windows, the hour, and meters that do not answer."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.forecast import Outlook, Waiting, play
from collector.acquisition.plan import Owed
from collector.acquisition.urgency import Urgency
from collector.jobs.forecast import next_time
from storage.records import Basis, Slot
from tests.rooms.plans import ENERGY, SHANGHAI, shanghai

START = shanghai(2026, 3, 15)
BY = shanghai(2026, 3, 15, 6)
SECOND = timedelta(seconds=1)


def waits(
    meter: str,
    *,
    plan: str = "daily",
    urgency: Urgency = Urgency.FREEZE,
    due: datetime = START,
    closes: datetime = BY,
    quantity: str = ENERGY,
) -> Waiting:
    return Waiting(Owed(due, closes, Slot(plan, meter, quantity, Basis.FREEZE, START)), urgency, "bus")


def ten_seconds(_meter: str, _slots: Sequence[Waiting], _now: datetime) -> float:
    return 10


def outlook(*slots: Waiting, by: datetime = BY, **more: frozenset[str]) -> dict[str, Outlook]:
    return {plan: one for (_, plan), one in play(slots, START, by, ten_seconds, **more).items()}


def test_one_after_another_and_a_meter_for_all_of_it_at_once() -> None:
    found = outlook(waits("a"), waits("a", quantity="1-0:2.8.0"), waits("b"))
    assert found == {"daily": Outlook(3, START, START + 20 * SECOND, longest=20 * SECOND)}


def test_the_most_urgent_go_first_whenever_they_come() -> None:
    billed = waits("z", plan="billed", urgency=Urgency.READING_DAY, due=START + 5 * SECOND)
    found = outlook(*(waits(meter) for meter in "abc"), billed)
    assert found["billed"].done == START + 20 * SECOND, "after the visit that was under way"
    assert found["daily"].done == START + 40 * SECOND


def test_the_line_waits_for_what_is_due_later() -> None:
    later = START + timedelta(hours=1)
    found = outlook(waits("a"), waits("b", due=later))["daily"]
    assert (found.done, found.longest) == (later + 10 * SECOND, 10 * SECOND)
    before = START - timedelta(hours=1)
    assert outlook(waits("a", due=before))["daily"].longest == 10 * SECOND, "what waited before is not known"


def test_what_is_read_after_the_hour_is_late_and_what_closes_unread_is_missed() -> None:
    found = outlook(*(waits(meter) for meter in "abc"), by=START + 25 * SECOND)
    assert (found["daily"].late, found["daily"].missed) == (1, 0)
    found = outlook(*(waits(meter, closes=START + 15 * SECOND) for meter in "abc"))
    assert found["daily"] == Outlook(3, START, START + 20 * SECOND, missed=1, longest=20 * SECOND)


def test_who_does_not_answer_takes_time_and_does_not_count() -> None:
    found = outlook(waits("dead"), waits("a"), unheard=frozenset({"dead"}))
    assert found == {"daily": Outlook(1, START, START + 20 * SECOND, longest=20 * SECOND)}


def test_the_next_time_that_it_is_six() -> None:
    assert next_time(START, time(6), SHANGHAI) == BY
    assert next_time(BY, time(6), SHANGHAI) == BY + timedelta(days=1)
    warsaw = ZoneInfo("Europe/Warsaw")
    eve = datetime(2026, 3, 28, 23, tzinfo=warsaw)
    assert next_time(eve, time(6), warsaw) - eve == timedelta(hours=6), "an hour of that night is skipped"
