"""Who is asked first on a bus, who is asked again and when, and what is left when it is asked for more than it can do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from collector.acquisition.breaker import Breakers
from collector.acquisition.submitted import Submitted
from collector.acquisition.tasks import Collected, Task
from collector.acquisition.timing import Timing
from collector.acquisition.turns import EVERY, Turns
from collector.acquisition.urgency import Urgency
from storage.records import Basis, Plan, Slot, Source
from tests.flow.faults.one_bus import ENERGY, Ran, Units, Weak, run_bus, unit_meter

QUARTER = (Plan("quarter", (ENERGY,), every_s=900),)
TIMING = Timing(timeout_s=1.0, retries=2, gap_s=0.03)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_retries_wait_for_the_end_of_the_round() -> None:
    bus = Units(silent=frozenset({3}))
    ran = run_bus([unit_meter(unit) for unit in range(1, 9)], QUARTER, bus, MINUTE, timing=TIMING)
    assert [unit for _, unit in ran.asked] == [1, 2, 3, 4, 5, 6, 7, 8, 3, 3]


def test_a_meter_that_gave_nothing_in_its_last_round_has_one_try() -> None:
    bus = Units(silent=frozenset({3}))
    ran = run_bus([unit_meter(3)], QUARTER, bus, timedelta(minutes=14), timing=TIMING)
    assert [round(at / 60) for at, _ in ran.asked][:5] == [0, 0, 0, 1, 4], "three tries, and then one a round"


def rounds(bus: Units, breakers: type[Breakers] = Breakers) -> list[float]:
    """How long each quarter-hourly round of 32 meters takes, until the last that can answer has; after the first two."""
    ran = run_bus(
        *([unit_meter(unit) for unit in range(1, 33)], QUARTER, bus, 6 * HOUR),
        timing=TIMING,
        weak=Weak(breakers=breakers),
    )
    last: defaultdict[int, float] = defaultdict(float)
    for at, unit in ran.asked:
        if unit not in bus.silent:
            last[int(at // 900)] = max(last[int(at // 900)], at % 900)
    return [took for n, took in sorted(last.items()) if n >= 2]


def test_a_dead_meter_costs_a_round_no_more_than_one_time_out() -> None:
    """In truth nothing: it is asked after the others, and while its late answer is waited for they have nothing to ask."""
    good = rounds(Units())
    with_a_dead_one = rounds(Units(silent=frozenset({3})))
    assert max(with_a_dead_one) <= max(good) + TIMING.timeout_s


def busy(turns: Callable[[], Turns]) -> tuple[Ran, list[Collected | None]]:
    """Nearly twice what a bus can do, and four hundred gaps of yesterday to be filled beside it."""
    answers: list[Collected | None] = []

    def submit(handed_in: Submitted, now: datetime) -> None:
        for n in range(400):
            slot = Slot("daily", "m1", ENERGY, Basis.INSTANT, now - n * MINUTE)
            task = Task(unit_meter(1), (slot,), Urgency.BACKFILL, Source.BACKFILL)
            handed_in.submit(task, closes=now + 9 * HOUR, answer=answers.append)

    often = (Plan("often", (ENERGY,), every_s=10),)
    meters = [unit_meter(unit) for unit in range(1, 241)]
    ran = run_bus(meters, often, Units(), 2 * MINUTE, timing=TIMING, weak=Weak(turns=turns), submitted=submit)
    return ran, answers


def only_urgency() -> Turns:
    return Turns(every=0)


def test_a_bus_that_is_kept_busy_still_fills_gaps() -> None:
    ran, answers = busy(Turns)
    assert len(answers) >= len(ran.collected) // EVERY - 1
    assert all(one is not None and one.filled for one in answers)
    sources = {reading.source for one in answers if one is not None for reading in one.batch.readings}
    assert sources == {Source.BACKFILL}
    assert ran.why({"m1"}).keys() <= {"window_closed"}


def test_without_their_turn_gaps_stay() -> None:
    """But for the moment in which one window has closed and the next slots are not made yet."""
    ran, answers = busy(only_urgency)
    assert len(answers) < len(ran.collected) // EVERY // 4


def test_what_a_bill_hangs_on_goes_first_and_what_is_late_is_missing_for_that() -> None:
    """Midnight of the reading day of the last twenty of two hundred meters, on a bus that can read sixty of them in time."""
    meters = [unit_meter(unit, group="today" if unit > 180 else "later") for unit in range(1, 201)]
    plans = (Plan("often", (ENERGY,), every_s=5),)
    ran = run_bus(meters, plans, Units(), timedelta(seconds=5), timing=TIMING)
    first = [unit for _, unit in ran.asked if unit > 180]
    assert set(first) == set(range(181, 201))
    assert max(at for at, unit in ran.asked if unit > 180) < 20 * EVERY / (EVERY - 1) * 0.1
    assert set(ran.why(f"m{unit}" for unit in range(1, 181))) <= {"window_closed"}


def overloaded(times: float) -> Ran:
    """One second's work for a second's reading, times so much; one of the plans is of the reading day's midnight."""
    count = round(times * 10)
    meters = [unit_meter(unit) for unit in range(1, count + 1)]
    return run_bus(meters, (Plan("often", (ENERGY,), every_s=1),), Units(), MINUTE, timing=TIMING)


def test_asked_for_more_than_it_can_do_a_bus_does_what_it_can_and_holds_no_more_than_is_owed() -> None:
    best = len(overloaded(0.8).asked) / 0.8
    for times in (2.4, 20.0):
        ran = overloaded(times)
        assert len(ran.asked) >= 0.95 * best
        assert ran.most_open <= 2 * times * 10, "slots of this second and of the last"
        filled, all_ = ran.kept(f"m{unit}" for unit in range(1, 201))
        assert filled + sum(ran.why(f"m{unit}" for unit in range(1, 201)).values()) == all_
        assert set(ran.why(f"m{unit}" for unit in range(1, 201))) == {"window_closed"}
        asked = Counter(unit for _, unit in ran.asked)
        assert min(asked.values()) >= max(asked.values()) / 2, "nobody is left out"
        assert len(asked) == times * 10
