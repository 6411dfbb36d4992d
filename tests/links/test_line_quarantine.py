"""The line on driven time: after anything doubtful it is quiet until nothing can come any more that was not asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from collector.acquisition.line import Errand, Line
from collector.acquisition.quarantine import LEAST_PATIENCE_S
from collector.acquisition.timing import TURN_S, Timing
from collector.clock import DrivenClock
from protocols.telegram import Request
from storage.records import Owner
from tests.links.asking import (
    GOOD,
    QUESTION,
    RTU,
    TIMING,
    ask,
    framed,
    given_up,
    line_of,
    outcomes,
    says,
)
from tests.links.driven_loop import run_driven
from tests.links.late_device import NoGuard, truth
from tests.links.memory_link import MemoryLink


def test_after_silence_nothing_is_sent_until_the_worst_reply_time_and_the_gap_have_passed() -> None:
    async def main() -> None:
        line, link = line_of(says([], [(0.1, GOOD)]))
        assert await outcomes(line, 2) == ["no_answer", "ok"]
        (first, _), (second, _) = link.written
        assert second - first == pytest.approx(TIMING.quarantine_s + TIMING.gap_s)

    run_driven(main())


def test_a_late_answer_is_still_the_answer_and_ends_the_wait() -> None:
    """Nothing else was sent since: it can be nobody else's. Its reading is stamped with its arrival."""

    async def main() -> None:
        start = datetime(2026, 3, 14, tzinfo=UTC)

        class Clock:
            def now(self) -> datetime:
                return start + timedelta(seconds=asyncio.get_running_loop().time())

            async def sleep_until(self, instant: datetime) -> None:
                raise NotImplementedError

        link = MemoryLink(says([(2.9, GOOD)], [(0.1, GOOD)]))
        line = Line(link, Clock())
        late = await ask(line)
        assert (late.attempt.outcome, late.attempt.owner, late.attempt.received) == ("ok", None, GOOD)
        assert late.attempt.detail == "late: 2.9 s after the question"
        assert late.received_at == start + timedelta(seconds=2.9)
        assert (await ask(line)).attempt.drained == 0
        assert link.written[1][0] == pytest.approx(2.9 + TURN_S)

    run_driven(main())


def test_without_the_quarantine_nobody_waits_for_a_late_answer() -> None:
    """The control: it is taken for the answer to the next question, which nobody ever answered."""

    async def main() -> None:
        link = MemoryLink(says([(2.9, GOOD)], [], []))
        line = Line(link, DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)), guard=NoGuard())
        assert await outcomes(line, 3) == ["no_answer", "no_answer", "ok"]

    run_driven(main())


def test_what_comes_after_an_exchange_was_given_up_is_drained_and_counted() -> None:
    async def main() -> None:
        line, link = line_of(says([(2.9, GOOD)], [(0.1, GOOD)]))
        await given_up(line)
        second = (await ask(line)).attempt
        assert (second.outcome, second.drained, second.received) == ("ok", len(GOOD), GOOD)
        assert link.written[1][0] >= TIMING.quarantine_s

    run_driven(main())


def test_a_late_answer_at_the_very_end_keeps_the_line_quiet_for_its_gap() -> None:
    async def main() -> None:
        line, link = line_of(says([(2.99, GOOD[:4]), (3.03, GOOD[4:])], [(0.1, GOOD)]))
        assert await outcomes(line, 2) == ["wrong_length", "ok"]
        assert link.written[1][0] == pytest.approx(3.03 + TIMING.gap_s)

    run_driven(main())


def test_a_silent_meter_costs_its_line_no_more_than_the_quarantine() -> None:
    """Listening for a late answer takes the time in which nothing could have been sent anyway."""

    async def main() -> None:
        line, link = line_of(says([], [], []))
        assert await outcomes(line, 3) == ["no_answer"] * 3
        times = [at for at, _ in link.written]
        assert all(
            later - earlier == pytest.approx(TIMING.quarantine_s + TIMING.gap_s) for earlier, later in pairwise(times)
        )

    run_driven(main())


def test_a_doubled_answer_is_drained() -> None:
    """Fault F27: the second copy would pass every check of the next question."""

    async def main() -> None:
        line, link = line_of(says([(0.1, GOOD), (0.11, GOOD)], [(0.1, framed(bytes([1, 4, 4]) + truth(200)))]))
        assert (await ask(line)).attempt.outcome == "ok"
        second = await ask(line, Request("1", 4, "200", 2))
        assert second.telegram is not None
        assert second.telegram.payload == truth(200)
        assert second.attempt.drained == len(GOOD)
        assert link.written[1][0] == pytest.approx(0.11 + TIMING.gap_s)

    run_driven(main())


def test_bytes_that_came_long_ago_are_no_answer() -> None:
    async def main() -> None:
        line, link = line_of(says([(0.1, GOOD)], []))
        await ask(line)
        await asyncio.sleep(60)
        link.arrive(GOOD)
        late = (await ask(line)).attempt
        assert (late.outcome, late.drained) == ("no_answer", len(GOOD))

    run_driven(main())


def test_a_babbling_line_is_given_up_in_bounded_time_and_opened_anew() -> None:
    async def main() -> None:
        line, link = line_of(says([]))
        assert (await ask(line)).attempt.outcome == "no_answer"
        loop = asyncio.get_running_loop()

        async def babble() -> None:
            while True:
                link.arrive(b"\x55")
                await asyncio.sleep(TIMING.gap_s / 2)

        babbling = asyncio.ensure_future(babble())
        begun = loop.time()
        given_up = (await ask(line)).attempt
        assert (given_up.outcome, given_up.owner) == ("line_not_silent", Owner.LINE)
        assert given_up.sent == b""
        assert given_up.drained > 10
        assert loop.time() - begun <= 2 * TIMING.quarantine_s + 2 * TIMING.gap_s
        assert len(link.written) == 1  # nothing was sent into it
        begun = loop.time()
        assert (await ask(line)).attempt.outcome == "line_not_silent"
        assert loop.time() - begun <= TIMING.quarantine_s + LEAST_PATIENCE_S
        assert link.opened == 2
        babbling.cancel()
        await asyncio.sleep(600)
        begun = loop.time()
        assert (await ask(line)).attempt.outcome == "no_answer"  # sent again, once the line has been heard to be silent
        assert link.written[1][0] == pytest.approx(begun + TIMING.gap_s)

    run_driven(main())


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.5, 1.5])
def test_a_cancelled_exchange_leaves_the_line_in_quarantine(after_s: float) -> None:
    """Its answer is still on the way, and the next question must not get it."""

    async def main() -> None:
        other = Request("1", 4, "200", 2)
        line, link = line_of(says([(2.0, GOOD)], [(0.1, framed(bytes([1, 4, 4]) + truth(200)))]))
        asking = asyncio.ensure_future(ask(line, timing=Timing(timeout_s=2.5, worst_reply_s=3.0, gap_s=0.05)))
        await asyncio.sleep(after_s)
        was_asked = bool(link.written)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        if not was_asked:
            return
        found = await ask(line, other)
        assert found.telegram is not None
        assert found.telegram.payload == truth(200)
        assert link.written[1][0] >= 3.0
        assert link.opened == 2  # not used half-read

    run_driven(main())


def test_a_mistake_of_a_session_does_not_leave_the_line_unguarded() -> None:
    """An exception that nobody expected passes through; what it left behind is treated like a cancellation."""

    class Broken:
        name, family, streaming, gap_ms = "broken", "modbus", True, 30

        def __getattr__(self, name: str) -> Callable[..., object]:
            return getattr(RTU, name)  # type: ignore[no-any-return]

        def session(self) -> object:
            session = RTU.session()

            class Session:
                expects = 0
                send = staticmethod(session.send)
                receive = staticmethod(session.receive)

                def next_event(self) -> object:
                    raise ZeroDivisionError("a bug")

            return Session()

    async def main() -> None:
        line, link = line_of(says([(2.0, GOOD)], [(0.1, GOOD)]))
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await line.exchange(Broken(), QUESTION, TIMING, Errand())  # type: ignore[arg-type]
        assert (await ask(line)).attempt.outcome == "ok"
        assert link.written[1][0] >= TIMING.quarantine_s

    run_driven(main())
