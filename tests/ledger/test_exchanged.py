"""What was asked lately, in figures: in the order in which it was stored, the newest where there is too much."""

from storage.exchanged import Exchanged
from storage.ledger.port import Ledger
from storage.records import Attempt, Batch
from tests.ledger.ledgers import at


def attempt(hour: int, meter: str = "m1", outcome: str = "ok") -> Attempt:
    return Attempt(meter, "bus", "daily", at(hour), 250_000 + hour, outcome, sent=b"\x68" * 20, received=b"\x16" * hour)


def figures(hour: int, meter: str = "m1", outcome: str = "ok") -> Exchanged:
    return Exchanged(meter, "bus", at(hour), 250_000 + hour, outcome, sent=20, received=hour)


async def test_attempts_are_remembered_in_figures(ledger: Ledger) -> None:
    assert await ledger.exchanged(at(-1000), most=10) == ()
    await ledger.append(Batch(attempts=(attempt(1), attempt(2, "m2", "no_answer"))))
    await ledger.append(Batch(attempts=(attempt(3),)))
    every = (figures(1), figures(2, "m2", "no_answer"), figures(3))
    assert await ledger.exchanged(at(-1000), most=10) == every
    assert await ledger.exchanged(at(2), most=10) == every[1:]
    assert await ledger.exchanged(at(-1000), most=2) == every[1:]
    assert await ledger.exchanged(at(4), most=10) == ()


async def test_a_long_visit_that_is_stored_late_hides_nothing(ledger: Ledger) -> None:
    await ledger.append(Batch(attempts=(attempt(5),)))
    await ledger.append(Batch(attempts=(attempt(4, "m2"),)))
    assert await ledger.exchanged(at(5), most=10) == (figures(5),)
