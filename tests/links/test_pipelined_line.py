"""A Modbus TCP gateway with several questions under way: each finds its answer, and what is wrong hurts only its own."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from collector.acquisition.line import Errand, Line, Try
from collector.acquisition.pipelined_line import PipelinedLine
from collector.acquisition.timing import Timing
from collector.clock import DrivenClock
from protocols.dialects import DIALECTS
from protocols.telegram import Request
from tests.links.driven_loop import run_driven
from tests.links.late_device import truth
from tests.links.memory_link import Device, MemoryLink

TCP = DIALECTS["modbus-tcp"]
TIMING = Timing(timeout_s=1.0, retries=0)
REPLY_S = 0.1


def answer(transaction: int, unit: int, start: int, count: int = 2) -> bytes:
    words = truth(start)[: 2 * count]
    return struct.pack(">HHHBBB", transaction, 0, 3 + len(words), unit, 4, len(words)) + words


@dataclass(slots=True)
class Gateway:
    """Answers each question after `REPLY_S`, several at once; `faults` says what it does instead, by the unit asked."""

    faults: dict[int, str] = field(default_factory=dict)
    dice: random.Random | None = None
    open: int = 0
    most: int = 0

    def __call__(self, data: bytes) -> Iterator[tuple[float, bytes]]:
        for place in range(0, len(data), 12):
            transaction, unit, _, start, _ = struct.unpack(">HxxxxBBHH", data[place : place + 12])
            self.open += 1
            self.most = max(self.most, self.open)
            after_s = REPLY_S if self.dice is None else self.dice.uniform(0.01, 0.5)
            asyncio.get_running_loop().call_later(after_s, self._close)
            good = answer(transaction, unit, start)
            match self.faults.get(unit):
                case None:
                    yield after_s, good
                case "silent":
                    pass
                case "short":
                    yield after_s, answer(transaction, unit, start, 1)
                case "transaction":
                    yield after_s, answer(transaction + 7000, unit, start)
                case "slowly":
                    yield after_s + 0.05, good[:5]
                    yield after_s + 0.06, good[5:]
                case "refuses":
                    yield after_s, struct.pack(">HHHBBB", transaction, 0, 3, unit, 0x84, 2)
                case "garbage":
                    yield after_s, b"\xde\xad\xbe\xef\xde\xad\xbe\xef"

    def _close(self) -> None:
        self.open -= 1


def line_of(device: Device, in_flight: int = 4) -> tuple[PipelinedLine, MemoryLink]:
    link = MemoryLink(device)
    return PipelinedLine(link, DrivenClock(datetime(2026, 3, 14, tzinfo=UTC)), in_flight=in_flight), link


async def ask(line: Line, unit: int, start: int = 100) -> Try:
    return await line.exchange(TCP, Request(str(unit), 4, str(start), 2), TIMING, Errand(f"M{unit}", "gateway"))


async def outcomes(line: Line, *units: int) -> list[str]:
    return [one.attempt.outcome for one in await asyncio.gather(*(ask(line, unit) for unit in units))]


@pytest.mark.parametrize("in_flight", [1, 2, 4, 8])
def test_so_many_are_under_way_and_no_more(in_flight: int) -> None:
    async def main() -> None:
        gateway = Gateway()
        line, _ = line_of(gateway, in_flight)
        assert await outcomes(line, *range(1, 17)) == ["ok"] * 16
        assert gateway.most == line.width == in_flight
        assert asyncio.get_running_loop().time() == pytest.approx(16 / in_flight * REPLY_S)

    run_driven(main())


def test_answers_in_any_order_find_their_questions() -> None:
    async def main() -> None:
        dice = random.Random(20260314)
        line, link = line_of(Gateway(dice=dice))

        async def one(n: int) -> None:
            start = dice.randrange(0x8000)
            found = await ask(line, n % 247 + 1, start)
            assert found.telegram is not None
            assert found.telegram.payload == truth(start)
            assert found.attempt.meter == f"M{n % 247 + 1}"
            assert found.attempt.received[:2] == found.attempt.sent[:2]

        await asyncio.gather(*(one(n) for n in range(2000)))
        assert link.opened == 1

    run_driven(main())


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("short", "wrong_length"),
        ("refuses", "exception_2"),
        ("transaction", "no_answer"),
        ("slowly", "ok"),
        ("silent", "no_answer"),
    ],
)
def test_what_is_wrong_with_one_hurts_only_its_own_question(fault: str, outcome: str) -> None:
    async def main() -> None:
        line, link = line_of(Gateway({3: fault}))
        assert await outcomes(line, 1, 2, 3, 4, 5, 6, 7, 8) == ["ok", "ok", outcome, "ok", "ok", "ok", "ok", "ok"]
        assert await outcomes(line, 1, 2, 4, 5) == ["ok"] * 4
        assert link.opened == 1

    run_driven(main())


def test_where_framing_is_lost_all_under_way_fail_and_the_connection_is_made_anew() -> None:
    async def main() -> None:
        line, link = line_of(Gateway({3: "garbage"}))
        found = await outcomes(line, 4, 3, 2, 1)
        assert found[1:] == ["unexpected_bytes"] * 3
        assert await outcomes(line, 1, 2, 4, 5) == ["ok"] * 4
        assert link.opened == 2

    run_driven(main())


def test_a_connection_over_which_nothing_comes_is_made_anew() -> None:
    async def main() -> None:
        gateway = Gateway(dict.fromkeys(range(1, 5), "silent"))
        line, link = line_of(gateway)
        assert await outcomes(line, 1, 2, 3, 4) == ["no_answer"] * 4
        gateway.faults.clear()
        assert await outcomes(line, 1, 2, 3, 4) == ["ok"] * 4
        assert link.opened == 2

    run_driven(main())


def test_a_late_answer_is_nobodys() -> None:
    """Its transaction is closed: it is passed over, and the next question gets its own."""

    async def main() -> None:
        late = [1.5, 0.1, 0.1]

        def device(data: bytes) -> Iterator[tuple[float, bytes]]:
            transaction, unit, _, start, _ = struct.unpack(">HxxxxBBHH", data)
            yield late.pop(0), answer(transaction, unit, start)

        line, _ = line_of(device, 2)
        slow = asyncio.ensure_future(ask(line, 1, 100))
        await asyncio.sleep(0.9)
        assert (await ask(line, 2, 200)).attempt.outcome == "ok"
        assert (await slow).attempt.outcome == "no_answer"
        await asyncio.sleep(0.3)
        asking = asyncio.ensure_future(ask(line, 1, 300))
        found = await asking
        assert found.telegram is not None
        assert found.telegram.payload == truth(300)

    run_driven(main())


@pytest.mark.parametrize("after_s", [0.0, 0.05])
def test_who_reads_for_all_may_be_cancelled(after_s: float) -> None:
    async def main() -> None:
        line, link = line_of(Gateway())
        first = asyncio.ensure_future(ask(line, 1))
        others = [asyncio.ensure_future(ask(line, unit)) for unit in (2, 3, 4)]
        await asyncio.sleep(after_s)
        first.cancel()
        assert [one.attempt.outcome for one in await asyncio.gather(*others)] == ["ok"] * 3
        assert await outcomes(line, 1, 2, 3, 4) == ["ok"] * 4
        assert link.opened == 1

    run_driven(main())


def test_close_waits_for_what_is_under_way() -> None:
    async def main() -> None:
        line, link = line_of(Gateway())
        asking = asyncio.ensure_future(ask(line, 1))
        await asyncio.sleep(0.05)
        await line.close()
        assert asking.done()
        assert (await asking).attempt.outcome == "ok"
        assert await outcomes(line, 1) == ["ok"]
        assert link.opened == 2

    run_driven(main())
