"""Tasks that are handed in: each is answered once, in order of urgency, or given back when its time is over."""

from __future__ import annotations

from datetime import timedelta

from collector.acquisition.submitted import Submitted
from collector.acquisition.tasks import Collected, Task
from collector.acquisition.urgency import Urgency
from storage.records import Basis, Batch, Receipt, Slot, Source
from tests.rooms.plans import ENERGY, shanghai, standing

NOW = shanghai(2026, 3, 15, 10, 15)
HOUR = timedelta(hours=1)


def backfill(meter: str) -> Task:
    slots = (Slot("daily", meter, ENERGY, Basis.FREEZE, shanghai(2026, 3, 14)),)
    return Task(standing(meter), slots, Urgency.BACKFILL, Source.BACKFILL)


def came_to(task: Task) -> Collected:
    return Collected(task, Batch(), Receipt(0, 0, 0, 0), ())


def test_what_is_overwritten_first_goes_first_and_is_answered_once() -> None:
    source, answers = Submitted(), list[Collected | None]()
    source.submit(backfill("m2"), closes=NOW + 2 * HOUR, answer=answers.append)
    source.submit(backfill("m1"), closes=NOW + HOUR, answer=answers.append)
    assert list(source.channels()) == ["c1"]
    assert source.waiting("c1", NOW) == {Urgency.BACKFILL: NOW + HOUR}
    task = source.take("c1", Urgency.BACKFILL, NOW)
    assert task == backfill("m1")
    source.ended(came_to(task), NOW)
    assert answers == [came_to(task)]
    assert len(source) == 1


def test_what_was_put_off_waits_and_what_was_released_does_not() -> None:
    source, answers = Submitted(), list[Collected | None]()
    source.submit(backfill("m1"), closes=NOW + 2 * HOUR, answer=answers.append)
    task = source.take("c1", Urgency.BACKFILL, NOW)
    assert task is not None
    source.put_off(task, NOW + HOUR)
    assert source.next_alarm(NOW) == NOW + HOUR
    assert source.waiting("c1", NOW) == {}
    assert source.next_alarm(NOW + HOUR) == NOW + 2 * HOUR, "its time is over then"
    task = source.take("c1", Urgency.BACKFILL, NOW + HOUR)
    assert task is not None
    source.released(task)
    assert source.take("c1", Urgency.BACKFILL, NOW + HOUR) == task
    assert answers == []


def test_what_could_not_be_asked_in_time_is_given_back() -> None:
    source, answers = Submitted(), list[Collected | None]()
    source.submit(backfill("m1"), closes=NOW + HOUR, answer=answers.append)
    assert source.waiting("c1", NOW + HOUR) == {}
    assert answers == [None]
    assert source.take("c1", Urgency.BACKFILL, NOW + HOUR) is None
    source.submit(backfill("nowhere"), closes=NOW + HOUR, answer=answers.append)
    assert source.next_alarm(NOW + HOUR) is None
    assert answers == [None, None]


def test_what_is_withdrawn_is_neither_asked_nor_answered() -> None:
    source, answers = Submitted(), list[Collected | None]()
    first, second, third = backfill("m1"), backfill("m2"), backfill("m3")
    for task in (first, second, third):
        source.submit(task, closes=NOW + HOUR, answer=answers.append)
    assert source.take("c1", Urgency.BACKFILL, NOW) is first
    source.withdraw(first)
    source.withdraw(second)
    source.withdraw(second)
    source.ended(came_to(first), NOW)
    assert len(source) == 1
    assert source.take("c1", Urgency.BACKFILL, NOW) is third
    assert source.take("c1", Urgency.BACKFILL, NOW) is None
    source.put_off(third, NOW + HOUR)
    source.withdraw(third)
    assert source.next_alarm(NOW + HOUR) is None
    assert not list(source.channels())
    assert answers == []
    assert len(source) == 0
