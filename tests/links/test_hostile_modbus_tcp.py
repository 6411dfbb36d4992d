"""Each lie of a Modbus TCP device ends as its own named outcome, never as a reading, and the next poll is clean.

(The pymodbus client takes four of these as success: reliability.md §1.2.)
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from collector.acquisition.line import Errand, Line, Try
from collector.acquisition.links import make_link
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from protocols.dialects import DIALECTS
from protocols.telegram import Request
from storage.records import Owner
from tests.links import hostile
from tests.links.hostile import Answer, hostile_server

TCP = DIALECTS["modbus-tcp"]
TIMING = Timing(timeout_s=3.0)
SHORT = Timing(timeout_s=0.1)
QUESTION = Request("17", 4, "100", 3)
TRUTH = struct.pack(">HHH", 100, 101, 102)


async def ask(line: Line, timing: Timing = TIMING) -> Try:
    return await line.exchange(TCP, QUESTION, timing, Errand("M1", "village", "daily"))


def line_to(port: int) -> Line:
    return Line(make_link(f"tcp://127.0.0.1:{port}"), DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("lie", "outcome", "owner", "timing"),
    [
        (hostile.one_short, "wrong_length", Owner.METER, TIMING),
        (hostile.one_long, "wrong_length", Owner.METER, TIMING),
        (hostile.lying_byte_count, "wrong_length", Owner.METER, TIMING),
        (hostile.lying_header, "wrong_length", Owner.METER, TIMING),
        (hostile.wrong_function, "wrong_function", Owner.METER, TIMING),
        (hostile.wrong_unit, "wrong_unit", Owner.LINE, TIMING),
        (hostile.wrong_transaction, "wrong_transaction", Owner.LINE, TIMING),
        (hostile.zero_transaction, "wrong_transaction", Owner.LINE, TIMING),
        (hostile.leading_garbage, "unexpected_bytes", Owner.LINE, TIMING),
        (hostile.other_protocol, "unexpected_bytes", Owner.LINE, TIMING),
        (hostile.closes_mid_frame, "connection_lost", Owner.UPLINK, TIMING),
        (hostile.stops_mid_frame, "wrong_length", Owner.METER, SHORT),
        (hostile.never, "no_answer", Owner.LINE, SHORT),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_a_lie_has_a_name_and_leaves_no_trace(lie: Answer, outcome: str, owner: Owner, timing: Timing) -> None:
    async with hostile_server(lie) as device:
        line = line_to(device.port)
        lied = await ask(line, timing)
        assert (lied.attempt.outcome, lied.attempt.owner) == (outcome, owner)
        assert lied.telegram is None
        assert lied.received_at is None
        assert lied.attempt.detail
        clean = await ask(line)
        assert clean.telegram is not None
        assert clean.telegram.payload == TRUTH
        assert clean.attempt.received.endswith(TRUTH)
        assert device.connections == 2  # what came over the old connection cannot reach the new one
        await line.close()


async def test_a_slow_answer_is_an_answer() -> None:
    async with hostile_server(hostile.slowly) as device:
        line = line_to(device.port)
        slow = await ask(line)
        assert slow.telegram is not None
        assert slow.telegram.payload == TRUTH
        assert slow.attempt.duration_us > 20_000  # fourteen waits of 2 ms between fifteen bytes
        await line.close()


async def test_a_refusal_keeps_the_connection() -> None:
    async with hostile_server(hostile.refuses) as device:
        line = line_to(device.port)
        assert (await ask(line)).attempt.outcome == "exception_2"
        assert (await ask(line)).attempt.outcome == "ok"
        assert device.connections == 1
        await line.close()


async def test_a_doubled_answer_is_never_the_next_one() -> None:
    async with hostile_server(hostile.twice) as device:
        line = line_to(device.port)
        first = await ask(line)
        assert first.telegram is not None
        tries = [await ask(line), await ask(line)]
        answers = [one.telegram.payload for one in tries if one.telegram is not None]
        assert answers
        assert set(answers) == {TRUTH}
        assert {one.attempt.outcome for one in tries} <= {"ok", "wrong_transaction"}
        await line.close()


async def test_many_lies_in_a_row() -> None:
    lies = [hostile.wrong_unit, hostile.leading_garbage, hostile.zero_transaction, hostile.closes_mid_frame] * 5
    async with hostile_server(*lies) as device:
        line = line_to(device.port)
        outcomes = [(await ask(line)).attempt.outcome for _ in range(len(lies) + 1)]
        assert outcomes == ["wrong_unit", "unexpected_bytes", "wrong_transaction", "connection_lost"] * 5 + ["ok"]
        await line.close()
