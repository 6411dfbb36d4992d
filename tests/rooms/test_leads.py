"""Leads: meters with gaps by their most urgent one, a few tasks ready for each line, and who does not answer rests."""

from datetime import UTC, date, datetime, timedelta

from collector.acquisition.gaps import Rank
from collector.acquisition.leads import AHEAD, FIRST_REST, Lead, Leads
from collector.acquisition.tasks import Collected, Task
from collector.acquisition.urgency import Urgency
from storage.records import Attempt, Basis, Batch, Receipt, Slot, Source
from storage.registry import Installation, Meter, Point, Registered

NOW = datetime(2026, 3, 15, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TODAY = date(2026, 3, 14)
FREEZE = (Basis.FREEZE, TODAY)


def rank(days: int, *, urgency: Urgency = Urgency.BACKFILL) -> Rank:
    return Rank(urgency, True, NOW + days * DAY)


def task(meter: str, channel: str = "line", *, urgency: Urgency = Urgency.BACKFILL) -> Task:
    one = Registered(Meter(meter, "p", channel, meter), Point(meter), Installation(meter, meter, NOW - DAY))
    return Task(one, (Slot("daily", meter, "1-0:1.8.0", Basis.FREEZE, NOW - DAY),), urgency, Source.BACKFILL)


def ended(what: Task, outcome: str, *, filled: bool = False) -> Collected:
    attempts = (Attempt(what.registered.meter.meter, "line", "daily", NOW, 1, outcome),)
    return Collected(what, Batch(attempts=attempts), Receipt(0, 0, 0, 0), what.slots if filled else ())


def next_of(leads: Leads, channel: str = "line") -> Lead:
    lead = leads.next(channel)
    assert lead is not None
    return lead


def test_who_will_lose_something_soonest_is_prepared_first() -> None:
    leads = Leads()
    for meter, days in (("late", 30), ("soon", 2), ("bill", 50)):
        urgency = Urgency.READING_DAY if meter == "bill" else Urgency.BACKFILL
        leads.found(meter, "line", rank(days, urgency=urgency), [FREEZE])
    assert [next_of(leads).meter for _ in range(3)] == ["bill", "soon", "late"]
    assert leads.next("line") is None


def test_only_a_few_tasks_are_ready_for_a_line() -> None:
    leads = Leads()
    for n in range(5):
        leads.found(f"m{n}", "line", rank(n), [FREEZE])
    while leads.wants("line"):
        lead = next_of(leads)
        leads.prepared(lead, task(lead.meter), lead.rank)
    assert leads.waiting("line", NOW) == {Urgency.BACKFILL: NOW}
    taken = [leads.take("line", Urgency.BACKFILL, NOW) for _ in range(AHEAD + 1)]
    assert [one and one.registered.meter.meter for one in taken] == ["m0", "m1", None]
    assert leads.waiting("line", NOW) == {}


def test_a_meter_that_does_not_answer_rests_until_it_answers_anything() -> None:
    leads = Leads()
    leads.found("m1", "line", rank(1), [FREEZE])
    lead = next_of(leads)
    one = task("m1")
    leads.prepared(lead, one, lead.rank)
    assert leads.take("line", Urgency.BACKFILL, NOW) is one
    leads.ended(ended(one, "no_answer"), NOW)
    assert list(leads.wanting()) == []
    assert leads.next_alarm(NOW) == NOW + FIRST_REST
    assert leads.answered("m1", "line")  # its line had been silent
    assert list(leads.wanting()) == ["line"]
    assert not leads.answered("m1", "line")


def test_rests_grow_and_end_by_themselves() -> None:
    leads = Leads()
    leads.found("m1", "line", rank(1), [FREEZE])
    now = NOW
    for doublings in range(3):
        lead = next_of(leads)
        leads.over(lead, now)  # nothing new to ask
        assert not leads.answered("m1", "line")  # it answers all the time; that changes nothing
        assert leads.next_alarm(now) == now + FIRST_REST * 2**doublings
        now += FIRST_REST * 2**doublings
        leads.next_alarm(now)
    assert list(leads.wanting()) == ["line"]


def test_a_meter_without_gaps_left_is_forgotten() -> None:
    leads = Leads()
    leads.found("m1", "line", rank(1), [FREEZE, (Basis.CURVE, TODAY - DAY)])
    lead = next_of(leads)
    assert leads.days(lead) == [(Basis.CURVE, TODAY - DAY), FREEZE]
    for basis, day in leads.days(lead):
        leads.whole(lead, basis, day)
    leads.over(lead, NOW)
    assert len(leads) == 0


def test_what_was_put_off_or_released_waits_as_before() -> None:
    leads = Leads()
    leads.found("m1", "line", rank(1), [FREEZE])
    lead = next_of(leads)
    one = task("m1")
    leads.prepared(lead, one, lead.rank)
    leads.take("line", Urgency.BACKFILL, NOW)
    leads.released(one)
    assert leads.take("line", Urgency.BACKFILL, NOW) is one
    leads.put_off(one, NOW + DAY)
    assert leads.next_alarm(NOW) == NOW + DAY
    assert leads.next_alarm(NOW + DAY) is None
    assert list(leads.wanting()) == ["line"]
    assert next_of(leads).tried == set()


def test_when_meters_change_what_was_ready_is_prepared_anew() -> None:
    leads = Leads()
    leads.found("m1", "line", rank(1), [FREEZE])
    lead = next_of(leads)
    leads.prepared(lead, task("m1"), lead.rank)
    leads.forget_ready()
    assert list(leads.channels()) == []
    assert next_of(leads).meter == "m1"
