"""Reading one meter's clock: two questions, and how long the second took.

The answer says what the clock showed at some instant between our question and its end. The middle is taken for it, half of
the exchange is the uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from collector.acquisition.clocks import nearest, needs_date_again
from collector.acquisition.line import Line
from collector.acquisition.outcome import OK, rule
from collector.acquisition.timing import Timing
from collector.acquisition.visit import Answered, Failed, Visit, ask_unknown
from protocols.clockwork import Timekeeper
from protocols.dialect import Dialect
from protocols.errors import RequestError
from protocols.telegram import Request
from storage.care import ClockCheck, Occasion
from storage.records import Attempt
from storage.registry import Meter


@dataclass(frozen=True, slots=True)
class ClockVisit:
    """What came of it: a check, or why there is none."""

    attempts: tuple[Attempt, ...] = ()
    answered: tuple[Answered, ...] = ()
    check: ClockCheck | None = None
    failed: Failed | None = None


async def read_clock(
    line: Line,
    dialect: Dialect,
    keeper: Timekeeper,
    meter: Meter,
    timing: Timing,
    zone: ZoneInfo,
    *,
    occasion: Occasion,
    plan: str = "",
) -> ClockVisit:
    """Ask one meter what time it is. `zone` is that of its clock."""
    try:
        date, time = keeper.ask_date(meter.address), keeper.ask_time(meter.address)
    except RequestError as error:
        return ClockVisit(failed=_failed("bad_address", str(error)))
    seen = await ask_unknown(line, dialect, [one for one in (date, time) if one], timing, meter, plan=plan)
    if date is not None and not seen.failed and _day_may_have_ended(seen, keeper, time):
        seen = _joined(seen, await ask_unknown(line, dialect, [date], timing, meter, plan=plan))
    return _told(seen, keeper, meter, zone, date, time, occasion)


def _day_may_have_ended(seen: Visit, keeper: Timekeeper, time: Request) -> bool:
    shown = _shown(seen, keeper, seen.answered[0].exchange.request, time)
    return shown is not None and needs_date_again(
        shown.time(), seen.answered[-1].received_at - seen.answered[0].received_at
    )


def _shown(seen: Visit, keeper: Timekeeper, date: Request | None, time: Request) -> datetime | None:
    """By the last answer to each question."""
    said = {one.exchange.request: one.exchange for one in seen.answered}
    return keeper.shown(said.get(date) if date else None, said[time]) if time in said else None


def _told(
    seen: Visit,
    keeper: Timekeeper,
    meter: Meter,
    zone: ZoneInfo,
    date: Request | None,
    time: Request,
    occasion: Occasion,
) -> ClockVisit:
    if seen.failed:
        return ClockVisit(seen.attempts, seen.answered, failed=seen.failed[0])
    shown = _shown(seen, keeper, date, time)
    if shown is None:
        return ClockVisit(
            seen.attempts, seen.answered, failed=_failed("impossible_time", "its clock shows no time at all")
        )
    good = [one for one in seen.attempts if one.outcome == OK]
    place = next(n for n, one in enumerate(seen.answered) if one.exchange.request == time)
    took = timedelta(microseconds=good[place].duration_us)
    at = good[place].started_at + took / 2
    check = ClockCheck(meter.meter, at, nearest(shown, zone, at), good[place].duration_us // 2, occasion)
    return ClockVisit(seen.attempts, seen.answered, check)


def _joined(first: Visit, second: Visit) -> Visit:
    return Visit(
        first.meter,
        first.attempts + second.attempts,
        first.answered + second.answered,
        lambda: first.items + second.items,
        first.failed + second.failed,
    )


def _failed(reason: str, detail: str) -> Failed:
    return Failed((), reason, rule(reason).owner, detail, 1)
