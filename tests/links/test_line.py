"""The line on driven time: half-duplex, quarantined after anything doubtful, and every question one attempt."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from collector.acquisition.line import MOST_BYTES, Errand, Line, Try
from collector.acquisition.quarantine import LEAST_PATIENCE_S
from collector.acquisition.timing import TURN_S, Timing
from collector.clock import DrivenClock
from collector.errors import LinkError
from protocols.dialects import DIALECTS
from protocols.telegram import Request
from storage.records import Owner
from tests.links.driven_loop import run_driven
from tests.links.late_device import NoGuard, crc, truth
from tests.links.memory_link import Device, MemoryLink

RTU = DIALECTS["modbus-rtu"]
TIMING = Timing(timeout_s=1.0, worst_reply_s=3.0, gap_s=0.05)
QUESTION = Request("1", 4, "100", 2)
NOISE = bytes.fromhex("deadbeef")


def framed(body: bytes) -> bytes:
    return body + crc(body)


GOOD = framed(bytes([1, 4, 4]) + truth(100))
REFUSAL = framed(bytes([1, 0x84, 2]))


def says(*answers: Iterable[tuple[float, bytes]]) -> Device:
    """A device with one list of (seconds, bytes) a question; silent when they are used up."""
    left = list(answers)
    return lambda data: left.pop(0) if left else ()


def line_of(device: Device) -> tuple[Line, MemoryLink]:
    link = MemoryLink(device)
    return Line(link, DrivenClock(datetime(2026, 3, 14, tzinfo=UTC))), link


async def ask(line: Line, request: Request = QUESTION, timing: Timing = TIMING) -> Try:
    return await line.exchange(RTU, request, timing, Errand("M1", "bus", "daily"))


async def given_up(line: Line, after_s: float = 0.5) -> None:
    """Asked, and cancelled: the answer is still on its way."""
    asking = asyncio.ensure_future(ask(line))
    await asyncio.sleep(after_s)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking


async def outcomes(line: Line, count: int) -> list[str]:
    return [(await ask(line)).attempt.outcome for _ in range(count)]


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


@pytest.mark.parametrize(
    ("wrong", "outcome", "owner"),
    [
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "bad_checksum", Owner.LINE),
        (framed(bytes([1, 4, 2]) + truth(100)[:2]), "wrong_length", Owner.METER),
        (framed(bytes([2, 4, 4]) + truth(100)), "wrong_unit", Owner.LINE),
        (framed(bytes([1, 3, 4]) + truth(100)), "wrong_function", Owner.METER),
        (GOOD[:5], "wrong_length", Owner.METER),
        (NOISE, "unexpected_bytes", Owner.LINE),
    ],
)
def test_what_is_wrong_has_a_name_and_is_followed_by_quarantine(wrong: bytes, outcome: str, owner: Owner) -> None:
    async def main() -> None:
        line, link = line_of(says([(0.1, wrong)], [(0.1, GOOD)]))
        first = await ask(line)
        assert (first.attempt.outcome, first.attempt.owner) == (outcome, owner)
        assert first.attempt.received == wrong
        assert first.telegram is None
        assert (await ask(line)).attempt.outcome == "ok"
        assert link.written[1][0] - link.written[0][0] >= TIMING.quarantine_s

    run_driven(main())


@pytest.mark.parametrize("noise", [NOISE, b"\x00", GOOD[:6], bytes([1, 4]), b"\xff" * 50])
def test_a_good_answer_behind_noise_is_the_answer(noise: bytes) -> None:
    async def main() -> None:
        line, _ = line_of(says([(0.1, noise), (0.12, GOOD)]))
        found = await ask(line)
        assert found.telegram is not None
        assert found.telegram.payload == truth(100)
        assert found.attempt.received == noise + GOOD

    run_driven(main())


def test_of_several_things_wrong_the_first_is_the_outcome() -> None:
    async def main() -> None:
        foreign = framed(bytes([2, 4, 4]) + truth(100))
        line, _ = line_of(says([(0.1, foreign), (0.3, NOISE)]))
        assert (await ask(line)).attempt.outcome == "wrong_unit"

    run_driven(main())


def test_a_refusal_is_an_answer_without_quarantine() -> None:
    async def main() -> None:
        line, link = line_of(says([(0.1, REFUSAL)], [(0.1, GOOD)]))
        refused = (await ask(line)).attempt
        assert (refused.outcome, refused.owner) == ("exception_2", Owner.METER)
        assert (await ask(line)).attempt.outcome == "ok"
        assert link.written[1][0] == pytest.approx(0.1 + TURN_S)

    run_driven(main())


def test_after_a_good_answer_the_line_turns_round() -> None:
    async def main() -> None:
        line, link = line_of(says([(0.1, GOOD)], [(0.1, GOOD)]))
        assert await outcomes(line, 2) == ["ok", "ok"]
        assert link.written[1][0] == pytest.approx(0.1 + TURN_S)

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


def test_a_flood_ends_the_exchange_in_bounded_memory() -> None:
    async def main() -> None:
        flood = [(0.001 * n, bytes(range(200))) for n in range(900)]
        line, _ = line_of(says(flood))
        attempt = (await ask(line)).attempt
        assert attempt.outcome == "unexpected_bytes"
        assert attempt.duration_us < 100_000 * MOST_BYTES / 1000
        assert len(attempt.received) <= MOST_BYTES

    run_driven(main())


def test_half_duplex_whoever_comes_waits() -> None:
    async def main() -> None:
        line, link = line_of(lambda data: [(0.1, GOOD)])
        tries = await asyncio.gather(*(ask(line) for _ in range(5)))
        assert [one.attempt.outcome for one in tries] == ["ok"] * 5
        times = [at for at, _ in link.written]
        assert all(later - earlier >= 0.1 for earlier, later in pairwise(times))

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


def test_a_cancelled_exchange_lets_the_next_one_in() -> None:
    async def main() -> None:
        line, _ = line_of(lambda data: [(0.1, GOOD)])
        first = asyncio.ensure_future(ask(line))
        second = asyncio.ensure_future(ask(line))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).attempt.outcome == "ok"

    run_driven(main())


def test_a_medium_that_fails_is_the_attempts_outcome() -> None:
    async def main() -> None:
        line, link = line_of(says([(0.1, GOOD)]))
        link.refuse = LinkError("port_in_use", Owner.OURS, "memory: another program uses it")
        refused = (await ask(line)).attempt
        assert (refused.outcome, refused.owner, refused.detail) == (
            "port_in_use",
            Owner.OURS,
            "memory: another program uses it",
        )
        link.refuse = None
        assert (await ask(line)).attempt.outcome == "ok"

    run_driven(main())


def test_a_question_that_cannot_be_asked_is_ours() -> None:
    async def main() -> None:
        line, link = line_of(says())
        attempt = (await ask(line, Request("1", 4, "100", 200))).attempt
        assert (attempt.outcome, attempt.owner) == ("bad_request", Owner.OURS)
        assert not link.written

    run_driven(main())


def test_two_protocols_share_a_line() -> None:
    """And the quarantine that one of them caused holds back the other."""

    async def main() -> None:
        line, link = line_of(says([(2.5, GOOD)], []))
        await given_up(line)
        other = await line.exchange(
            DIALECTS["dlt645"], Request("000000001234", 0x11, "00010000"), TIMING, Errand("M2", "bus-645")
        )
        assert (other.attempt.outcome, other.attempt.drained) == ("no_answer", len(GOOD))
        assert link.written[1][0] >= TIMING.quarantine_s
        assert link.written[1][1].startswith(b"\xfe" * 4 + b"\x68")

    run_driven(main())


def test_the_attempt_says_what_went_and_came() -> None:
    async def main() -> None:
        clock = DrivenClock(datetime(2026, 3, 14, 4, 0, tzinfo=UTC))
        line = Line(MemoryLink(says([(0.25, GOOD)])), clock)
        one = await ask(line)
        attempt = one.attempt
        assert (attempt.meter, attempt.channel, attempt.plan) == ("M1", "bus", "daily")
        assert attempt.started_at == one.received_at == clock.now()
        assert attempt.duration_us == 250_000
        assert attempt.sent == framed(struct.pack(">BBHH", 1, 4, 100, 2))
        assert attempt.received == GOOD
        assert (attempt.outcome, attempt.owner, attempt.detail) == ("ok", None, "")

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
