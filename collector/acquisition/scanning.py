"""Drives a search (`scan`, `sweep`) over a line, and says what its answers mean: whose good frames came, and what was none.

A search asks strangers, so its quarantine may be short: an answer that comes late names its sender, is never taken for another's,
and gives no value. Nothing is asked here that could change a device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from collector.acquisition.line import Errand, Line
from collector.acquisition.outcome import OK
from collector.acquisition.scan import NOBODY, Findings, Heard, Search
from collector.acquisition.timing import Timing
from protocols.dialect import Decoded, Dialect
from protocols.dlt645.address import WILDCARD
from protocols.dlt645.answers import ADDRESS
from protocols.telegram import Garbage, Request
from storage.records import Attempt

MISHAPS = 3
"""So often in a row the medium may fail for a moment; then the search stops, with what it has."""
GLITCH = 3
"""Bytes that switching a transmitter on or off can make. The shortest answers have five (Modbus RTU) and twelve (DL/T 645)."""
ENOUGH = 5
"""Questions after which their mean tells better how long they take than the time-out does."""
SLICE_S = 2.0
"""So long a search keeps a line that others use too, before it lets them."""
TIME_IS_UP = "time_is_up"
_PASSING = ("connection_lost", "line_not_silent")
_FROM_GATEWAY = ("gateway_no_answer", "gateway_path_unavailable")
_WILD = f"{WILDCARD:02X}"


Told = Callable[[Findings, float], None]
"""What is known, and how many seconds the questions will take that are known to come."""


@dataclass(frozen=True, slots=True)
class Ended:
    """`reason`: why the search stopped before its end (`time_is_up`, or as an attempt's outcome); empty: it did not.
    `late`: bytes that came after their question's time: somebody may be slower than we waited.
    """

    reason: str = ""
    detail: str = ""
    late: int = 0


async def scan_line(
    line: Line,
    dialect: Dialect,
    search: Search,
    timing: Timing,
    *,
    within_s: float,
    told: Told,
    turn: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
) -> Ended:
    """Ask until the search is done, the time is up, or the medium fails. `told` after every question. `turn`: taken for a few
    seconds of questions; in between others may use the line.
    """
    loop = asyncio.get_running_loop()
    begun, mishaps, late = loop.time(), 0, 0
    request = search.question
    while request is not None:
        async with turn():
            until = loop.time() + SLICE_S
            while request is not None and loop.time() < until:
                if loop.time() >= begun + within_s:
                    return Ended(TIME_IS_UP, late=late)
                attempt, more = await _asked(line, dialect, request, timing)
                late += attempt.drained if attempt.drained > GLITCH else 0
                if _medium_failed(attempt, dialect):
                    mishaps += 1
                    if attempt.outcome not in _PASSING or mishaps >= MISHAPS:
                        return Ended(attempt.outcome, attempt.detail, late)
                    continue
                mishaps = 0
                search.take(what_was_heard(dialect, request, attempt, more))
                findings = search.findings
                took_s = loop.time() - begun
                question_s = took_s / findings.asked if findings.asked >= ENOUGH else _silence_s(dialect, timing)
                told(findings, question_s * findings.ahead)
                request = search.question
    return Ended(late=late)


async def _asked(line: Line, dialect: Dialect, request: Request, timing: Timing) -> tuple[Attempt, bytes]:
    """One question, and what else was said to it."""
    attempt = (await line.exchange(dialect, request, timing, Errand())).attempt
    if not attempt.received or _WILD not in request.address or _medium_failed(attempt, dialect):
        return attempt, b""
    for_s = max(timing.timeout_s - attempt.duration_us / 1_000_000, timing.gap_s)
    return attempt, await line.overhear(for_s, timing)


def _silence_s(dialect: Dialect, timing: Timing) -> float:
    """What a question costs that nobody answers."""
    return timing.quarantine_s + timing.gap_s if dialect.streaming else timing.timeout_s


def _medium_failed(attempt: Attempt, dialect: Dialect) -> bool:
    """It was no device that did not answer. A Modbus TCP gateway may hang up instead of saying that nobody is there."""
    return not attempt.sent or (dialect.streaming and attempt.outcome == "connection_lost")


def what_was_heard(dialect: Dialect, request: Request, attempt: Attempt, more: bytes = b"") -> Heard:
    """What came after one question: the attempt's bytes, and `more` that was overheard afterwards."""
    if dialect.family == "dlt645":
        return _whole(_frames(dialect, attempt.received + more, attempt.sent))
    if attempt.outcome in _FROM_GATEWAY or not attempt.received:
        return NOBODY
    if attempt.outcome == OK or attempt.outcome == "refused" or attempt.outcome.startswith("exception_"):
        return Heard(frozenset({request.address}))
    if not dialect.streaming:
        return Heard(noise=True)
    return _whole(_frames(dialect, attempt.received, attempt.sent))


def _frames(dialect: Dialect, data: bytes, sent: bytes) -> Iterator[Decoded]:
    """All but our own echo, and bytes too few to be anything."""
    for decoded in dialect.decode(data):
        match decoded.event:
            case Garbage(data=spoilt):
                if len(spoilt.strip(b"\x00\xfe\xff")) > GLITCH:
                    yield decoded
            case telegram if telegram.frame not in sent:
                yield decoded


def _whole(frames: Iterator[Decoded]) -> Heard:
    addresses: set[str] = set()
    unnamed = noise = False
    for decoded in frames:
        if isinstance(decoded.event, Garbage):
            noise = True
            continue
        told = next((str(item.value) for item in decoded.items if item.id == ADDRESS and item.value), "")
        address = told or decoded.event.address
        if address.isdecimal():
            addresses.add(address)
        elif "refused" not in decoded.event.detail:
            unnamed = (
                True  # (a refusal in the name of everybody proves nobody: some devices refuse what is not for them)
            )
    return Heard(frozenset(addresses), unnamed, noise)
