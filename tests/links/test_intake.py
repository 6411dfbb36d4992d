"""The intake between a source that pushes and a ledger that takes its time: bounded, in batches, acknowledged in order."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from collector.acquisition.intake import Intake, Pushed, Ticket

NOW = datetime(2026, 3, 15, tzinfo=UTC)


class Source:
    """Remembers what it was told."""

    def __init__(self, intake: Intake) -> None:
        self.acknowledged: list[int] = []
        self.calls: list[str] = []
        intake.attach(self)

    def acknowledge(self, tickets: Sequence[Ticket]) -> None:
        self.acknowledged += [ticket.mid for ticket in tickets]

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


def message(n: int, payload: bytes = b"1") -> Pushed:
    return Pushed("meters/1/reading", payload, False, NOW, Ticket(1, n, 1))


def offer(intake: Intake, first: int, end: int) -> None:
    for n in range(first, end):
        intake.offer(message(n))


async def test_full_batch_comes_at_once_and_the_rest_after_lingering() -> None:
    intake = Intake(limit=20, batch=4, linger_s=0.02)
    source = Source(intake)
    offer(intake, 0, 6)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert [one.ticket.mid for one in await intake.take()] == [0, 1, 2, 3]
    assert loop.time() - began < 0.02
    intake.settle()
    assert [one.ticket.mid for one in await intake.take()] == [4, 5]
    assert loop.time() - began >= 0.02
    assert source.acknowledged == [0, 1, 2, 3]  # those in hand are not settled yet
    intake.settle()
    assert source.acknowledged == [0, 1, 2, 3, 4, 5]


async def test_stops_reading_at_the_limit_and_reads_on_half_empty() -> None:
    intake = Intake(limit=10, batch=3, linger_s=0)
    source = Source(intake)
    offer(intake, 0, 9)
    assert source.calls == []
    offer(intake, 9, 10)
    assert source.calls == ["pause"]
    await intake.take()
    assert intake.unacknowledged == 10  # taken is not yet acknowledged
    intake.settle()
    assert source.calls == ["pause"]
    await intake.take()
    intake.settle()
    assert (source.calls, intake.unacknowledged) == (["pause", "resume"], 4)


async def test_stops_reading_at_so_many_bytes_too() -> None:
    intake = Intake(limit=10, limit_bytes=1000, batch=3, linger_s=0)
    source = Source(intake)
    intake.offer(message(0, b"x" * 600))
    intake.offer(message(1, b"x" * 600))
    assert source.calls == ["pause"]
    await intake.take()
    intake.settle()
    assert source.calls == ["pause", "resume"]


async def test_connection_lost_forgets_what_waits_and_keeps_what_is_in_hand() -> None:
    intake = Intake(limit=10, batch=3, linger_s=0)
    source = Source(intake)
    offer(intake, 0, 10)
    await intake.take()
    intake.lost()
    assert (intake.unacknowledged, source.calls) == (3, ["pause", "resume"])
    intake.settle()
    assert (intake.unacknowledged, source.acknowledged) == (0, [0, 1, 2])


async def test_closed_while_waiting() -> None:
    intake = Intake()
    taking = asyncio.ensure_future(intake.take())
    await asyncio.sleep(0)
    intake.close()
    assert await taking == ()
    offer(intake, 0, 1)
    assert await intake.take() == ()
    assert await intake.closed_within(60)


async def test_not_closed_within() -> None:
    assert not await Intake().closed_within(0.01)


async def test_one_batch_in_hand_at_a_time() -> None:
    intake = Intake(linger_s=0)
    offer(intake, 0, 1)
    await intake.take()
    with pytest.raises(RuntimeError, match="must be settled first"):
        await intake.take()


async def test_a_batch_must_leave_room_for_a_new_connection() -> None:
    with pytest.raises(ValueError, match="must fit twice"):
        Intake(limit=10, batch=6)
