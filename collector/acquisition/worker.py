"""Who serves one line: what it knows between two visits, and whose turn on the line it is."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from collector.acquisition.line import Line
from collector.acquisition.silence import Silence
from collector.acquisition.turns import Turns


@dataclass(slots=True)
class Worker:
    """One line's."""

    line: Line
    turns: Turns
    silence: Silence = field(default_factory=Silence)
    channels: tuple[str, ...] = ()
    bell: asyncio.Future[None] | None = None
    """What it sleeps on; there is one while it is idle."""
    idle: bool = False
    leaving: bool = False
    """Its line is configured no more: it ends after the visit under way."""
    turn: AbstractAsyncContextManager[object] = field(init=False)
    """Held by whoever asks more than one question, a visit or a guest, in the order they came. A line that takes several
    questions at once takes guests beside visits.
    """

    def __post_init__(self) -> None:
        self.turn = asyncio.Lock() if self.line.width == 1 else nullcontext()
