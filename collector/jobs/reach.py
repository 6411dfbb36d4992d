"""A line to ask a device on by hand: one of our own, or one that somebody else is at work on (the daemon's)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

from collector.acquisition.line import Line
from collector.acquisition.links import make_link
from collector.clock import Clock


@dataclass(frozen=True, slots=True)
class Reach:
    """The line. `turn`: inside its block nobody else says anything on it; it may have to be waited for."""

    line: Line
    turn: Callable[[], AbstractAsyncContextManager[object]] = nullcontext


Reached = Callable[[], AbstractAsyncContextManager[Reach]]
"""Have it inside the block."""


def own_line(url: str, clock: Clock) -> Reached:
    """Opened for this, closed afterwards. :raises UsageError: where it is opened, for what is no link."""
    return partial(_own_line, url, clock)


@asynccontextmanager
async def _own_line(url: str, clock: Clock) -> AsyncIterator[Reach]:
    line = Line(make_link(url), clock)
    try:
        yield Reach(line)
    finally:
        await line.close()
