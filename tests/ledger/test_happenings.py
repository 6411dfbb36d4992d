"""Events, their counters and status words: each once, with the end that came later."""

from dataclasses import replace
from datetime import timedelta

from storage.care import EventCount, MeterEvent, StatusWords
from storage.ledger.port import Ledger
from storage.records import Batch
from tests.ledger.ledgers import at

MINUTE = timedelta(minutes=1)


def event(hour: int, meter: str = "m1", kind: str = "power_down", phase: str = "", *, ended: bool = True) -> MeterEvent:
    return MeterEvent(meter, kind, phase, at(hour), at(hour) + MINUTE if ended else None, at(hour + 5))


async def test_an_event_is_there_once(ledger: Ledger) -> None:
    await ledger.append(Batch(events=(event(1), event(2))))
    again = replace(event(1), seen_at=at(50))
    await ledger.append(Batch(events=(again, again)))
    assert await ledger.events() == (event(1), event(2)), "as it was first seen"


async def test_its_end_may_come_later_and_stays(ledger: Ledger) -> None:
    await ledger.append(Batch(events=(event(1, ended=False),)))
    assert [one.end for one in await ledger.events()] == [None]
    await ledger.append(Batch(events=(event(1),)))
    await ledger.append(Batch(events=(event(1, ended=False), replace(event(1), end=at(9)))))
    assert [one.end for one in await ledger.events()] == [at(1) + MINUTE]


async def test_events_are_chosen(ledger: Ledger) -> None:
    every = (event(1), event(2, "m2"), event(2, kind="phase_loss", phase="A"), event(2, kind="phase_loss", phase="B"))
    await ledger.append(Batch(events=every))
    assert await ledger.events() == (every[0], every[2], every[3], every[1])
    assert await ledger.events(meters=["m2"]) == (every[1],)
    assert await ledger.events(kinds=["phase_loss"]) == every[2:]
    assert await ledger.events(start=at(2)) == (every[2], every[3], every[1])
    assert await ledger.events(end=at(2)) == (every[0],)


async def test_the_latest_counters_of_a_meter(ledger: Ledger) -> None:
    first = EventCount("m1", "power_down", "", 3, at(1))
    other = EventCount("m1", "phase_loss", "B", 1, at(1))
    await ledger.append(Batch(event_counts=(first, other, replace(first, meter="m2"))))
    latest = replace(first, count=4, at=at(2))
    await ledger.append(Batch(event_counts=(latest,)))
    assert await ledger.event_counts("m1") == (other, latest)
    assert await ledger.event_counts("m9") == ()


async def test_the_latest_status_words_of_each(ledger: Ledger) -> None:
    closed = StatusWords("m1", at(1), (0, 0, 0, 0, 0, 0, 0))
    opened = StatusWords("m1", at(2), (0, 0, 0x0050, 0, 0, 0, 0xFFFF))
    await ledger.append(Batch(statuses=(closed, replace(closed, meter="a"))))
    await ledger.append(Batch(statuses=(opened,)))
    assert await ledger.last_statuses() == (replace(closed, meter="a"), opened)
