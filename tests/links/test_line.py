"""The line on driven time: half-duplex, every question one attempt, and everything wrong has its name."""

from __future__ import annotations

import asyncio
import struct
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from collector.acquisition.line import MOST_BYTES, Errand, Line
from collector.acquisition.timing import TURN_S
from collector.clock import DrivenClock
from collector.errors import LinkError
from protocols.dialects import DIALECTS
from protocols.telegram import Request
from storage.records import Owner
from tests.links.asking import (
    GOOD,
    NOISE,
    REFUSAL,
    TIMING,
    ask,
    framed,
    given_up,
    line_of,
    outcomes,
    says,
)
from tests.links.driven_loop import run_driven
from tests.links.late_device import truth
from tests.links.memory_link import MemoryLink


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
